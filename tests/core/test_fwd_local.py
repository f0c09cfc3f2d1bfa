"""What is answered from hosts files and options; the expectations are dnsmasq 2.90's answers."""

import socket
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from dnsmasq_py.hostfiles import HostsFile, parse
from dnsmasq_py.local import LocalAnswer, LocalData
from dnsmasq_py.options import Options
from dnsmasq_py.routing import Kind, Route, Routes, build
from dnsmasq_py.rules import LocalRecords, Match
from dnsmasq_py.servertext import address_rules, server_rules
from kubedns.outside.routing import Own
from kubedns.wire import name as names
from kubedns.wire import rr

TYPES = {
    "A": rr.A,
    "AAAA": rr.AAAA,
    "PTR": rr.PTR,
    "TXT": rr.TXT,
    "SRV": rr.SRV,
    "CNAME": rr.CNAME,
    "ANY": rr.ANY,
    "MX": 15,
    "HTTPS": 65,
    "SOA": rr.SOA,
}
HOSTS = b"""
10.1.0.1 web web2 WWW.Example.com
10.1.0.1 later
10.1.0.2 web
fd00::1 web six
10.1.0.3 dotted.name.   # a comment
0.0.0.0 blocked
"""
WEB6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"


def n(text: str) -> bytes:
    return names.from_text(text)


