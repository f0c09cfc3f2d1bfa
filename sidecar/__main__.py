"""sidecar: says that it is not built yet, and fails."""

import sys


def main() -> None:
    """Exit with status 1, so that nobody takes this for a health check."""
    sys.exit("sidecar: not part of this version yet; kube-dns has /readiness and /status itself")


if __name__ == "__main__":
    main()
