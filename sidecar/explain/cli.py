"""
The console script: one request to a sidecar, printed. io

Only the standard library, and of it nothing heavy: it is to answer at once in a pod that has little
CPU. In the pod it needs no options; elsewhere --url and --token-file.
"""

import argparse
import http.client
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from sidecar.explain import lines

RESOLVES, DOES_NOT, USAGE, UNREACHABLE = 0, 1, 2, 3
_URL = "http://127.0.0.1:10058"
_PATIENCE_S = 20.0
_MAX_OCTETS = 16 << 20


class CliError(Exception):
    """Why there is nothing to print; status: of the exit."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def run(argv: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    asked = _parser().parse_args(argv)
    try:
        octets = _get(asked)
        said = json.loads(octets)
        if not isinstance(said, dict) or "verdict" not in said:
            raise ValueError
    except CliError as error:
        print(f"kubedns-explain: {error}", file=sys.stderr)
        return error.status
    except (ValueError, RecursionError):
        print(f"kubedns-explain: {asked.url}: no explanation came", file=sys.stderr)
        return UNREACHABLE
    return _print(json.dumps(said, indent=2) if asked.json else _text(said), said)


def _text(said: dict[str, Any]) -> str:
    return "\n".join(lines.explanation(said))


def _print(text: str, said: dict[str, Any]) -> int:
    try:
        # A terminal that has no UTF-8 gets escapes instead of an exception.
        encoding = sys.stdout.encoding or "utf-8"
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:  # `| head`
        sys.stdout = None
    verdict = said["verdict"]
    return RESOLVES if isinstance(verdict, dict) and verdict.get("good") is True else DOES_NOT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubedns-explain",
        description="Tell why a name resolves or does not, as seen by a pod's resolver.",
        epilog="Exit status: 0 it resolves, 1 it does not, 2 usage, 3 the sidecar cannot be asked.",
    )
    add = parser.add_argument
    add("name", metavar="NAME", help="as a program would ask for it: web, web.prod, github.com")
    add("type", metavar="TYPE", nargs="?", default="", help="A and AAAA if it is not given")
    add("--url", default=_URL, help="of the sidecar (default: %(default)s)")
    add("--token-file", metavar="FILE", help="the operators' token, for a sidecar elsewhere")
    add("--from", dest="asked_from", metavar="NAMESPACE|IP", default="", help="who asks")
    add("--search", metavar="DOMAIN,...", default="", help="search domains of resolv.conf")
    add("--ndots", metavar="N", default="", help="ndots of resolv.conf (default: 5)")
    add("--try", dest="live", action="store_true", help="ask the servers directly too, now")
    add("--json", action="store_true", help="print what the sidecar says as JSON")
    return parser


def _get(asked: argparse.Namespace) -> bytes:
    """Return the body of the reply; raises CliError."""
    query = {
        "name": asked.name,
        "type": asked.type,
        "from": asked.asked_from,
        "search": asked.search,
        "ndots": asked.ndots,
        "try": "1" if asked.live else "",
    }
    url = urlsplit(asked.url if "://" in asked.url else f"http://{asked.url}")
    try:
        connection = _connection(url.scheme, url.hostname or "", url.port)
    except ValueError:
        raise CliError(USAGE, f"--url: {asked.url!a} is no http:// or https:// URL") from None
    path = f"{url.path.rstrip('/')}/explain?{urlencode({k: v for k, v in query.items() if v})}"
    try:
        connection.request("GET", path, headers=_headers(asked.token_file))
        reply = connection.getresponse()
        octets = reply.read(_MAX_OCTETS)
    except (OSError, http.client.HTTPException) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CliError(UNREACHABLE, f"cannot ask {asked.url}: {said}") from None
    finally:
        connection.close()
    if reply.status == 200:
        return octets
    text = lines.error(octets[:300].decode("utf-8", "replace"))
    if reply.status == 400:
        raise CliError(USAGE, text)
    raise CliError(UNREACHABLE, f"{asked.url}: HTTP status {reply.status}: {text}")


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if not host or scheme not in ("http", "https"):
        raise ValueError
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    return kind(host, port, timeout=_PATIENCE_S)


def _headers(token_file: str | None) -> dict[str, str]:
    if token_file is None:
        return {}
    try:
        token = Path(token_file).read_text().strip()
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise CliError(USAGE, f"--token-file: {token_file}: {said}") from None
    if not token or not token.isascii() or not token.isprintable():
        raise CliError(USAGE, f"--token-file: {token_file} holds no token")
    return {"Authorization": f"Bearer {token}"}
