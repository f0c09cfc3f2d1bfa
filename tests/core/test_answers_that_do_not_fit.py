"""Size limits and rotation: RFC 1035 4.2.1, RFC 2181 section 9, RFC 6891, the row M11, Q25, Q50."""

import random
from collections import Counter

import dns.flags
import dns.message
import dns.rdata
import pytest

from kubedns.wire import name as names
from kubedns.wire import question, reply, rr
from kubedns.wire.reply import Rotation
from tests.builders import (
    Object,
    Served,
    decoded,
    external,
    headless,
    lines,
    query,
    serve,
    service,
    slice_,
)

N = "shop.svc.cluster.local."


def _endpoints(count: int) -> list[str]:
    return [f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}" for i in range(1, count + 1)]


def _headless(count: int, **rest: object) -> list[Object]:
    addresses = _endpoints(count)
    return [
        headless(),
        *(
            slice_(addresses=addresses[i : i + 1000], name=f"db-{i}", **rest)
            for i in range(0, count, 1000)
        ),
    ]


def _first(octets: bytes, qname: bytes) -> bytes:
    """Read the address of the first record off a reply whose records all have the asked name."""
    start = 12 + len(qname) + 4
    assert octets[start : start + 12] == b"\xc0\x0c\0\1\0\1\0\0\0\x1e\0\4"
    return octets[start + 12 : start + 16]


def _asked(served: Served, question_: str, *, tcp: bool = False) -> bytes:
    """Ask for A records; return the first one's address."""
    asked = query(question_).to_wire()
    octets = served.octets(asked, tcp=tcp)
    assert octets is not None
    return _first(octets, names.from_text(question_.split()[0]))


# Cut


@pytest.mark.parametrize("count", [28, 29, 30, 31, 73, 74, 300])
@pytest.mark.parametrize("payload", [None, 512, 700, 1232, 4096])
def test_as_many_records_as_fit(count: int, payload: int | None) -> None:
    """TC=1 exactly when something is missing; no room for one more record is left over."""
    served = serve(*_headless(count))
    asked = query(f"db.{N} A", edns=payload is not None, payload=payload or 512)
    limit = min(payload or 512, 1232)
    octets = served.octets(asked.to_wire())
    assert octets is not None
    assert len(octets) <= limit
    found = decoded(octets)
    cut = bool(found.flags & dns.flags.TC)
    assert cut is (len(found.answer) < count)
    assert not cut or len(octets) + 16 > limit
    assert found.rcode() == 0
    assert (found.edns == 0) is (payload is not None)


def test_a_message_exactly_as_long_as_the_limit_is_whole() -> None:
    """Q25."""
    asked = query(f"db.{N} A").to_wire()
    overhead = 12 + (len(asked) - 12)  # header, question and OPT
    count = (1232 - overhead) // 16
    padding = (1232 - overhead) % 16
    name = "db" + "x" * padding
    served = serve(headless(name), slice_(name, addresses=_endpoints(count)))
    octets = served.octets(query(f"{name}.{N} A").to_wire())
    assert octets is not None
    assert len(octets) == 1232
    assert not decoded(octets).flags & dns.flags.TC


def test_additional_records_are_left_out_without_tc() -> None:
    """RFC 2181 section 9: a client that needs them asks for them."""
    served = serve(*_headless(6))
    found = served.ask(f"_http._tcp.db.{N} SRV", edns=False)
    assert len(found.answer) == 6
    assert len(found.additional) < 6
    assert not found.flags & dns.flags.TC
    assert len(served.ask(f"_http._tcp.db.{N} SRV").additional) == 6


def test_an_additional_rrset_is_whole_or_missing() -> None:
    """Half of a hostname's addresses would look like all of them."""
    twins = [(address, f"pod-{i % 3}") for i, address in enumerate(_endpoints(48))]
    served = serve(headless(), slice_(addresses=twins))
    for payload in range(512, 1232, 16):
        found = served.ask(f"_http._tcp.db.{N} SRV", payload=payload)
        owners = Counter(record.name for record in found.additional)
        assert set(owners.values()) <= {16}
        assert not found.flags & dns.flags.TC


def test_a_cut_answer_has_no_authority_or_additional_but_opt() -> None:
    """The room is the answer's."""
    found = serve(*_headless(300)).ask(f"_http._tcp.db.{N} SRV")
    assert found.flags & dns.flags.TC
    assert not found.additional
    assert not found.authority
    assert found.edns == 0


def test_thirty_pointers_make_a_reply_fit() -> None:
    """M11: compression; 30 records at one name with 512 octets, which plain names would not."""
    served = serve(*_headless(27))
    octets = served.octets(query(f"db.{N} A", edns=False).to_wire())
    assert octets is not None
    assert octets.count(b"\xc0\x0c") == 27
    assert not decoded(octets).flags & dns.flags.TC