def ip(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


class Here:
    """Local data with the routes beside it."""

    def __init__(
        self,
        hosts: bytes = b"",
        *,
        servers: Sequence[str] = ("192.0.2.1",),
        addresses: Sequence[str] = (),
        records: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.options = Options(
            servers=tuple(rule for text in servers for rule in server_rules(text)),
            addresses=tuple(rule for text in addresses for rule in address_rules(text)),
            local=LocalRecords(**(records or {})),
            no_resolv=True,
            **options,
        )
        self.routes: Routes = build(
            self.options,
            SimpleNamespace(stub_domains={}, upstreams=()),
            (),
            own=Own((), lambda _: None),
            hosts=lambda _: (),
        )
        domain = self.options.domain if self.options.expand_hosts else names.ROOT
        lines, _ = parse(HostsFile("/etc/hosts", hosts), domain)
        self.data = LocalData(self.options, lines, lambda name: self.routes.rank(name))

    def answer(self, question: str) -> LocalAnswer | None:
        name, _, rtype = question.partition(" ")
        return self.data.answer(n(name).lower(), TYPES[rtype or "A"])

    def inside(self, question: str) -> LocalAnswer | None:
        name, _, rtype = question.partition(" ")
        folded = n(name).lower()
        return self.data.inside(folded, TYPES[rtype or "A"], self.routes.find(folded))

    def said(self, question: str) -> str:
        """Return the answer in one line: `rcode [AA]: records`; empty: it is asked of others."""
        found = self.answer(question) or self.inside(question)
        if found is None:
            return ""
        records = [text for rrset in found.answer for text in _texts(rrset)]
        aa = " AA" if found.authoritative else ""
        onward = f" -> {names.to_text(found.onward)}" if found.onward else ""
        text = ", ".join(records) + onward
        return f"{rr.RCODE_NAMES[found.rcode]}{aa}" + (f": {text}" if text else "")


def _texts(rrset: rr.RRset) -> list[str]:
    return [
        f"{names.to_text(rrset.owner)[:-1] or '.'} {rrset.ttl} {_rdata(rrset.type, rdata)}"
        for rdata in rrset.rdatas
    ]


def _rdata(rtype: int, rdata: bytes) -> str:
    if rtype in (rr.A, rr.AAAA):
        return socket.inet_ntop(socket.AF_INET if rtype == rr.A else socket.AF_INET6, rdata)
    if rtype in (rr.PTR, rr.CNAME):
        return names.to_text(rdata)
    if rtype == rr.SRV:
        return f"SRV {rdata[:6].hex()} {names.to_text(rdata[6:])}"
    return repr(rdata)


def check(here: Here, expected: dict[str, str]) -> None:
    assert {question: here.said(question) for question in expected} == expected


def test_names_of_hosts_files_have_their_addresses_and_nothing_else() -> None:
    check(
        Here(HOSTS),
        {
            "web": "NOERROR AA: web 0 10.1.0.1, web 0 10.1.0.2",
            "WEB": "NOERROR AA: web 0 10.1.0.1, web 0 10.1.0.2",
            "web AAAA": "NOERROR AA: web 0 fd00::1",
            "web2": "NOERROR AA: web2 0 10.1.0.1",
            "www.example.com": "NOERROR AA: www.example.com 0 10.1.0.1",
            "dotted.name": "NOERROR AA: dotted.name 0 10.1.0.3",
            "blocked": "NOERROR AA: blocked 0 0.0.0.0",
            "web TXT": "",
            "six A": "",
            "sub.web": "",
            "blocked AAAA": "",
        },
    )


def test_an_address_points_to_the_first_name_of_its_first_line() -> None:
    check(
        Here(HOSTS),
        {
            "1.0.1.10.in-addr.arpa PTR": "NOERROR AA: 1.0.1.10.in-addr.arpa 0 web.",
            "2.0.1.10.in-addr.arpa PTR": "NOERROR AA: 2.0.1.10.in-addr.arpa 0 web.",
            f"{WEB6} PTR": f"NOERROR AA: {WEB6} 0 web.",
            "9.0.1.10.in-addr.arpa PTR": "",
        },
    )


def test_expand_hosts_adds_the_domain_to_plain_names() -> None:
    check(
        Here(HOSTS, expand_hosts=True, domain=n("corp.test")),
        {
            "web": "NOERROR AA: web 0 10.1.0.1, web 0 10.1.0.2",
            "web.corp.test": "NOERROR AA: web.corp.test 0 10.1.0.1, web.corp.test 0 10.1.0.2",
            "www.example.com.corp.test": "",
            "1.0.1.10.in-addr.arpa PTR": "NOERROR AA: 1.0.1.10.in-addr.arpa 0 web.corp.test.",
        },
    )


def test_local_ttl_is_the_ttl_and_max_ttl_does_not_lower_it() -> None:
    check(Here(HOSTS, local_ttl_s=77, max_ttl_s=50), {"web2": "NOERROR AA: web2 77 10.1.0.1"})


def test_an_answer_names_the_file_it_is_from() -> None:
    here = Here(HOSTS, records={"host_records": (((n("a.t"),), (ip("10.2.0.1"),), None),)})
    found, option = here.answer("web"), here.answer("a.t")
    assert found is not None and option is not None
    assert (found.source, option.source) == ("/etc/hosts", "config")


def test_host_records_have_their_own_ttl_and_the_first_name_is_the_pointer() -> None:
    records = {
        "host_records": (
            ((n("a.t"), n("b.t")), (ip("10.2.0.1"), ip("fd01::1")), None),
            ((n("c.t"),), (ip("10.2.0.2"),), 33),
            ((n("a.t"),), (ip("10.2.0.3"),), None),
            ((n("d.t"),), (ip("10.2.0.1"),), None),
        )
    }
    check(
        Here(records=records),
        {
            "a.t": "NOERROR AA: a.t 0 10.2.0.1, a.t 0 10.2.0.3",
            "b.t AAAA": "NOERROR AA: b.t 0 fd01::1",
            "c.t": "NOERROR AA: c.t 33 10.2.0.2",
            "d.t": "NOERROR AA: d.t 0 10.2.0.1",
            "1.0.2.10.in-addr.arpa PTR": "NOERROR AA: 1.0.2.10.in-addr.arpa 0 a.t.",
            "2.0.2.10.in-addr.arpa PTR": "NOERROR AA: 2.0.2.10.in-addr.arpa 33 c.t.",
            "a.t TXT": "",
            "c.t AAAA": "",
        },
    )


CNAMES = {
    "host_records": (((n("a.t"),), (ip("10.2.0.1"),), None),),
    "txts": ((n("a.t"), (b"hello",)),),
    "cnames": (
        (n("l.t"), n("a.t"), None),
        (n("x1.t"), n("l.t"), 99),
        (n("up.t"), n("ext.example"), None),
        (n("web"), n("a.t"), None),
    ),
}


def test_an_alias_is_followed_where_its_target_is_known_here() -> None:
    check(
        Here(HOSTS, records=CNAMES),
        {
            "l.t": "NOERROR AA: l.t 0 a.t., a.t 0 10.2.0.1",
            "l.t AAAA": "NOERROR AA: l.t 0 a.t.",
            "x1.t": "NOERROR AA: x1.t 99 l.t., l.t 0 a.t., a.t 0 10.2.0.1",
            "l.t CNAME": "NOERROR AA: l.t 0 a.t.",
            "l.t TXT": "NOERROR AA: l.t 0 a.t., a.t 0 b'\\x05hello'",
            "l.t MX": "NOERROR AA: l.t 0 a.t.",
            "web": "NOERROR AA: web 0 a.t., a.t 0 10.2.0.1",
        },
    )


def test_an_alias_of_a_foreign_name_says_where_to_ask_on() -> None:
    check(
        Here(records=CNAMES),
        {
            "up.t": "NOERROR AA: up.t 0 ext.example. -> ext.example.",
            "up.t TXT": "NOERROR AA: up.t 0 ext.example. -> ext.example.",
            "up.t CNAME": "NOERROR AA: up.t 0 ext.example.",
            "up.t ANY": "NOERROR AA: up.t 0 ext.example.",
        },
    )


def test_an_alias_of_a_name_with_an_address_rule_is_followed() -> None:
    here = Here(addresses=["/z/1.2.3.4"], records={"cnames": ((n("a.t"), n("b.z"), None),)})
    check(here, {"a.t": "NOERROR AA: a.t 0 b.z., b.z 0 1.2.3.4"})
    check(here, {"a.t AAAA": "NOERROR AA: a.t 0 b.z. -> b.z."})


def test_aliases_in_a_circle_end() -> None:
    here = Here(records={"cnames": ((n("a.t"), n("b.t"), None), (n("b.t"), n("a.t"), None))})
    check(here, {"a.t": "NOERROR AA: a.t 0 b.t., b.t 0 a.t."})


def test_txt_srv_and_ptr_records() -> None:
    records = {
        "host_records": (((n("tgt.t"),), (ip("10.2.0.9"),), None),),
        "txts": ((n("a.t"), (b"hello", b"world")), (n("a.t"), (b"two",))),
        "srvs": ((n("_h._tcp.t"), n("tgt.t"), 80, 1, 2), (n("_n._tcp.t"), names.ROOT, 1, 0, 0)),
        "ptrs": ((n("p.t"), n("tgt.t")), (n("9.0.2.10.in-addr.arpa"), n("other.t"))),
    }
    here = Here(records=records)
    check(
        here,
        {
            "a.t TXT": "NOERROR AA: a.t 0 b'\\x05hello\\x05world', a.t 0 b'\\x03two'",
            "_h._tcp.t SRV": "NOERROR AA: _h._tcp.t 0 SRV 000100020050 tgt.t.",
            "_n._tcp.t SRV": "NOERROR AA: _n._tcp.t 0 SRV 000000000001 .",
            "p.t PTR": "NOERROR AA: p.t 0 tgt.t.",
            "9.0.2.10.in-addr.arpa PTR": "NOERROR AA: 9.0.2.10.in-addr.arpa 0 other.t.",
            "a.t": "",
        },
    )
    srv = here.answer("_h._tcp.t SRV")
    assert srv is not None
    assert srv.additional == (rr.RRset(n("tgt.t"), rr.A, 0, (ip("10.2.0.9"),)),)


# --address


@pytest.mark.parametrize(
    ("servers", "addresses", "expected"),
    [
        (
            "192.0.2.1",
            "/d/1.2.3.4",
            {"x.d": "NOERROR AA: x.d 0 1.2.3.4", "d": "NOERROR AA: d 0 1.2.3.4",
             "x.d AAAA": "", "x.d TXT": "", "xd": ""},
        ),
        ("192.0.2.1 /d/10.0.0.1", "/d/1.2.3.4", {"x.d": "NOERROR AA: x.d 0 1.2.3.4"}),
        (
            "192.0.2.1 /b/10.0.0.1",
            "/d.b/1.2.3.4 /d.b/1.2.3.5 /d.b/fd00::1",
            {"x.d.b": "NOERROR AA: x.d.b 0 1.2.3.4, x.d.b 0 1.2.3.5",
             "x.d.b AAAA": "NOERROR AA: x.d.b 0 fd00::1", "x.d.b TXT": "", "y.b": ""},
        ),
        (
            "192.0.2.1",
            "/d/#",
            {"x.d": "NOERROR AA: x.d 0 0.0.0.0", "x.d AAAA": "NOERROR AA: x.d 0 ::",
             "x.d TXT": ""},
        ),
        (
            "192.0.2.1",
            "/d/# /d/1.2.3.4",
            {"x.d": "NOERROR AA: x.d 0 1.2.3.4", "x.d AAAA": "NOERROR AA: x.d 0 ::"},
        ),
        (
            "192.0.2.1 /s/10.0.0.1",
            "/#/1.2.3.4",
            {"x.d": "NOERROR AA: x.d 0 1.2.3.4", "x.s": "", "s": "", "x.d AAAA": "",
             ".": "NOERROR AA: . 0 1.2.3.4"},
        ),
        (
            "192.0.2.1 /x.d/10.0.0.1",
            "/d/1.2.3.4",
            {"x.d": "", "y.x.d": "", "y.d": "NOERROR AA: y.d 0 1.2.3.4"},
        ),
        (
            "192.0.2.1 /x.d/#",
            "/d/1.2.3.4",
            {"x.d": "", "y.d": "NOERROR AA: y.d 0 1.2.3.4"},
        ),
        (
            "192.0.2.1 /x.d/",
            "/d/1.2.3.4",
            {"x.d": "NXDOMAIN", "y.d": "NOERROR AA: y.d 0 1.2.3.4"},
        ),
        (
            "192.0.2.1",
            "/x.d/fd00::1 /d/1.2.3.4",
            {"y.x.d": "NOERROR AA: y.x.d 0 1.2.3.4", "y.x.d AAAA": "NOERROR AA: y.x.d 0 fd00::1",
             "y.d AAAA": ""},
        ),
        ("192.0.2.1", "//1.2.3.4", {"x": "NOERROR AA: x 0 1.2.3.4", "x.d": "", ".": ""}),
        (
            "192.0.2.1",
            "/d/ /d/1.2.3.4",
            {"x.d": "NOERROR AA: x.d 0 1.2.3.4", "x.d AAAA": "NOERROR", "x.d TXT": "NOERROR"},
        ),
        ("192.0.2.1", "/d/", {"x.d": "NXDOMAIN", "x.d AAAA": "NXDOMAIN", "x.d TXT": "NXDOMAIN"}),
        ("192.0.2.1 /d/10.0.0.1", "/d/", {"x.d": "", "x.d TXT": ""}),
        (
            "192.0.2.1 /d/",
            "/d/1.2.3.4",
            {"x.d": "NOERROR AA: x.d 0 1.2.3.4", "x.d AAAA": "NOERROR", "x.d MX": "NOERROR"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_address_rules_as_dnsmasq_applies_them(
    servers: str, addresses: str, expected: dict[str, str]
) -> None:
    check(Here(servers=servers.split(), addresses=addresses.split()), expected)


def test_records_of_a_name_come_before_address_rules() -> None:
    here = Here(b"10.2.0.1 a.t", addresses=["/t/1.2.3.4"],
                records={"txts": ((n("b.t"), (b"x",)),)})  # fmt: skip
    check(here, {"a.t": "NOERROR AA: a.t 0 10.2.0.1", "b.t": "NOERROR AA: b.t 0 1.2.3.4"})


# What exists, and what must not be asked


def test_a_name_is_known_by_any_record_alias_or_address_rule() -> None:
    here = Here(HOSTS, addresses=["/t/1.2.3.4"], records=CNAMES)
    for name in ("web", "later", "l.t", "x.y.t", "1.0.1.10.in-addr.arpa"):
        assert here.data.knows(n(name)), name
    for name in ("sub.web", "example.org", "arpa", "."):
        assert not here.data.knows(n(name)), name


def test_a_name_above_a_known_one_exists_too() -> None:
    here = Here(HOSTS, servers=["/com/", "/t/"], records={"cnames": ((n("a.b.t"), n("x"), None),)})
    check(
        here,
        {"example.com": "NOERROR", "b.t": "NOERROR", "t": "NOERROR", "sub.example.com": "NXDOMAIN"},
    )
    assert not here.data.knows(n("10.in-addr.arpa"))


def test_a_local_domain_answers_nxdomain_but_nodata_for_known_names() -> None:
    here = Here(b"10.2.0.1 a.t", servers=["192.0.2.1", "/t/"],
                records={"cnames": ((n("c.t"), n("ext.example"), None),)})  # fmt: skip
    check(
        here,
        {
            "a.t": "NOERROR AA: a.t 0 10.2.0.1",
            "a.t AAAA": "NOERROR",
            "a.t TXT": "NOERROR",
            "c.t": "NOERROR AA: c.t 0 ext.example. -> ext.example.",
            "d.t": "NXDOMAIN",
            "sub.a.t": "NXDOMAIN",
        },
    )


def test_without_any_server_names_are_refused_and_known_names_have_nodata() -> None:
    here = Here(HOSTS, servers=[])
    check(here, {"example.org": "REFUSED", "web TXT": "NOERROR", ".": "REFUSED"})
    refused = here.inside("example.org")
    assert refused is not None and refused.error is not None
    assert refused.error[0] == 14


def test_a_stub_domain_without_addresses_fails_and_says_why() -> None:
    route = Route((n("d"), Match.SUFFIX), Kind.STUB, ())
    found = Here().data.inside(n("x.d"), rr.A, route)
    assert found is not None and found.error is not None
    assert (found.rcode, found.error[0]) == (rr.SERVFAIL, 22)


def test_domain_needed_keeps_addresses_of_plain_names_inside() -> None:
    here = Here(
        servers=["192.0.2.1", "/d/10.0.0.1", "//10.0.0.2"],
        domain_needed=True,
        records={"txts": ((n("k"), (b"v",)),)},
    )
    check(
        here,
        {
            "x": "NXDOMAIN",
            "x AAAA": "NXDOMAIN",
            "x ANY": "NXDOMAIN",
            "d": "NXDOMAIN",
            "k": "NOERROR",
            "x TXT": "",
            "x PTR": "",
            "x HTTPS": "",
            ".": "",
            "x.y": "",
            "x.d": "",
        },
    )
