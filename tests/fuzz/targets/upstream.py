"""
What upstreams send, from the socket's check on: read, kept, given to clients, cut to fit.

RDATA of a type that nobody has to know is passed on as it is (RFC 3597), so dnspython judges only
replies to messages that it could read itself.

The first octet picks the question, the second one how the client asked; the rest stands behind the
question, which the dialer has compared.
"""

from dnsmasq_py import scrub, stored
from dnsmasq_py.scrub import Accepted
from dnsmasq_py.stored import Ready, Stored
from kubedns.wire import name as names
from kubedns.wire import question as questions
from kubedns.wire import reply, response, rr
from kubedns.wire.question import Query, WireError
from kubedns.wire.response import Response
from tests.fuzz import judge
from tests.fwdreplay import Replay, asked_of

MAX_LEN = 900
TOKENS = (
    b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04", b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x02\xc0\x10",
    b"\xc0\x10\0\x06\0\x01\0\0\0\x3c\0", b"\0\0\x29\x04\xd0\0\0\0\0\0\0", b"\0\x0f\0\x0c",
    b"\xc0\x0c\0\x1c\0\x01\0\0\0\x3c\0\x10", b"\x80\0\0\0", b"\0\x21\0\x01", b"\xc0\x2d",
    b"\x03web\x04shop\x03svc\x07cluster\x05local\0",
)  # fmt: skip
_NAMES = ("www.example.com", "web.shop.svc.cluster.local", "a.stub.example")
_TYPES = (rr.A, rr.AAAA, 15, rr.SRV, rr.SOA, rr.ANY, rr.CNAME, 65)
_LIMITS = (512, 600, 1232, 65535)
_MAX_QUESTIONS = 20


