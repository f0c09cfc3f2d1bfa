"""What the real servers of test_fwd_like_dnsmasq know, and what is asked of the forwarders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_HEAD = "$TTL 1200\n@ IN SOA ns hostmaster 7 3600 900 86400 600\n@ IN NS ns\nns IN A 198.18.0.53\n"

ROOT = _HEAD + 'version IN TXT "the root"\n'

ZONE = _HEAD + "\n".join(
    [
        "@ IN MX 10 mail",
        "@ IN MX 20 mail2.other.example.",
        '@ IN TXT "v=spf1 -all" "second"',
        "@ IN A 198.18.0.1",
        "www IN A 198.18.0.10",
        "www IN A 198.18.0.11",
        "www IN A 198.18.0.12",
        "www IN AAAA 2001:2::10",
        "www IN AAAA 2001:2::11",
        "www IN HTTPS 1 . alpn=h2",
        "mail IN A 198.18.0.25",
        "six IN AAAA 2001:2::6",
        "MiXeD IN A 198.18.0.26",
        "alias IN CNAME www",
        *(f"chain{i} IN CNAME chain{i + 1}" for i in range(7)),
        "chain7 IN A 198.18.0.77",
        "loop1 IN CNAME loop2",
        "loop2 IN CNAME loop1",
        "dangling IN CNAME nowhere",
        "to-stub IN CNAME www.stub.example.",
        "to-cluster IN CNAME web.shop.svc.cluster.local.",
        "to-other IN CNAME www.other.example.",
        "*.wild IN A 198.18.0.42",
        "a.b.ent IN A 198.18.0.43",
        "_sip._tcp IN SRV 10 60 5060 sip1",
        "_sip._tcp IN SRV 10 40 5060 sip2",
        "sip1 IN A 198.18.0.61",
        "sip2 IN A 198.18.0.62",
        "unknown IN TYPE65280 \\# 5 0102030405",
        'caa IN CAA 0 issue "ca.example"',
        'naptr IN NAPTR 100 10 "U" "E2U+sip" "!^.*$!sip:a@b!" .',
        "sub IN DNAME other.example.",
        "odd\\.label IN A 198.18.0.44",
        "nul\\000\\255 IN A 198.18.0.45",
        f"{'l' * 63} IN A 198.18.0.46",
        f"{'l' * 63}.{'m' * 63}.{'n' * 63}.{'o' * 45} IN A 198.18.0.47",
        f"big IN TXT {' '.join(chr(34) + chr(97 + i) * 200 + chr(34) for i in range(20))}",
        *(f"many IN A 10.1.0.{i}" for i in range(1, 101)),
        *(f"some IN A 10.2.0.{i}" for i in range(1, 41)),
        "private IN A 10.9.9.9",
        "zero 0 IN A 198.18.0.50",
        "long 604800 IN A 198.18.0.51",
        "local IN A 127.0.0.1",
        "",
    ]
)
OTHER = _HEAD + "www IN A 198.18.0.90\nmail2 IN A 198.18.0.91\n_x IN TXT under\n"
REVERSE = _HEAD + "10.0.18 IN PTR www.zone.example.\n11.0.18 IN PTR www.zone.example.\n"
STUB = _HEAD + "www IN A 198.18.0.80\nwww IN AAAA 2001:2::80\nback IN CNAME www.zone.example.\n"
CLUSTER = _HEAD + (
    "web.shop.svc 30 IN A 10.96.0.7\n_http._tcp.web.shop.svc 30 IN SRV 10 100 80 web.shop.svc\n"
    "ext.shop.svc 30 IN CNAME www.zone.example.\n"
)
CLUSTER_REVERSE = _HEAD + "7.0.96 30 IN PTR web.shop.svc.cluster.local.\n"

NAMED = {
    ".": ROOT,
    "zone.example.": ZONE,
    "other.example.": OTHER,
    "198.in-addr.arpa.": REVERSE,
}
UNBOUND = {"stub.example.": STUB}
KUBEDNS = {"cluster.local.": CLUSTER, "10.in-addr.arpa.": CLUSTER_REVERSE}

TYPES = ("A", "AAAA", "CNAME", "MX", "TXT", "SRV", "PTR", "SOA", "NS", "HTTPS", "TYPE65280", "ANY")
FEW = ("A", "AAAA", "TXT")


_NAMES = """
    . zone.example. www.zone.example. nope.zone.example. alias.zone.example. MIXED.zone.example.
    dangling.zone.example. unknown.zone.example. _sip._tcp.zone.example.
    www.stub.example. web.shop.svc.cluster.local.
    10.0.18.198.in-addr.arpa. 7.0.96.10.in-addr.arpa. nope.