def test_over_tcp_everything_that_a_message_can_hold() -> None:
    """4,090 IPv4 endpoints and more: the whole message is used, and what is missing turns."""
    served = serve(*_headless(5000))
    octets = served.octets(query(f"db.{N} A").to_wire(), tcp=True)
    assert octets is not None
    assert 65535 - 16 < len(octets) <= 65535
    found = decoded(octets)
    assert found.flags & dns.flags.TC
    assert len(found.answer) > 4080
    assert len(serve(*_headless(4000)).answer(f"db.{N} A", tcp=True)) == 4000


def test_srv_of_five_thousand_endpoints_over_tcp() -> None:
    """What does not fit is left out; nothing fails."""
    found = serve(*_headless(5000)).ask(f"_http._tcp.db.{N} SRV", tcp=True)
    assert found.rcode() == 0
    assert found.flags & dns.flags.TC
    assert len(found.answer) > 1000


def test_a_reply_that_no_record_fits_into() -> None:
    """A name so long that 512 octets hold no SRV: TC=1, and TCP has it."""
    long = "a" * 63
    name = f"_http._tcp.{long}.{long}"
    served = serve(
        headless(long, long), slice_(long, long, addresses=[("10.1.0.1", "b" * 63)]),
    )  # fmt: skip
    asked = f"{name}.svc.cluster.local. SRV"
    assert len(served.ask(asked, edns=False).answer) in (0, 1)
    assert len(served.ask(asked, tcp=True).answer) == 1


def test_cnames_come_before_what_is_cut() -> None:
    """C5 and truncation together: the chain stays, the addresses are cut and turn."""
    served = serve(*_headless(80), external(f"db.{N[:-1]}", "alias"))
    firsts = set()
    for _ in range(80):
        found = served.ask(f"alias.{N} A")
        assert found.flags & dns.flags.TC
        text = lines(found.answer)
        assert text[0].split()[3] == "CNAME"
        firsts.add(text[1].split()[-1])
    assert len(firsts) == 80


# Turned


@pytest.mark.parametrize("count", [2, 3, 7, 8, 9, 40, 300])
def test_every_record_comes_first_equally_often(count: int) -> None:
    """Q50: over n·k questions each of n addresses comes first k times, cut answers as well."""
    served = serve(*_headless(count))
    firsts = Counter(_asked(served, f"db.{N} A") for _ in range(count * 3))
    assert set(firsts.values()) == {3}
    assert len(firsts) == count


@pytest.mark.parametrize("count", [2, 7, 40])
def test_every_record_comes_first_over_tcp(count: int) -> None:
    """Answers are not kept there, so the turn is drawn: nearly equally often."""
    random.seed(1)
    served = serve(*_headless(count))
    firsts = Counter(_asked(served, f"db.{N} A", tcp=True) for _ in range(count * 100))
    assert len(firsts) == count
    assert min(firsts.values()) > 50
    assert max(firsts.values()) < 150


@pytest.mark.parametrize("other", [f"db.{N} AAAA", f"web.{N} A", f"nope.{N} A"])
@pytest.mark.parametrize("count", [2, 3])
def test_turning_over_tcp_is_not_coupled_to_other_questions(other: str, count: int) -> None:
    """Resolvers ask for A and AAAA in turn: that must not make one address the first for ever."""
    random.seed(1)
    served = serve(*_headless(count), service("web", ip="10.9.0.7"))
    firsts: Counter[bytes] = Counter()
    for _ in range(count * 100):
        for _ in range(count - 1):
            served.ask(other, tcp=True)
        firsts[_asked(served, f"db.{N} A", tcp=True)] += 1
    assert len(firsts) == count
    assert min(firsts.values()) > 50


def test_every_record_is_in_a_cut_answer_equally_often() -> None:
    """Not only the first place turns: no endpoint is left out more than another."""
    served = serve(*_headless(100))
    seen: Counter[str] = Counter()
    for _ in range(100):
        seen.update(served.answer(f"db.{N} A"))
    assert len(seen) == 100
    assert len(set(seen.values())) == 1


def test_letter_case_and_options_turn_as_well() -> None:
    """0x20 clients and those with cookies share the turns of all others."""
    served = serve(*_headless(5))
    asked = [f"DB.{N} A", f"db.{N} A", f"dB.{N} A", f"Db.{N} A", f"db.{N} A"]
    assert len({_asked(served, each) for each in asked}) == 5


def test_where_turning_starts_differs() -> None:
    """Replicas that start together must not send everybody to one endpoint."""
    firsts = {_asked(serve(*_headless(50)), f"db.{N} A") for _ in range(20)}
    assert len(firsts) > 5