def check(octets: bytes) -> None:
    """Assert all that must hold for one reply."""
    if len(octets) < 10:
        return
    pick, how = octets[:2]
    name = names.from_text(_NAMES[pick % len(_NAMES)])
    qtype = _TYPES[pick // len(_NAMES) % len(_TYPES)]
    question = name + bytes((0, qtype, 0, rr.IN))
    flags = bytes((0x80 | octets[2] & 0x07, octets[3]))
    message = b"id" + flags + b"\0\1" + octets[4:10] + question + octets[10:]
    asked = _asked(question, how)
    try:
        accepted = scrub.read(message, name, qtype)
    except WireError:
        accepted = None
    _long_way(message, name, qtype, accepted)
    if accepted is not None and accepted.octets is not None:
        _is_kept(message, accepted, asked, how)
    _all_the_way(message, asked)


def _asked(question: bytes, how: int) -> Query:
    """Make a client's query: RD, CD, AD, with EDNS or without, DO, a size, letter case."""
    spelled = question[:-4].upper() if how & 0x40 else question[:-4]
    spelled = spelled.replace(b"\x03COM", b"\x03com")
    head = b"xy" + bytes((1, how & 0x30)) + b"\0\1\0\0\0\0\0"
    if not how & 1:
        return questions.read(head + b"\0" + spelled + question[-4:])
    size = (512, 1232, 4096, 100)[how >> 2 & 3].to_bytes(2)
    opt = b"\0\0\x29" + size + bytes((0, 0, (how & 2) << 6, 0, 0, 0))
    return questions.read(head + b"\1" + spelled + question[-4:] + opt)


def _long_way(message: bytes, name: bytes, qtype: int, accepted: Accepted | None) -> None:
    """Take the long way: where the short one said yes, it must say the same."""
    try:
        slow = scrub.read(message, name, qtype, plain=False)
    except WireError:
        assert accepted is None, "the short way takes what the long one refuses"
        return
    if accepted is not None:
        assert (accepted.rcode, accepted.ad) == (slow.rcode, slow.ad)
        if accepted.rcode != rr.NOERROR:
            assert accepted.error == slow.error
    else:
        raise AssertionError("the short way refuses what the long one takes")


def _is_kept(message: bytes, accepted: Accepted, asked: Query, how: int) -> None:
    """What is kept octet by octet means the same in our replies, whole, cut, aged and turned."""
    said = response.read(message)
    readable = judge.read_or_none(message) is not None
    assert accepted.octets is not None
    kept = Stored(accepted.octets, accepted.ttls, accepted.cycle, accepted.ttl, 100.0, None)
    kept.error = accepted.error
    ttls, cycle = stored.scan(kept.octets)
    assert (kept.ttls, kept.cycle) == (ttls, cycle)
    assert kept.is_negative is not any(each.type == asked.qtype for each in said.answer)
    least = [each.ttl for each in (*said.answer, *said.authority)]
    least += [int.from_bytes(each.rdatas[0][-4:]) for each in said.authority]
    assert kept.ttl == min(ttl if ttl < 1 << 31 else 0 for ttl in least)
    limit = _LIMITS[how >> 6 & 3]
    for turn in range(4):
        whole = kept.reply(asked, 9, limit, turn)
        judge.belongs(asked.id + message[2:3] + b"\0\0\1" + bytes(6) + asked.octets, whole, limit)
        _is_the_same(said, whole, readable=readable)
    ready = Ready(b"", kept, asked, None, lambda _: None)
    if kept.ttl and ready.age(100.5) and ready.size <= reply.udp_limit(asked):
        for turn in ready.turns:
            _is_the_same(said, asked.id + turn, readable=readable)
            assert len(turn) + 2 == ready.size


def _is_the_same(said: Response, whole: bytes, *, readable: bool) -> None:
    ours = response.read(whole)
    cut = bool(ours.flags & response.TC)
    if readable:
        judge.read(whole)
    before = {(r.owner, r.type, rdata) for r in said.answer for rdata in r.rdatas}
    after = {(r.owner, r.type, rdata) for r in ours.answer for rdata in r.rdatas}
    assert after <= before
    assert cut or after == before
    assert ours.rcode == said.rcode & 15


def _all_the_way(message: bytes, asked: Query) -> None:
    """
    Let a forwarder ask for it, and whatever its CNAMEs lead to.

    The client gets one reply that fits; the next one gets the same. Nothing is kept under a name
    that was not asked for, and no cluster's name is believed of a server outside.
    """
    replay = Replay(cache_size=20)
    query = _octets(asked)
    first = replay.client_asks(query)
    questions_asked = set()
    for number in range(_MAX_QUESTIONS):
        if not replay.waiting:
            break
        attempt = replay.waiting[0]
        questions_asked.add(attempt.octets.lower()[:-4] + attempt.octets[-4:])
        asked_of(attempt)
        if number == 0:
            octets = (
                message[:2] + message[2:12] + attempt.octets + message[12 + len(asked.octets) :]
            )
            if not replay.deliver(attempt, octets) and attempt.open:
                attempt.exchange.failed(attempt, "broken", replay.clock.now)
        else:
            replay.deliver(attempt, b"\0\0\x81\x80\0\1\0\0\0\0\0\0" + attempt.octets)
        replay.settle()
    replay.time_passes(6)
    judge.belongs(query, first.octets, reply.udp_limit(asked))
    read = response.read(first.octets)
    readable = judge.read_or_none(message) is not None
    assert not readable or judge.read(first.octets)
    assert replay.is_quiet()
    for key, entry in replay.cache.entries.items():
        assert key[:-1] in questions_asked, "kept under a name that nobody asked for"
        assert key[:-5] == key[:-5].lower()
        response.read(b"\0\0" + entry.octets)
        ttls, cycle = stored.scan(entry.octets)
        assert (entry.ttls, entry.cycle) == (ttls, cycle)
    assert len(replay.cache.entries) <= len(questions_asked)
    again = replay.client_asks(query)
    if again.replies and not read.flags & response.TC:
        assert _answer(again.octets) == _answer(first.octets)


def _answer(whole: bytes) -> set[tuple[bytes, int, bytes]]:
    said = response.read(whole)
    return {(r.owner, r.type, rdata) for r in said.answer for rdata in r.rdatas}


def _octets(asked: Query) -> bytes:
    """Write a query again."""
    head = asked.id + asked.flags.to_bytes(2) + b"\0\1\0\0\0\0\0"
    if asked.edns is None:
        return head + b"\0" + asked.octets
    size, do = asked.edns.udp_size, asked.edns.do
    return (
        head
        + b"\1"
        + asked.octets
        + b"\0\0\x29"
        + size.to_bytes(2)
        + bytes((0, 0, do << 7, 0, 0, 0))
    )
