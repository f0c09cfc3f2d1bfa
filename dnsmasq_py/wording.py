"""
How dnsmasq 2.90 spells questions and answers in its log.

An answer is a list of texts `NAME is WHAT`, without the source in front. Names are in presentation
form without the final dot; octets that do not print are escaped, for dnsmasq's own
`<name unprintable>` helps nobody.
"""

from collections.abc import Iterator, Sequence

from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone import address

REPLY = "reply"
CACHED = "cached"
STALE = "cached-stale"
_FOREIGN = (REPLY, CACHED, STALE)  # sources of what others said

MAX_RECORDS = 50  # of one answer in the log; the rest is one line

# dnsmasq's own names of types, in runs from a first number; any other is `type=N`.
_RUNS = {
    1: "A NS MD MF CNAME SOA MB MG MR NULL WKS PTR HINFO MINFO MX TXT RP AFSDB X25 ISDN RT NSAP "
    "NSAP_PTR SIG KEY PX GPOS AAAA LOC NXT EID NIMLOC SRV ATMA NAPTR KX CERT A6 DNAME SINK OPT "
    "APL DS SSHFP IPSECKEY RRSIG NSEC DNSKEY DHCID NSEC3 NSEC3PARAM TLSA SMIMEA",
    55: "HIP NINFO RKEY TALINK CDS CDNSKEY OPENPGPKEY CSYNC ZONEMD SVCB HTTPS",
    99: "SPF UINFO UID GID UNSPEC NID L32 L64 LP EUI48 EUI64",
    249: "TKEY TSIG IXFR AXFR MAILB MAILA ANY URI CAA AVC DOA AMTRELAY RESINFO",
    32768: "TA DLV",
}
_TYPES = {first + i: name for first, run in _RUNS.items() for i, name in enumerate(run.split())}

_RCODES = {rr.SERVFAIL: "SERVFAIL", rr.REFUSED: "REFUSED", rr.NOTIMP: "not implemented"}
# Extended DNS errors (RFC 8914) in dnsmasq's words.
_EDE = {
    0: "other",
    3: "stale answer",
    4: "forged",
    13: "cached error",
    14: "not ready",
    15: "blocked",
    16: "censored",
    17: "filtered",
    18: "prohibited",
    19: "stale NXDOMAIN",
    20: "not authoritative",
    21: "not supported",
    22: "no reachable authority",
    23: "network error",
    24: "invalid data",
}
_NODATA = {rr.A: "NODATA-IPv4", rr.AAAA: "NODATA-IPv6"}
_REVERSE_BITS = {4: 32, 16: 128}


def type_text(qtype: int) -> str:
    """Name a type."""
    return _TYPES.get(qtype) or f"type={qtype}"


def name_text(name: bytes) -> str:
    """Write a name."""
    return names.to_text(name).removesuffix(".") or "."


def printable(octets: bytes) -> str:
    """Write text, with `\\DDD` for what is not printable ASCII."""
    return "".join(chr(o) if 32 <= o < 127 else f"\\{o:03d}" for o in octets)


def error(rcode: int, ede: int | None = None) -> str:
    """Tell of an error; ede: the extended error that went with it."""
    reason = "" if ede is None else f" (EDE: {_EDE.get(ede, 'unknown')})"
    return f"error is {_rcode(rcode)}{reason}"


def answer(
    source: str, name: bytes, qtype: int, rcode: int, rrsets: Sequence[rr.RRset]
) -> Iterator[str]:
    """
    Tell of an answer: its records, and that there are none or no such name.

    source: REPLY, CACHED, STALE, or what local data is from. name: what was asked; rrsets: of the
    answer section, in the order of their chain.
    """
    # dnsmasq writes a reverse name as the address that it means, but when a server denied it.
    reverse = _reverse_text(name) if qtype == rr.PTR else None
    number = 0
    for rrset in rrsets:
        for rdata in rrset.rdatas:
            number += 1
            if number <= MAX_RECORDS:
                yield from _record(source, rrset, rdata, qtype, reverse)
    if number > MAX_RECORDS:
        yield f"{name_text(name)} is <{number - MAX_RECORDS} more records>"
    if rcode not in (rr.NOERROR, rr.NXDOMAIN):
        yield error(rcode) if source in _FOREIGN else f"{name_text(name)} is {_rcode(rcode)}"
        return
    missing = rcode == rr.NXDOMAIN
    if missing or not any(qtype in (rrset.type, rr.ANY) for rrset in rrsets):
        end = _end_of_chain(name, qtype, rrsets)
        text = reverse if reverse and end == name and source != REPLY else name_text(end)
        yield f"{text} is {'NXDOMAIN' if missing else _NODATA.get(qtype, 'NODATA')}"


def _rcode(rcode: int) -> str:
    return _RCODES.get(rcode) or str(rcode)


def _record(
    source: str, rrset: rr.RRset, rdata: bytes, qtype: int, reverse: str | None
) -> Iterator[str]:
    owner = name_text(rrset.owner)
    if rrset.type == qtype and rrset.type in (rr.A, rr.AAAA):
        yield f"{owner} is {address.unpack(rdata)}"
    elif rrset.type == qtype == rr.PTR and reverse:
        yield f"{reverse} is {name_text(rdata)}"
    elif rrset.type == qtype == rr.TXT and source in _FOREIGN:
        yield from (f"{owner} is {string}" for string in _strings(rdata))
    else:
        yield f"{owner} is <{type_text(rrset.type)}>"


def _strings(rdata: bytes) -> Iterator[str]:
    i = 0
    while i < len(rdata):
        yield printable(rdata[i + 1 : i + 1 + rdata[i]])
        i += 1 + rdata[i]


def _end_of_chain(name: bytes, qtype: int, rrsets: Sequence[rr.RRset]) -> bytes:
    if qtype not in (rr.CNAME, rr.ANY):
        for rrset in reversed(rrsets):
            if rrset.type == rr.CNAME:
                return rrset.rdatas[0]
    return name


def _reverse_text(name: bytes) -> str | None:
    """Return the address that a reverse name stands for; None: it names none, or a whole net."""
    found = address.from_reverse(name.lower())
    if found is None or found[1] != _REVERSE_BITS[len(found[0])]:
        return None
    return address.unpack(found[0])
