"""
What is answered here: hosts files, records of options, special-use names, refusals.

A question meets `answer` first. If that knows nothing, a route is found for it, and `inside` says
whether something keeps it from being asked there. What is asked all the same may come back with
NXDOMAIN: where `knows` tells of the name, the client hears that there is nothing of this type.

Order, as in dnsmasq 2.90: --cname, then records of the name, then --address. An --address loses to
a more specific --server, and is for addresses only: other types are asked of others.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from dnsmasq_py import special
from dnsmasq_py.addressrules import AddressRules
from dnsmasq_py.domains import is_dotless
from dnsmasq_py.options import Options
from dnsmasq_py.routing import Kind, Route
from dnsmasq_py.sentences import spoken
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone.address import reverse_name

CONFIG = "config"
_NOT_READY = (14, "no server for this name: no upstream nameservers are known")
_NO_ADDRESS = 22
_BLOCKED = 15
_OTHER = 0
_TYPES = {4: rr.A, 16: rr.AAAA}
_ADDRESS_TYPES = (rr.A, rr.AAAA, rr.ANY)

_DOTLESS_STAY = "--domain-needed: names of one label are asked of nobody"
_OPTIONS = {
    rr.A: "--host-record",
    rr.AAAA: "--host-record",
    rr.PTR: "--ptr-record or --host-record",
    rr.TXT: "--txt-record",
    rr.SRV: "--srv-host",
}
KNOWN_HERE = (_OTHER, "known by the forwarder's own records, with none of this type")
"""The extended error beside an empty NOERROR, where another server would say NXDOMAIN."""


class HostLine(NamedTuple):
    """One line of a hosts file: a packed address, names as spelled, and the file's path."""

    address: bytes
    names: tuple[bytes, ...]
    source: str


class LocalAnswer(NamedTuple):
    """
    An answer made here.

    onward: the target of the last CNAME, as spelled, which others must be asked about.
    source: "config", or the hosts file. error: an extended DNS error (RFC 8914). why: what gives
    it, for people: an option, a file, a rule of the RFCs.
    """

    rcode: int = rr.NOERROR
    answer: tuple[rr.RRset, ...] = ()
    additional: tuple[rr.RRset, ...] = ()
    authoritative: bool = True
    onward: bytes | None = None
    source: str = CONFIG
    error: tuple[int, str] | None = None
    why: str = ""


class _Record(NamedTuple):
    type: int
    ttl: int
    rdata: bytes
    source: str


