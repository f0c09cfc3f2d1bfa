"""
Cache keys: two questions share one exactly if they mean the same, and the cache never shows.

An input describes two queries, four octets each (flags; type; EDNS; letter case), and then labels:
both ask for the same name, or for the one above it. What is found under the first one's
key must be what a server without a cache would have said to the second one.
"""

import dns.message
import dns.rdatatype
import dns.rrset

from dnsmasq_py import forwarder
from dnsmasq_py.question import name_of
from kubedns.serve import responder
from kubedns.wire import name as names
from kubedns.wire import question, reply, rr
from kubedns.wire.question import Query, WireError
from tests.builders import Served, World, conformance_cluster, serve
from tests.fuzz import judge
from tests.fwdreplay import Replay

MAX_LEN = 120
TOKENS = (
    b"\x04svc1\x06testns\x03svc\x07cluster\x05local", b"\x05hdls1", b"\x08external", b"\x03www",
    b"\x05_http\x04_tcp", b"\x07example\x03com", b"\x0210\x010\x010\x011\x07in-addr\x04arpa",
)  # fmt: skip
_TYPES = (rr.A, rr.AAAA, rr.SRV, rr.TXT, rr.CNAME, rr.ANY, rr.PTR, 65, rr.SOA, rr.NS)
_SIZES = (0, 511, 512, 513, 1231, 1232, 1233, 4096)
_CLASSES = (rr.IN, rr.IN, rr.IN, rr.CH)
_COOKIE = bytes((0, 10, 0, 8)) + b"12345678"
_KEEPALIVE = bytes((0, 11, 0, 0))
_DO = 0x80
_CLUSTER = conformance_cluster()


def check(octets: bytes) -> None:
    """Assert all that must hold for two queries."""
    if len(octets) < 8:
        return
    name = _name(octets[8:])
    messages = [_message(octets[at : at + 4], name) for at in (0, 4)]
    try:
        one, other = map(question.read, messages)
    except WireError:
        return
    for tcp in (False, True):
        keys = [responder._key(query, tcp) for query in (one, other)]
        same = _meaning(one, tcp) == _meaning(other, tcp)
        assert (keys[0] == keys[1]) is same, "kubedns' keys"
    keys = [forwarder._asked(query).key for query in (one, other)]
    assert (keys[0] == keys[1]) is (_asks(one) == _asks(other)), "the forwarder's keys"
    for query, message, key in zip((one, other), messages, keys, strict=True):
        assert name_of(key) == query.folded == query.folded.lower()
        _is_a_query(query, message)
    tcp = bool(octets[0] & 8)
    _never_shows_in_kubedns(messages, tcp=tcp)
    if other.rd:  # else only what is in the cache is told
        _never_shows_in_forwarder(messages, tcp=tcp)


def _name(octets: bytes) -> bytes:
    """Return as many whole labels as there are, as a name."""
    labels: list[bytes] = []
    at = 0
    while at < len(octets) and 0 < octets[at] <= 63 and at + 1 + octets[at] <= len(octets):
        labels.append(octets[at + 1 : at + 1 + octets[at]])
        at += 1 + octets[at]
    try:
        return names.from_labels(labels)
    except names.BadNameError:
        return names.ROOT


def _message(spelled: bytes, name: bytes) -> bytes:
    """Write a query of four octets and a name; see the head of this module."""
    flags, how, edns, case = spelled
    if flags & 0x80:
        name = names.parent(name)
    if case & 1:
        name = b"".join(
            bytes((c,)) if i & case else bytes((c,)).upper() for i, c in enumerate(name)
        )
    qtype = _TYPES[how % len(_TYPES)].to_bytes(2)
    rclass = _CLASSES[how >> 6].to_bytes(2)
    head = b"id" + bytes((flags & 1 | flags & 6, flags & 0x70)) + b"\0\1\0\0\0\0\0"
    asked = name + qtype + rclass
    if not edns & 1:
        return head + b"\0" + asked
    size = _SIZES[edns >> 1 & 7].to_bytes(2)
    options = _COOKIE * (edns >> 6 & 1) + _KEEPALIVE * (edns >> 7)
    do = bytes(((edns & 0x10) << 3 | (edns & 0x20) >> 5, 0))
    return (
        head
        + b"\1"
        + asked
        + b"\0\0\x29"
        + size
        + b"\0\0"
        + do
        + len(options).to_bytes(2)
        + options
    )


