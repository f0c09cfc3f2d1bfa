"""Why an answer of ours may differ from dnsmasq's: each reason, and the cases that it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.forwarder.seen import Records, Seen
from tests.forwarder.zones import Ask

DAY_S = 86400


@dataclass(frozen=True)
class Case:
    """One difference; what: the field, see seen.py."""

    configuration: str
    asked: Ask
    again: bool
    what: str
    ours: Seen
    theirs: Seen

    @property
    def chaos(self) -> bool:
        """Whether the class is another one than IN."""
        return "rdclass" in self.asked.how

    @property
    def rd(self) -> bool:
        """Whether recursion was desired."""
        return "RD" in str(self.asked.how.get("flags", "RD"))

    @property
    def owner(self) -> str:
        """The asked name in lower case."""
        return self.asked.name.lower()


def _ttls(seen: Seen) -> list[int]:
    return [*seen.answer.values(), *seen.authority.values()]


def _one_ttl(case: Case) -> bool:
    ours, theirs = _ttls(case.ours), _ttls(case.theirs)
    return (
        case.what.endswith("TTL")
        and len(set(ours)) == 1
        and bool(theirs)
        and ours[0] <= min(theirs) + 1
    )


def _types(records: Records) -> set[str]:
    return {rtype for _, rtype, _ in records}


def _cut(case: Case) -> bool:
    return (
        "TC" in case.ours.flags
        and "TC" in case.theirs.flags
        and case.what == "answer"
        and not case.theirs.answer
        and bool(case.ours.answer)
    )


REASONS: dict[str, Callable[[Case], bool]] = {
    "RD=0 is answered from cache and local data, all else is REFUSED": lambda case: (
        not case.rd and case.ours.rcode == "REFUSED"
    ),
    "a name that an alias leads to is looked up at its own servers": lambda case: (
        case.asked.crossing
    ),
    "ANY gets a minimal answer (RFC 8482)": lambda case: (
        case.asked.rdtype == "ANY" and not case.chaos
    ),
    "REFUSED of the cluster's server: the next route is asked": lambda case: (
        case.configuration == "manifest" and case.owner.endswith(".in-addr.arpa.")
    ),
    "AA is for what is known here, not for what a server said": lambda case: (
        case.what == "AA" and "AA" not in case.ours.flags
    ),
    "additional records of servers are not passed on": lambda case: (
        case.what.startswith("additional") and not case.ours.additional
    ),
    "no TTL is longer than a day": lambda case: (
        case.what == "answer TTL" and {*case.ours.answer.values()} == {DAY_S}
    ),
    "other classes are refused here": lambda case: (
        case.chaos and case.owner in ("www.zone.example.", "other.name.")
    ),
    "an answer has one TTL, the least of its records": _one_ttl,
    "dnsmasq answers SOA with the proof of a negative answer, and its TTL": lambda case: (
        case.asked.rdtype == "SOA" and case.what == "answer TTL"
    ),
    "dnsmasq gives the SOA that it has, not the one with TTL 0 that BIND sent": lambda case: (
        case.asked.rdtype == "SOA" and set(_ttls(case.ours)) == {0}
    ),
    "what does not fit is cut, dnsmasq sends nothing of it": _cut,
    "dnsmasq keeps no DNAME": lambda case: (
        "DNAME" in _types(case.ours.answer) and "DNAME" not in _types(case.theirs.answer)
    ),
    "dnsmasq adds the SOA of a negative answer that it happens to have": lambda case: (
        case.what == "authority" and "AA" in case.ours.flags and not case.ours.authority
    ),
    "an alias of --cname is completed, whoever knows its target": lambda case: (
        case.owner == "c3.zone.example."
    ),
    "a filter takes addresses out, and leaves proofs in; dnsmasq takes out both": lambda case: (
        case.configuration in ("filters", "ttls")
        and case.what in ("authority", "ede", "answer")
        and case.asked.rdtype == ("AAAA" if case.configuration == "filters" else "A")
        and not case.theirs.authority
    ),
    "what is taken out for its addresses need not be cut": lambda case: (
        case.configuration in ("ttls", "rebind")
        and case.what in ("TC", "ede")
        and case.asked.rdtype == "A"
        and "TC" in case.theirs.flags
    ),
    "a name known here exists, whatever the type": lambda case: (
        case.configuration == "local_data"
        and case.owner.endswith(".in-addr.arpa.")
        and (case.ours.rcode, case.theirs.rcode) == ("NOERROR", "NXDOMAIN")
    ),
    "bounds of TTLs show from the first answer on": lambda case: (
        case.configuration == "ttls" and case.what.endswith("TTL") and not case.again
    ),
    "a failure says why, and that it is remembered (RFC 8914)": lambda case: (
        case.what == "ede" and case.ours.rcode in ("SERVFAIL", "REFUSED") and bool(case.ours.ede)
    ),
    "what is not there says which rule of ours is why (RFC 8914)": lambda case: (
        case.what == "ede"
        and case.ours.rcode in ("NOERROR", "NXDOMAIN")
        and case.ours.ede in ([0], [15])
        and not case.theirs.ede
    ),
    "a failure has no answer, and says so": lambda case: (
        case.ours.rcode == "SERVFAIL" and case.what in ("answer", "ede")
    ),
    "localhost and its addresses stay here (RFC 6761)": lambda case: (
        case.owner == "1.0.0.127.in-addr.arpa."
    ),
    "we are not dnsmasq": lambda case: (
        case.chaos and case.owner in ("version.bind.", "authors.bind.", "copyright.bind.")
    ),
    "dnsmasq finds its statistics in class IN too": lambda case: (
        case.owner == "cachesize.bind." and not case.chaos and case.what == "rcode"
    ),
}


def reason(case: Case) -> str | None:
    """Name the reason for a difference; None: there is none."""
    return next((text for text, is_for in REASONS.items() if is_for(case)), None)
