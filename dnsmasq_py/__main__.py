"""dnsmasq-nanny: says that it is not built yet, and fails."""

import sys


def main() -> None:
    """Exit with status 1, so that nobody takes this for a forwarder."""
    sys.exit("dnsmasq-nanny: the forwarder is not part of this version yet; ask kube-dns directly")


if __name__ == "__main__":
    main()