class LocalData:
    """
    See the head of this module; all names are folded.

    hosts: lines of hosts files; of several with one address the first gives its PTR. rank: how
    specific the rule is that routes a name, at the moment (Routes.rank).
    """

    def __init__(
        self, options: Options, hosts: Iterable[HostLine], rank: Callable[[bytes], int]
    ) -> None:
        self._options = options
        self._rank = rank
        self._rules = AddressRules(options.addresses, options.local_ttl_s)
        self._records: dict[bytes, list[_Record]] = {}
        self._aliases: dict[bytes, tuple[bytes, int]] = {}
        self._above: set[bytes] = set()  # ancestors of names, but not of reverse names
        self._add_options()
        for line in hosts:
            self._add_host(line.names, (line.address,), None, line.source)

    def answer(self, folded: bytes, qtype: int) -> LocalAnswer | None:
        """Answer from what is configured; None: ask others."""
        if folded in self._aliases:
            return self._follow(folded, qtype)
        records = self._records.get(folded)
        if records is not None and (found := _rrsets(folded, records, qtype)):
            source = next(each.source for each in records if each.type == found[0].type)
            return LocalAnswer(
                answer=found,
                additional=self._additional(found),
                source=source,
                why=_OPTIONS[found[0].type] if source == CONFIG else f"hosts file {source}",
            )
        if self._rules and qtype in _ADDRESS_TYPES:
            rank, found = self._rules.find(folded, qtype)
            if found and rank >= self._rank(folded):
                return LocalAnswer(answer=found, why="--address")
        return None

    def inside(self, folded: bytes, qtype: int, route: Route) -> LocalAnswer | None:
        """
        Answer what must not be asked by a route, or cannot; None: ask.

        Call it again with the next route after a refusal: special names stay inside only where the
        default servers would get them.
        """
        options = self._options
        default = route.kind in (Kind.DEFAULT, Kind.REFUSED)
        if default and (
            found := special.answer(
                folded, qtype, ttl=options.local_ttl_s, bogus_priv=options.bogus_priv
            )
        ):
            error = None if found.records else (found.code, found.why)
            return LocalAnswer(found.rcode, found.records, error=error, why=found.why)
        if options.domain_needed and qtype in _ADDRESS_TYPES and is_dotless(folded):
            return self._nothing(folded, rr.NXDOMAIN, (_BLOCKED, _DOTLESS_STAY))
        if route.servers:
            return None
        match route.kind:
            case Kind.NXDOMAIN:
                return self._nothing(folded, rr.NXDOMAIN, (_BLOCKED, _local(route)))
            case Kind.REFUSED:
                return self._nothing(folded, rr.REFUSED, _NOT_READY)
            case _:
                error = (_NO_ADDRESS, f"{spoken(route)}: no usable address of its servers")
                return LocalAnswer(rr.SERVFAIL, authoritative=False, error=error, why=error[1])

    def knows(self, folded: bytes) -> bool:
        """Tell whether something is known of a name or below it, so that it surely exists."""
        if folded in self._records or folded in self._aliases or folded in self._above:
            return True
        rank = self._rules.rank(folded) if self._rules else None
        return rank is not None and rank >= self._rank(folded)

    def _nothing(self, folded: bytes, rcode: int, error: tuple[int, str]) -> LocalAnswer:
        """Answer without records: NOERROR for a known name, else as said."""
        if self.knows(folded):
            return LocalAnswer(authoritative=False, error=KNOWN_HERE, why=KNOWN_HERE[1])
        return LocalAnswer(rcode, authoritative=False, error=error, why=error[1])

    def _follow(self, folded: bytes, qtype: int) -> LocalAnswer:
        """Answer for an alias, with the records of its target where these are known here."""
        chain: list[rr.RRset] = []
        seen: set[bytes] = set()
        name = folded
        target = b""
        while name in self._aliases and name not in seen:
            seen.add(name)
            target, ttl = self._aliases[name]
            chain.append(rr.RRset(name, rr.CNAME, ttl, (target,)))
            name = target.lower()
            if qtype in (rr.CNAME, rr.ANY):
                return LocalAnswer(answer=tuple(chain), why="--cname")
        if name in seen:  # a loop leads nowhere
            return LocalAnswer(answer=tuple(chain), why="--cname, which leads in a circle")
        found = self.answer(name, qtype)
        if found is not None:
            why = f"--cname, and {found.why}"
            return found._replace(answer=(*chain, *found.answer), source=CONFIG, why=why)
        onward = None if name in self._records else target
        return LocalAnswer(answer=tuple(chain), onward=onward, why="--cname")

    def _additional(self, answer: Sequence[rr.RRset]) -> tuple[rr.RRset, ...]:
        """Return the addresses that are known here of the targets of SRV records."""
        targets = {
            rdata[6:].lower(): None
            for rrset in answer
            if rrset.type == rr.SRV
            for rdata in rrset.rdatas
        }
        return tuple(
            rrset
            for target in targets
            for rtype in (rr.A, rr.AAAA)
            for rrset in _rrsets(target, self._records.get(target, ()), rtype)
        )

    def _add_options(self) -> None:
        local = self._options.local
        for alias, target, ttl in local.cnames:
            self._aliases[alias] = target, self._ttl(ttl)
            self._note_above(alias)
        for name, pointed in local.ptrs:
            self._add(name, rr.PTR, pointed)
        for name, strings in local.txts:
            self._add(name, rr.TXT, b"".join(bytes((len(s),)) + s for s in strings))
        for name, target, port, priority, weight in local.srvs:
            self._add(name, rr.SRV, rr.srv(priority, weight, port, target))
        for hosts, addresses, ttl in local.host_records:
            self._add_host(hosts, addresses, ttl, CONFIG)

    def _add_host(
        self, hosts: Sequence[bytes], addresses: Sequence[bytes], ttl: int | None, source: str
    ) -> None:
        """Add the addresses of names, and the first of these as the addresses' PTR."""
        for address in addresses:
            for name in hosts:
                self._add(name.lower(), _TYPES[len(address)], address, ttl, source)
            pointer = reverse_name(address)
            if all(record.type != rr.PTR for record in self._records.get(pointer, ())):
                self._add(pointer, rr.PTR, hosts[0], ttl, source)

    def _add(
        self,
        name: bytes,
        rtype: int,
        rdata: bytes,
        ttl: int | None = None,
        source: str = CONFIG,
    ) -> None:
        record = _Record(rtype, self._ttl(ttl), rdata, source)
        self._records.setdefault(name, []).append(record)
        if rtype != rr.PTR:
            self._note_above(name)

    def _note_above(self, name: bytes) -> None:
        """Note that what lies above a name exists (RFC 8020), but for the root."""
        above = names.parent(name)
        while above != names.ROOT and above not in self._above:
            self._above.add(above)
            above = names.parent(above)

    def _ttl(self, ttl: int | None) -> int:
        return self._options.local_ttl_s if ttl is None else ttl


def _local(route: Route) -> str:
    return f"--local: {spoken(route)} is asked of nobody"


def _rrsets(folded: bytes, records: Sequence[_Record], qtype: int) -> tuple[rr.RRset, ...]:
    """Return the records of a type; their TTL is the smallest of one type (RFC 2181 5.2)."""
    found: dict[int, list[_Record]] = {}
    for record in records:
        if qtype in (record.type, rr.ANY):
            found.setdefault(record.type, []).append(record)
    return tuple(
        rr.RRset(
            folded,
            rtype,
            min(each.ttl for each in same),
            tuple(dict.fromkeys(each.rdata for each in same)),
        )
        for rtype, same in found.items()
    )
