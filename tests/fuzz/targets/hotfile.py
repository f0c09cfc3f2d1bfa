"""
A file of hot questions with the right check-sum and anything inside.

The octets are what the file holds unpacked; they are also read as a file. Refused in one line, or
what comes out of it may go into the cache: keys that are questions, answers that fit them.
"""

from dnsmasq_py import hotanswers, hotlist
from dnsmasq_py.domains import EVERYTHING
from dnsmasq_py.hotlist import HotList
from dnsmasq_py.question import name_of, of_key
from dnsmasq_py.routing import Kind, Route
from kubedns import sealed
from kubedns.sealed import SealError
from kubedns.wire import response
from tests.fuzz import judge

MAX_LEN = 900
TOKENS = (
    b'{"boot":"b","since_boot_s":1,"wall":2,"routes":["r"]}\n', b'["0161000001000100",1]',
    b'["0161000001000100",1,"', b'",30,0,[]]', b"8180000100010000000001610000010001",
    b"c00c000100010000003c0004c0000201", b"c00c000500010000003c0002c00c", b'[["016200",0]]',
    b"1e999", b"-1", b"null", b"NaN",
)  # fmt: skip
_ROUTE = Route(EVERYTHING, Kind.DEFAULT, ())


def check(octets: bytes) -> None:
    """Assert all that must hold for one file."""
    _read(octets)
    found = _read(sealed.seal(hotlist._HEAD, octets))
    if found is None:
        return
    assert len(found.questions) <= hotlist.MOST
    assert hotlist.decode(hotlist.encode(found)).routes == found.routes
    for each in found.questions:
        asked = of_key(each.key)
        assert asked.folded == name_of(each.key) == asked.folded.lower()
        if each.answer is None:
            continue
        stored = hotanswers.restored(each.key, each.answer, 5.0, lambda name, number: _ROUTE, 99.0)
        if stored is not None:
            assert stored.expires <= 99.0, "what comes back has expired"
            assert response.read(b"\0\0" + stored.octets).qname == asked.folded


def _read(octets: bytes) -> HotList | None:
    try:
        return hotlist.decode(octets)
    except SealError as error:
        assert judge.is_one_line(str(error)), str(error)
        return None
