"""kube-dns: argv → Options → KubeDns → reactor. Exit status as the original: 2 usage, 255 fatal."""

import os
import sys

from kubedns import logs
from kubedns.options import ShowText, UsageError, parse, usage


def main() -> None:
    """Run until a signal; see kubedns.process."""
    try:
        options = parse(sys.argv[1:], os.environ)
    except ShowText as text:
        print(text)
        sys.exit(0)
    except UsageError as error:
        print(f"{usage()}\n{error}", file=sys.stderr)
        sys.exit(2)
    from twisted.internet import asyncioreactor

    asyncioreactor.install()
    from twisted.internet import reactor

    from kubedns.process import run
    from kubedns.service import KubeDns

    logs.begin(options.v)
    sys.exit(run("kube-dns", reactor, lambda: KubeDns(options, reactor)))


if __name__ == "__main__":
    main()
