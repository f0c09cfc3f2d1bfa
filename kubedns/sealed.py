"""
Octets of a file that tells what it is, in which version, and whether it is whole.

    <what> <version>\\n     as text: the head, to which whoever writes such files holds
    32 octets              SHA-256 of all that follows
    the rest               zlib

The check-sum finds damage. What only a fault of ours, or somebody else, could write is for the
reader of the contents to find.
"""

import hashlib
import zlib

from kubedns.errors import KubednsError
from kubedns.wire import name as names

_SUM = 32


class SealError(KubednsError):
    """A file that cannot be used; the text says why, of `it`."""


def head(what: str, version: int) -> bytes:
    """Return how files of a kind begin; what: one of our own words."""
    return b"kube-dns-py %s %d\n" % (what.encode(), version)


def seal(head: bytes, raw: bytes) -> bytes:
    """Return the octets of a file."""
    body = zlib.compress(raw, 1)
    return head + hashlib.sha256(body).digest() + body


def opened(head: bytes, octets: bytes, most: int) -> bytes:
    """
    Return what a file holds, of at most so many octets.

    Raises:
        SealError: see there.
    """
    magic, _, version = head.removesuffix(b"\n").rpartition(b" ")
    if not octets.startswith(magic + b" "):
        what = magic.rpartition(b" ")[2].decode()
        raise SealError(f"it is no {what}" if octets else "it is empty")
    if not octets.startswith(head):
        found = octets[len(magic) + 1 :].partition(b"\n")[0][:20]
        raise SealError(f"its version is {names.label_to_text(found)}, not {version.decode()}")
    body = octets[len(head) + _SUM :]
    if hashlib.sha256(body).digest() != octets[len(head) :][:_SUM]:
        raise SealError("it is damaged or cut short")
    inflating = zlib.decompressobj()
    try:
        raw = inflating.decompress(body, most)
    except zlib.error as error:
        raise SealError(f"its contents make no sense: {error}") from None
    if not inflating.eof or inflating.unused_data:
        raise SealError("its contents make no sense: more, or less, than there should be")
    return raw
