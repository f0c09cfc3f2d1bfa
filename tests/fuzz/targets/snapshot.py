"""
A snapshot with the right check-sum and anything inside: refused in one line, or served as it is.

The octets are what the file holds unpacked; they are also read as a file.
"""

import hashlib
import json
import zlib

from kubedns.cluster.objects import Kind
from kubedns.cluster.pairing import Pairing
from kubedns.serve.counters import Counters
from kubedns.serve.responder import Responder
from kubedns.snapshot import contents
from kubedns.snapshot.contents import Contents, SnapshotError
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone import dump
from kubedns.zone.answers import Answers
from kubedns.zone.lookup import Zone
from kubedns.zone.tree import Tree
from tests.builders import World
from tests.fuzz import judge

MAX_LEN = 800
TOKENS = (
    b"\xc4\x0f\x07cluster\x05local\0", b"\xc4\x04shop", b"\xc4\x03web", b"\xc4\x04\x0a\0\0\1",
    b"\xc0",
    b"\x93", b"\x94", b"\x95", b"\xc2", b"\xc3", b"\x90", b"\xc4\x05_http", b"\xc4\x04_tcp",
    b"\xc4\0",
    b"\xce\x7f\xff\xff\xff", b"\x92",
)  # fmt: skip
_MAX_ASKED = 8


def check(octets: bytes) -> None:
    """Assert all that must hold for one file."""
    _read(octets)
    body = zlib.compress(octets, 1)
    found = _read(contents._HEAD + hashlib.sha256(body).digest() + body)
    if found is not None:
        assert contents.decode(contents.encode(found)) == found, "written and read again"
        _is_served(found)


def _read(octets: bytes) -> Contents | None:
    try:
        return contents.decode(octets)
    except SnapshotError as error:
        assert judge.is_one_line(str(error)), str(error)
        return None


def _is_served(found: Contents) -> None:
    """What was restored can be asked for and put into a snapshot, and a list takes it away."""
    tree = Tree(found.zone)
    pairing = Pairing(tree)
    pairing.restore(found.services, found.namespaces, found.pods)
    tree.advance(found.serial)
    zone = Zone(tree)
    zone.synced = True
    counters = Counters()
    responder = Responder(
        zone, Answers(counters.left), World(), counters, version="0", host="h", clock=lambda: 0.0
    )
    json.loads("".join(dump.pieces(zone)))
    for number, (_, branch) in enumerate(list(tree.branches())[:_MAX_ASKED]):
        qtype = (rr.A, rr.AAAA, rr.SRV, rr.ANY)[number % 4]
        if len(branch.owner) > names.MAX_NAME:
            continue
        message = b"id\0\0\0\1\0\0\0\0\0\0" + branch.owner + bytes((0, qtype, 0, rr.IN))
        for tcp in (False, True):
            replied = responder.answer(message, tcp=tcp)
            if isinstance(replied, bytes):
                judge.fits(message, replied, 65535 if tcp else 512)
    assert contents.of(tree).zone == found.zone
    for kind in Kind:
        pairing.replace(kind, [])
    pairing.flush(1)
    assert not list(tree.branches()), "a service that no list takes away"
