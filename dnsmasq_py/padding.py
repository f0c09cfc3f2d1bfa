"""Queries of a few lengths only, for where nobody can read them (RFC 7830, RFC 8467)."""

_OPTION = b"\0\x0c"
_OPTION_HEAD = 4
_BLOCK = 128  # RFC 8467 4.1
_ID = 2
_COUNTS = 10  # octets of a header behind its ID
_OPT_HEAD = 11


def padded(message: bytes, octets: bytes) -> bytes:
    """
    Return a query behind its ID, padded to a multiple of 128 octets with its ID.

    octets: its question section. Its only other record is an OPT.
    """
    end = _COUNTS + len(octets) + _OPT_HEAD
    options = message[end:]
    pad = -(_ID + len(message) + _OPTION_HEAD) % _BLOCK
    size = len(options) + _OPTION_HEAD + pad
    return b"".join(
        (message[: end - 2], size.to_bytes(2), options, _OPTION, pad.to_bytes(2), bytes(pad))
    )