def _meaning(query: Query, tcp: bool) -> tuple[object, ...]:
    """Return what kubedns' reply may depend on, but for ID and letter case."""
    edns = query.edns
    said = None if edns is None else (edns.do, edns.keepalive and tcp)
    size = 0 if edns is None or tcp else min(edns.udp_size, reply.MAX_UDP)
    flags = [query.flags >> bit & 1 for bit in (8, 5, 4)]
    return query.folded, query.qtype, query.qclass, flags, said, size


def _asks(query: Query) -> tuple[object, ...]:
    """Return what the forwarder's answer may depend on; the rest is made for each client."""
    do = query.edns is not None and query.edns.do
    return query.folded, query.qtype, query.qclass, do, query.flags & 0x10


def _is_a_query(query: Query, message: bytes) -> None:
    """A key is itself a query of that meaning: who sends just these octets may find the answer."""
    key = responder._key(query, tcp=False)
    assert isinstance(key, bytes)
    again = question.read(b"id" + key)
    assert _meaning(again, tcp=False) == _meaning(query, tcp=False)
    assert question.is_fixed_form(b"id" + key, again)
    if question.is_fixed_form(message, query) and (
        query.edns is None or message[-8:-6] == reply.udp_limit(query).to_bytes(2)
    ):
        assert message[2:] == key


def _never_shows_in_kubedns(messages: list[bytes], *, tcp: bool) -> None:
    warm = _served()
    warm.octets(messages[0], tcp=tcp)
    warm.octets(messages[0])
    found = [warm.octets(messages[1], tcp=tcp) for _ in range(3)]
    expected = _served().octets(messages[1], tcp=tcp)
    for octets in found:
        _are_the_same(octets, expected)


def _served() -> Served:
    return Served(_SERVED.cluster, _SERVED.zone, World({}))


def _never_shows_in_forwarder(messages: list[bytes], *, tcp: bool) -> None:
    warm = Replay(cache_size=10, auto=_upstream)
    for _ in range(3):  # the third time a receiver may have it
        warm.client_asks(messages[0], tcp=tcp)
    receiver = None if tcp else warm.receiver_answers(messages[1])
    expected = Replay(cache_size=10, auto=_upstream).client_asks(messages[1], tcp=tcp).octets
    if receiver is not None:
        _are_the_same(receiver.octets, expected)
    for _ in range(2):
        _are_the_same(warm.client_asks(messages[1], tcp=tcp).octets, expected)
    for key in warm.cache.entries:
        assert name_of(key) == name_of(key).lower()


def _upstream(asked: dns.message.Message) -> dns.message.Message:
    """Say what was asked: an address holds its bits."""
    made = dns.message.make_response(asked, recursion_available=True)
    (wanted,) = asked.question
    bits = 2 * bool(asked.ednsflags & 0x8000) + bool(asked.flags & 0x10) + 1
    if wanted.rdtype == dns.rdatatype.A:
        made.answer.append(dns.rrset.from_text(wanted.name, 60, "IN", "A", f"192.0.2.{bits}"))
    elif wanted.rdtype == dns.rdatatype.TXT:
        made.answer.append(dns.rrset.from_text(wanted.name, 60, "IN", "TXT", f'"{bits}"'))
    elif wanted.rdtype != dns.rdatatype.AAAA:
        made.set_rcode(3)
    return made


def _are_the_same(found: bytes | None, expected: bytes | None) -> None:
    assert found is not None
    assert expected is not None
    one, other = judge.read(found), judge.read(expected)
    if other.flags & 0x200:  # which records were left out is chance
        assert one.flags == other.flags
    else:
        assert judge.said(one) == judge.said(other)


_SERVED = serve(*_CLUSTER, world=World({}))
