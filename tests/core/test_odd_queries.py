"""
Queries that no ordinary client sends: RFC 8906's list, EDNS (RFC 6891), options, classes, counts,
and everything that is cut short. Each gets a well-formed reply with the right code, or silence.
"""

import struct

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest

from kubedns.wire import question, reply, rr
from kubedns.wire.question import WireError
from tests.builders import Served, decoded, lines, query, serve, service

NAME = "web.shop.svc.cluster.local."
SERVED = serve(service("web", ip="10.0.0.7", ports=["http:80"]))
QNAME = b"\3web\4shop\3svc\7cluster\5local\0"
QUESTION = QNAME + b"\0\1\0\1"
WHITE = b"\xab\xcd"
FORMERR, NOTIMP, REFUSED, BADVERS = 1, 4, 5, 16


def message(
    body: bytes = QUESTION, *, flags: int = 0x0100, counts: tuple[int, ...] = (1, 0, 0, 0)
) -> bytes:
    """Build a query by hand."""
    return WHITE + struct.pack(">HHHHH", flags, *counts) + body


def opt(
    options: bytes = b"", *, owner: bytes = b"\0", size: int = 1232, code: int = 0,
    version: int = 0, flags: int = 0,
) -> bytes:  # fmt: skip
    """Build an OPT record by hand."""
    fixed = struct.pack(">HHBBHH", 41, size, code, version, flags, len(options))
    return owner + fixed + options


def option(code: int, octets: bytes) -> bytes:
    """Build an EDNS option."""
    return struct.pack(">HH", code, len(octets)) + octets


def ask(octets: bytes, *, tcp: bool = False) -> dns.message.Message | None:
    """Send octets; the reply has their ID and is a response."""
    found = SERVED.octets(octets, tcp=tcp)
    if found is None:
        return None
    assert found[:2] == octets[:2]
    assert found[2] & 0x80
    # A header without question is legal here (RFC 8906), and dnspython reads it.
    return decoded(found)


def rcode(octets: bytes) -> int | None:
    """Send octets and return the full code of the reply, None for silence."""
    found = ask(octets)
    return None if found is None else int(found.rcode())


# The header


@pytest.mark.parametrize("opcode", range(1, 16))
def test_other_opcodes_are_not_implemented(opcode: int) -> None:
    """RFC 8906 3.1.1: NOTIMP with the same opcode, also without a question, also NOTIFY."""
    for octets in (
        message(flags=opcode << 11),
        message(b"", flags=opcode << 11, counts=(0, 0, 0, 0)),
        message(QUESTION + opt(), flags=opcode << 11, counts=(1, 0, 0, 1)),
    ):
        found = ask(octets)
        assert found is not None
        assert found.rcode() == NOTIMP
        assert found.opcode() == opcode


@pytest.mark.parametrize(
    ("flag", "copied"),
    [(0x0400, False), (0x0200, False), (0x0100, True), (0x0080, True), (0x0040, False),
     (0x0020, False), (0x0010, True)],
    ids=["AA", "TC", "RD", "RA", "Z", "AD", "CD"],
)  # fmt: skip
def test_flags_of_a_query(flag: int, copied: bool) -> None:
    """RFC 8906 3.1.3: whatever they are, the question is answered; Z and AD never come back."""
    for _ in range(2):
        found = SERVED.octets(message(flags=flag))
        assert found is not None
        assert decoded(found).rcode() == 0
        assert lines(decoded(found).answer) == [f"{NAME} 30 IN A 10.0.0.7"]
        flags = found[2] << 8 | found[3]
        assert bool(flags & flag) is (copied or flag == 0x0400)
        assert not flags & 0x0260


def test_a_response_is_not_answered() -> None:
    """Or two servers would talk to each other for ever."""
    for flags in (0x8000, 0x8180, 0xFFFF):
        assert SERVED.octets(message(flags=flags)) is None
        assert SERVED.octets(message(flags=flags), tcp=True) is None


@pytest.mark.parametrize("count", [0, 2, 3, 65535])
def test_not_exactly_one_question(count: int) -> None:
    """RFC 9619: FORMERR."""
    assert rcode(message(QUESTION * min(count, 3), counts=(count, 0, 0, 0))) == FORMERR
    assert rcode(message(QUESTION * min(count, 3) + opt(), counts=(count, 0, 0, 1))) == FORMERR


@pytest.mark.parametrize(
    "counts", [(1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1), (1, 0, 0, 2), (1, 9, 0, 0), (1, 0, 0, 3)]
)
def test_counts_that_promise_more_than_there_is(counts: tuple[int, ...]) -> None:
    """FORMERR."""
    assert rcode(message(counts=counts)) == FORMERR


