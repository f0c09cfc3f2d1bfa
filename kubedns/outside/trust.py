"""
What is kept of a reply: the chain that begins at the asked name, and the proof that it ends.

A server may add anything to a reply. Only what answers the question is passed on: the CNAMEs and
DNAMEs in their order, the records of the asked type at their end, or the SOA that makes their
absence known. Where the chain reaches a name that others are asked about, it is cut: these servers
have no say in it (RFC 2181 5.4.1 in spirit; cf. the MaginotDNS attack).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.response import Response

MAX_CHAIN = 16
_DNAME = 39
_RRSIG = 46
_PROOFS = (47, 50)  # NSEC, NSEC3


@dataclass(frozen=True, slots=True)
class Kept:
    """onward: the name behind the last link that other servers must be asked about."""

    answer: tuple[rr.RRset, ...]
    authority: tuple[rr.RRset, ...] = ()
    onward: bytes | None = None


def keep(response: Response, *, do: bool, leaves: Callable[[bytes], bool]) -> Kept:
    """
    Return the part of a reply that answers its question.

    do: the client wants DNSSEC records, which are passed on unread. leaves tells whether a folded
    name is for others to answer; the asked name itself is not.
    """
    owned = _by_owner(response.answer)
    answer: list[rr.RRset] = []
    name = response.qname
    seen: set[bytes] = set()
    while name not in seen and len(seen) < MAX_CHAIN:
        seen.add(name)
        here = owned.get(name, [])
        if found := here if response.qtype == rr.ANY else _of_type(here, response.qtype, do):
            return Kept((*answer, *found), _authority(response, None, do))
        links, target = _link(owned, name, do)
        if not target:
            break
        answer += links
        name = target.lower()
        if leaves(name):
            return Kept(tuple(answer), onward=target)
    return Kept(tuple(answer), _authority(response, name, do))


def _by_owner(rrsets: Iterable[rr.RRset]) -> dict[bytes, list[rr.RRset]]:
    owned: dict[bytes, list[rr.RRset]] = {}
    for rrset in rrsets:
        owned.setdefault(rrset.owner, []).append(rrset)
    return owned


def _link(
    owned: Mapping[bytes, list[rr.RRset]], name: bytes, do: bool
) -> tuple[list[rr.RRset], bytes]:
    """Return the link that leads on from a name, and where to; no target: there is none."""
    for _, ancestor in names.suffixes(names.parent(name)):
        if found := _of_type(owned.get(ancestor, []), _DNAME, do):
            target = name[: -len(ancestor)] + found[0].rdatas[0]
            if len(target) > names.MAX_NAME:
                return [], b""
            # Made anew: so it surely fits, and is there even if the server left it out.
            return [*found, rr.RRset(name, rr.CNAME, found[0].ttl, (target,))], target
    if found := _of_type(owned.get(name, []), rr.CNAME, do):
        # A second CNAME at one name is an error; the chain would be none.
        target = found[0].rdatas[0]
        return [found[0]._replace(rdatas=(target,)), *found[1:]], target
    return [], b""


def _authority(response: Response, missing: bytes | None, do: bool) -> tuple[rr.RRset, ...]:
    """Return the SOA above a name that has nothing (None: all is there), and the proofs of it."""
    kept: list[rr.RRset] = []
    for owner, rrsets in _by_owner(response.authority).items():
        if missing is not None and names.is_below(missing, owner):
            kept += _of_type(rrsets, rr.SOA, do)
        if do:
            for rtype in _PROOFS:
                kept += _of_type(rrsets, rtype, do)
    return tuple(kept)


def _of_type(rrsets: Iterable[rr.RRset], rtype: int, do: bool) -> list[rr.RRset]:
    """Return the RRset of a type; when DNSSEC is wanted also the signatures over it."""
    covered = rtype.to_bytes(2)
    found: list[rr.RRset] = []
    signatures: list[rr.RRset] = []
    for rrset in rrsets:
        if rrset.type == rtype:
            found.append(rrset)
        elif rrset.type == _RRSIG and do and rrset.rdatas[0][:2] == covered:
            signatures.append(rrset)
    return [*found, *signatures] if found else []