"""
_FEW_NAMES = f"""
    chain0.zone.example. chain3.zone.example. loop1.zone.example.
    to-other.zone.example. x.wild.zone.example. b.ent.zone.example. www.sub.zone.example.
    nope.stub.example. nope.svc.cluster.local. stub.example. example.
    odd\\.label.zone.example. nul\\000\\255.zone.example. {"l" * 63}.zone.example.
    {"l" * 63}.{"m" * 63}.{"n" * 63}.{"o" * 45}.zone.example.
    sub.nope.zone.example. wwww.stub.example. nostub.example. zero.zone.example.
    long.zone.example. private.zone.example. local.zone.example. 9.9.9.10.in-addr.arpa.
    1.1.168.192.in-addr.arpa. 1.0.0.127.in-addr.arpa. single
"""


@dataclass(frozen=True)
class Ask:
    """One question: name, type, and how it is put; see `query` of client.py."""

    name: str
    rdtype: str
    how: dict[str, object] = field(default_factory=dict)
    tcp: bool = False
    crossing: bool = False

    def __str__(self) -> str:
        extra = " ".join(f"{key}={value}" for key, value in self.how.items())
        return f"{self.name} {self.rdtype} {extra}{' tcp' if self.tcp else ''}".strip()


CROSSING = (
    "to-stub.zone.example.",
    "to-cluster.zone.example.",
    "back.stub.example.",
    "ext.shop.svc.cluster.local.",
    "www.stub.example.",
    "web.shop.svc.cluster.local.",
    "www.zone.example.",
)
"""Aliases into the zones of other servers, and then what they lead to, with all that dnsmasq has
learnt of it from the wrong server: asked last."""


def questions(*more: str) -> Iterator[Ask]:
    """All questions for one pair of forwarders; more: names of its own options."""
    for name in [*_NAMES.split(), *more]:
        yield from (Ask(name, rdtype) for rdtype in TYPES)
    for name in _FEW_NAMES.split():
        yield from (Ask(name, rdtype) for rdtype in FEW)
    yield from (Ask(name, "PTR") for name in _FEW_NAMES.split() if name.endswith("arpa."))
    yield from (Ask("caa.zone.example.", "CAA"), Ask("naptr.zone.example.", "NAPTR"))
    yield from _put_otherwise()
    yield from _large()
    yield from _chaos()
    for name in CROSSING:
        yield from (Ask(name, rdtype, crossing=True) for rdtype in (*FEW, "MX"))


def _put_otherwise() -> Iterator[Ask]:
    for name in (
        "www.zone.example.",
        "nope.zone.example.",
        "wWw.ZoNe.eXaMpLe.",
        "WWW.STUB.EXAMPLE.",
    ):
        for rdtype in ("A", "TXT"):
            yield Ask(name, rdtype, tcp=True)
            for flags in ("RD CD", "RD AD", "RD CD AD"):
                yield Ask(name, rdtype, {"flags": flags})
            for edns in (None, 0, 512, 1232, 4096, 65535):
                yield Ask(name, rdtype, {"edns": edns})
            yield Ask(name, rdtype, {"do": True})
            yield Ask(name, rdtype, {"flags": ""})
            yield Ask(f"unseen.{name}", rdtype, {"flags": ""})


def _large() -> Iterator[Ask]:
    for name, rdtype in (("big", "TXT"), ("many", "A"), ("some", "A")):
        for edns in (None, 512, 1232, 4096):
            yield Ask(f"{name}.zone.example.", rdtype, {"edns": edns})
        yield Ask(f"{name}.zone.example.", rdtype, tcp=True)


def _chaos() -> Iterator[Ask]:
    for name in ("cachesize", "insertions", "evictions", "misses", "hits", "auth", "servers",
                 "version", "authors", "copyright", "nothing"):  # fmt: skip
        yield Ask(f"{name}.bind.", "TXT", {"rdclass": "CH"})
    yield Ask("CacheSize.BIND.", "TXT", {"rdclass": "CH"})
    yield Ask("cachesize.bind.", "A", {"rdclass": "CH"})
    yield Ask("cachesize.bind.", "ANY", {"rdclass": "CH"})
    yield Ask("hits.bind.", "TXT", {"rdclass": "CH"}, tcp=True)
    yield Ask("id.server.", "TXT", {"rdclass": "CH"})
    yield Ask("other.name.", "TXT", {"rdclass": "CH"})
    yield Ask("www.zone.example.", "A", {"rdclass": "HS"})
    yield Ask("cachesize.bind.", "TXT")
