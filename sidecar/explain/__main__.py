"""kubedns-explain: asks the sidecar why a name does not resolve; see cli."""

import sys

from sidecar.explain.cli import run


def main() -> None:
    """Exit with 0: it resolves, 1: it does not, 2: usage, 3: the sidecar cannot be asked."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