def test_one_record_does_not_turn() -> None:
    """All replies are the same octets."""
    served = serve(service("web", ip="10.0.0.7"))
    asked = query(f"web.{N} A").to_wire()
    assert len({served.octets(asked) for _ in range(5)}) == 1


# compose, whatever is put into it


def _random_name(rng: random.Random) -> bytes:
    labels = rng.choices([b"a", b"b", b"ab", b"svc", b"cluster", b"x" * 63, b"\0.", b"A"], k=4)
    return names.from_labels([*labels[: rng.randrange(4)], b"cluster", b"local"])


def _random_rrset(rng: random.Random) -> rr.RRset:
    count = rng.choice((1, 1, 2, 5, 9, 40))
    rtype = rng.choice((rr.A, rr.AAAA, rr.SRV, rr.PTR, rr.NS, rr.TXT, rr.CNAME, rr.SOA))
    make = {
        rr.A: lambda: rng.randbytes(4),
        rr.AAAA: lambda: rng.randbytes(16),
        rr.SRV: lambda: rr.srv(10, 1, rng.randrange(65536), _random_name(rng)),
        rr.TXT: lambda: rr.txt("x" * rng.randrange(256)),
        rr.SOA: lambda: rr.soa(
            _random_name(rng), _random_name(rng), serial=rng.randrange(1 << 32),
            refresh=1, retry=2, expire=3, minimum=4,
        ),
    }.get(rtype, lambda: _random_name(rng))  # fmt: skip
    rdatas = tuple(dict.fromkeys(make() for _ in range(count)))
    return rr.RRset(_random_name(rng), rtype, rng.randrange(1 << 31), rdatas)


def _plain(rrset: rr.RRset) -> set[tuple[str, int, int, str]]:
    """Take an RRset apart with dnspython's reader of uncompressed RDATA."""
    owner = names.to_text(rrset.owner).lower()
    return {
        (owner, rrset.ttl, rrset.type,
         dns.rdata.from_wire(1, rrset.type, rdata, 0, len(rdata)).to_text().lower())
        for rdata in rrset.rdatas
    }  # fmt: skip


def _sections(message: dns.message.Message) -> list[set[tuple[str, int, int, str]]]:
    return [
        {
            (names.to_text(record.name.to_wire()).lower(), record.ttl, int(record.rdtype),
             rdata.to_text().lower())
            for record in section for rdata in record
        }
        for section in (message.answer, message.authority, message.additional)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(150))
def test_what_is_composed_is_what_another_reader_decodes(seed: int) -> None:
    """Random RRsets in random sections and limits: compression is right, nothing is torn."""
    rng = random.Random(seed)
    asked = question.read(
        b"\0\1\1\0\0\1\0\0\0\0\0\0" + _random_name(rng) + bytes((0, rng.choice((1, 33)), 0, 1))
    )
    if rng.random() < 0.7:
        asked.edns = question.Edns(4096, do=rng.random() < 0.5, keepalive=rng.random() < 0.5)
    sections = [[_random_rrset(rng) for _ in range(rng.choice((0, 1, 1, 2, 4)))] for _ in range(3)]
    limit = rng.choice((512, 1232, 4096, 65535))
    error = (14, "not ready") if rng.random() < 0.3 else None
    turns = reply.compose(
        asked, limit=limit, rcode=rng.choice((0, 2, 3, 5, 16)), authoritative=True,
        answer=sections[0], authority=sections[1], additional=sections[2], error=error,
        keepalive_ms=10_000,
    )  # fmt: skip
    expected = [set().union(*(_plain(rrset) for rrset in section)) for section in sections]
    for turn in turns:
        octets = b"\0\1" + turn
        assert len(octets) <= limit
        message = decoded(octets)
        found = _sections(message)
        assert all(got <= wanted for got, wanted in zip(found, expected, strict=True))
        cut = found[:2] != expected[:2]
        assert bool(message.flags & dns.flags.TC) is cut, "TC when answer or authority was cut"
        if limit == 65535:
            assert found == expected


def test_turns_are_a_sequence() -> None:
    """Those that are cut out when asked behave as those that are ready."""
    asked = question.read(query(f"db.{N} A").to_wire())
    answer = rr.RRset(asked.qname, rr.A, 30, tuple(bytes((10, 0, 0, i)) for i in range(20)))
    turns = reply.compose(asked, limit=1232, answer=[answer])
    assert isinstance(turns, Rotation)
    assert len(turns) == 20
    assert turns[3:5] == [turns[3], turns[4]]
    assert len(set(turns)) == 20
    with pytest.raises(IndexError):
        turns[20]
    whole = [set(lines(decoded(b"\0\1" + turn).answer)) for turn in turns]
    assert all(each == whole[0] for each in whole)
