"""The root of what this package raises."""

from kubedns.errors import KubednsError


class ForwarderError(KubednsError):
    """Something that an operator or a client did; str() is one line for a log."""
