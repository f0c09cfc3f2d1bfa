"""sidecar: argv → Options → Sidecar → reactor. Exit status: 2 usage, 255 fatal."""

import sys

from kubedns import logs
from sidecar.options import ShowText, UsageError, parse, usage


def main() -> None:
    """Run until a signal; see kubedns.process."""
    try:
        options = parse(sys.argv[1:])
    except ShowText as text:
        print(text)
        sys.exit(0)
    except UsageError as error:
        print(f"{usage()}\nsidecar: {error}", file=sys.stderr)
        sys.exit(2)
    from twisted.internet import reactor

    from kubedns.process import run
    from sidecar.service import Sidecar

    logs.begin(options.v, ("kubedns", "sidecar"))
    sys.exit(run("sidecar", reactor, lambda: Sidecar(options, reactor)))


if __name__ == "__main__":
    main()