def test_records_that_a_query_may_have() -> None:
    """IXFR's SOA, a TSIG: skipped, whatever stands in them; more are FORMERR."""
    record = b"\xc0\x0c" + struct.pack(">HHIH", 250, 255, 0, 3) + b"abc"
    assert rcode(message(QUESTION + record, counts=(1, 1, 0, 0))) == 0
    assert rcode(message(QUESTION + record, counts=(1, 0, 1, 0))) == 0
    assert rcode(message(QUESTION + opt() + record, counts=(1, 0, 0, 2))) == 0
    assert rcode(message(QUESTION + record * 2, counts=(1, 2, 0, 0))) == FORMERR
    assert rcode(message(QUESTION + record * 2, counts=(1, 0, 2, 0))) == FORMERR
    assert rcode(message(QUESTION + record * 3, counts=(1, 0, 0, 3))) == FORMERR


def test_octets_behind_the_last_record() -> None:
    """FORMERR, with and without OPT."""
    assert rcode(message(QUESTION + b"\0")) == FORMERR
    assert rcode(message(QUESTION + opt() + b"\0", counts=(1, 0, 0, 1))) == FORMERR


@pytest.mark.parametrize("length", range(12))
def test_less_than_a_header_is_silence(length: int) -> None:
    """There is nothing to answer."""
    assert SERVED.octets(message()[:length]) is None


@pytest.mark.parametrize("with_opt", [False, True])
def test_a_query_cut_short_anywhere(with_opt: bool) -> None:
    """Every prefix of a good query: silence below a header, FORMERR above, never an exception."""
    options = option(10, b"12345678") + option(11, b"") + option(65001, b"abc")
    whole = message(QUESTION + opt(options), counts=(1, 0, 0, 1)) if with_opt else message()
    for length in range(len(whole)):
        assert rcode(whole[:length]) == (None if length < 12 else FORMERR)
    assert rcode(whole) == 0


# The question


@pytest.mark.parametrize(
    "name",
    [
        b"\xc0\x0c", b"\3web\xc0\x0c", b"\x40", b"\x80abc\0", b"\x41" + b"a" * 65 + b"\0",
        b"\x3f" + b"a" * 62, b"", b"\4web\0",
    ],
)  # fmt: skip
def test_names_that_are_none(name: bytes) -> None:
    """A pointer, a reserved label type, a label that runs out of the message."""
    assert rcode(message(name)) == FORMERR
    if name and name[-1]:
        assert rcode(message(name + b"\0\1\0\1")) in (FORMERR, REFUSED)


