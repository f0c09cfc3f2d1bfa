"""
Get pages at the same time and print {URL: status code} as JSON; 0 for what did not come in 2 s.

pages.py URL...: runs on the node.
"""

import json
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor


def status(url: str) -> int:
    """Return the status code of one page."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            code: int = reply.status
            return code
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


if __name__ == "__main__":
    with ThreadPoolExecutor(8) as pool:
        codes = pool.map(status, sys.argv[1:])
        print(json.dumps(dict(zip(sys.argv[1:], codes, strict=True))))