def test_the_longest_name_and_one_octet_more() -> None:
    """255 octets are a name, 256 are none."""
    longest = (b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"a" * 61 + b"\0"
    assert len(longest) == 255
    assert rcode(message(longest + b"\0\1\0\1")) == REFUSED
    longer = (b"\x3f" + b"a" * 63) * 3 + b"\x3e" + b"a" * 62 + b"\0"
    assert rcode(message(longer + b"\0\1\0\1")) == FORMERR
    many = b"\1a" * 127 + b"\0"
    assert rcode(message(many + b"\0\1\0\1")) == REFUSED
    assert rcode(message(b"\1a" * 128 + b"\0" + b"\0\1\0\1")) == FORMERR


def test_a_long_name_of_the_zone() -> None:
    """Its negative answer fits into 512 octets with the SOA."""
    inside = (b"\x3f" + b"a" * 63) * 3 + b"\x2f" + b"a" * 47 + b"\7cluster\5local\0"
    assert len(inside) == 255
    found = ask(message(inside + b"\0\1\0\1"))
    assert found is not None
    assert found.rcode() == 3
    assert len(found.authority) == 1


@pytest.mark.parametrize("octet", [0, 1, 10, 27, 46, 92, 127, 128, 255])
def test_any_octet_may_stand_in_a_label(octet: int) -> None:
    """RFC 2181 section 11: a name is octets; the question comes back as it was."""
    label = bytes((3, 97, octet, 98))
    found = SERVED.octets(message(label + QNAME + b"\0\1\0\1"))
    assert found is not None
    assert found[3] & 15 == rr.NXDOMAIN
    assert found[12:].startswith(label + QNAME)


@pytest.mark.parametrize(
    ("rclass", "code"),
    [(1, 0), (0, REFUSED), (2, REFUSED), (3, REFUSED), (4, REFUSED), (254, REFUSED),
     (255, REFUSED), (65535, REFUSED)],
)  # fmt: skip
def test_classes(rclass: int, code: int) -> None:
    """M15: the zone is IN; CH, HS, NONE and ANY are refused."""
    assert rcode(message(QNAME + b"\0\1" + struct.pack(">H", rclass))) == code


def test_chaos_names() -> None:
    """They tell what server this is; TTL 0; other types are refused."""
    for name, text in (
        ("version.bind.", "kube-dns-py 0"), ("VERSION.BIND.", "kube-dns-py 0"),
        ("version.server.", "kube-dns-py 0"), ("hostname.bind.", "dns-0"), ("id.server.", "dns-0"),
    ):  # fmt: skip
        for rtype in ("TXT", "ANY"):
            (line,) = lines(SERVED.ask(f"{name} {rtype} CH").answer)
            assert line == f'{name} 0 CH TXT "{text}"'
    for question_ in ("version.bind. A CH", "cachesize.bind. TXT CH", "version.bind. TXT IN"):
        assert SERVED.rcode(question_) == "REFUSED"


@pytest.mark.parametrize("rtype", [0, 41, 249, 250, 251, 252, 253, 254, 255, 256, 65280, 65535])
def test_odd_types(rtype: int) -> None:
    """OPT is no question (FORMERR), transfers are refused, ANY is HINFO; all else is NODATA."""
    found = ask(message(QNAME + struct.pack(">H", rtype) + b"\0\1"))
    assert found is not None
    expected = {41: FORMERR, 251: REFUSED, 252: REFUSED}.get(rtype, 0)
    assert found.rcode() == expected
    assert len(found.answer) == (rtype == 255)


# EDNS


@pytest.mark.parametrize("size", [0, 1, 511, 512, 1232, 4096, 65535])
def test_edns_sizes(size: int) -> None:
    """RFC 6891 6.2.3: less than 512 counts as 512; ours is told back."""
    found = ask(message(QUESTION + opt(size=size), counts=(1, 0, 0, 1)))
    assert found is not None
    assert found.edns == 0
    assert found.payload == 1232
    assert found.rcode() == 0


@pytest.mark.parametrize("version", [1, 2, 100, 255])
def test_later_edns_versions(version: int) -> None:
    """RFC 6891 6.1.3, RFC 8906 8.2.5: BADVERS with our version, whatever the options are."""
    for options in (b"", option(65001, b"x"), b"\0\1\0", option(10, b"short")):
        for flags in (0, 0x8000, 0x4000):
            octets = message(
                QUESTION + opt(options, version=version, flags=flags), counts=(1, 0, 0, 1)
            )
            found = ask(octets)
            assert found is not None
            assert found.rcode() == BADVERS
            assert found.edns == 0
            assert not found.answer


@pytest.mark.parametrize("flags", [0x8000, 0x4000, 0x0001, 0x7FFF, 0xFFFF])
def test_edns_flags(flags: int) -> None:
    """RFC 8906 8.2.6: DO comes back (RFC 3225), unknown flags do not."""
    for _ in range(2):
        found = ask(message(QUESTION + opt(flags=flags), counts=(1, 0, 0, 1)))
        assert found is not None
        assert found.rcode() == 0
        assert found.ednsflags & 0xFFFF == flags & 0x8000


def test_an_extended_code_in_a_query_is_ignored() -> None:
    """Its upper eight bits mean nothing there."""
    assert rcode(message(QUESTION + opt(code=7), counts=(1, 0, 0, 1))) == 0


@pytest.mark.parametrize("code", [0, 1, 2, 3, 5, 8, 9, 12, 13, 14, 15, 16, 17, 100, 65001, 65535])
def test_unknown_options_are_ignored(code: int) -> None:
    """RFC 6891 6.1.2; also NSID, client subnet, padding: nothing of them comes back."""
    for length in (0, 1, 8, 100):
        found = ask(message(QUESTION + opt(option(code, b"x" * length) * 2), counts=(1, 0, 0, 1)))
        assert found is not None
        assert found.rcode() == 0
        assert not found.options


def test_two_opt_records() -> None:
    """RFC 6891 6.1.1: FORMERR."""
    assert rcode(message(QUESTION + opt() * 2, counts=(1, 0, 0, 2))) == FORMERR


def test_an_opt_with_an_owner_or_in_another_section() -> None:
    """FORMERR."""
    for octets in (opt(owner=b"\1a\0"), opt(owner=b"\xc0\x0c")):
        assert rcode(message(QUESTION + octets, counts=(1, 0, 0, 1))) == FORMERR
    assert rcode(message(QUESTION + opt(), counts=(1, 1, 0, 0))) == FORMERR
    assert rcode(message(QUESTION + opt(), counts=(1, 0, 1, 0))) == FORMERR


@pytest.mark.parametrize("length", range(44))
def test_cookie_lengths(length: int) -> None:
    """RFC 7873 5.2.2: 8, or 16 to 40, else FORMERR; no cookie of ours comes back."""
    found = ask(message(QUESTION + opt(option(10, b"c" * length)), counts=(1, 0, 0, 1)))
    assert found is not None
    assert found.rcode() == (0 if length == 8 or 16 <= length <= 40 else FORMERR)
    assert not found.options


@pytest.mark.parametrize("options", [b"\0", b"\0\1\0", b"\0\1\0\2a", b"\xff\xff\xff\xff"])
def test_options_cut_short(options: bytes) -> None:
    """FORMERR, with OPT back (RFC 6891 7)."""
    found = ask(message(QUESTION + opt(options), counts=(1, 0, 0, 1)))
    assert found is not None
    assert found.rcode() == FORMERR


def test_a_thousand_options() -> None:
    """They cost nothing: only the first few are looked at."""
    assert rcode(message(QUESTION + opt(option(65001, b"") * 1000), counts=(1, 0, 0, 1))) == 0


def test_tcp_keepalive() -> None:
    """RFC 7828: told over TCP to who asks, in tenths of a second; not over UDP."""
    asked = message(QUESTION + opt(option(11, b"")), counts=(1, 0, 0, 1))
    found = ask(asked, tcp=True)
    assert found is not None
    (keepalive,) = found.options
    assert int(keepalive.otype) == 11
    assert keepalive.to_wire() == struct.pack(">H", 100)
    over_udp = ask(asked)
    assert over_udp is not None
    assert not over_udp.options
    not_asked = ask(message(QUESTION + opt(), counts=(1, 0, 0, 1)), tcp=True)
    assert not_asked is not None
    assert not not_asked.options


def test_extended_errors() -> None:
    """RFC 8914: the reason, for clients that speak EDNS; no OPT for the others."""
    reply_ = SERVED.ask("example.com. A")
    assert [int(error.code) for error in reply_.extended_errors()] == [20]
    assert SERVED.ask("example.com. A", edns=False).edns == -1


def _octets(served: Served) -> set[bytes]:
    """Return the keys that a datagram can be."""
    return {key for key in served.answers.table if isinstance(key, bytes)}


def test_ready_answers_have_plain_forms_for_keys() -> None:
    """No OPT, or one without options; lower case; no odd flags. All else is parsed, then found."""
    plain = (
        query(f"{NAME} A", edns=False), query(f"{NAME} A"), query(f"{NAME} A", flags="DO"),
        query(f"{NAME} A", flags="RD"), query(f"{NAME} A", flags="CD"),
        query(f"{NAME} A", payload=512), query(f"{NAME} A", flags="AD"),
    )  # fmt: skip
    odd = (
        query("WEB.shop.svc.cluster.local. A").to_wire(),
        query(f"{NAME} A", options=[dns.edns.GenericOption(65001, b"")]).to_wire(),
        query(f"{NAME} A", flags="TC").to_wire(),
        query(f"{NAME} A", flags="AA").to_wire(),
        message(QUESTION + opt(flags=0x4000), counts=(1, 0, 0, 1)),
        message(QUESTION + opt(code=1), counts=(1, 0, 0, 1)),
        message(flags=0x0040),
        query("nope.example.com. A").to_wire(),
        query("cluster.local. SOA").to_wire(),
        message(QUESTION[:-1] + b"\xff"),
    )
    served = serve(service("web", ip="10.0.0.7"))
    for each in plain:
        assert served.octets(each.to_wire()) is not None
        assert served.octets(each.to_wire(), tcp=True) is not None
    assert _octets(served) == {each.to_wire()[2:] for each in plain}
    for octets in odd:
        assert served.octets(octets) is not None
    assert _octets(served) == {each.to_wire()[2:] for each in plain}
    # A larger size than ours means the same, and is found without parsing from then on.
    large = query(f"{NAME} A", payload=4096).to_wire()
    assert served.octets(large) is not None
    kept = served.answers.table
    assert kept[large[2:]] is kept[query(f"{NAME} A").to_wire()[2:]]


# Mutations


def test_a_good_query_with_any_octet_changed() -> None:
    """Every value of every octet: a reply that can be read, or silence; and WireError alone."""
    for whole in (
        message(),
        message(QUESTION + opt(option(10, b"12345678")), counts=(1, 0, 0, 1)),
    ):
        for place in range(2, len(whole)):
            for value in {0, 1, 2, 0x3F, 0x40, 0x7F, 0x80, 0xC0, 0xFF, whole[place] ^ 1,
                          whole[place] ^ 0x20, whole[place] + 1 & 255}:  # fmt: skip
                octets = whole[:place] + bytes((value,)) + whole[place + 1 :]
                _check_readable(octets)


def _check_readable(octets: bytes) -> None:
    try:
        read = question.read(octets)
    except WireError as error:
        if error.rcode is None:
            assert SERVED.octets(octets) is None
            return
        refusal = reply.refusal(octets, error.rcode, error.query)
        assert refusal[:2] == octets[:2]
    else:
        assert octets[12:].startswith(read.qname)
        assert read.folded == read.qname.lower()
    found = SERVED.octets(octets)
    assert found is not None
    assert found[:2] == octets[:2]
    assert len(found) <= 1232
    dns.message.from_wire(found)
