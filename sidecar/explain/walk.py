"""
How a resolver goes through the search list: a machine without IO.

A walk is a generator: it yields the name to ask for next, of which all types are asked at the same
time, and is sent one Reply for each type. It returns how it ended: ANSWER, NOT_FOUND or FAILURE.

glibc (resolv/res_query.c, __res_context_search; the same since 2.3 but for details):
- a name with at least ndots dots is tried as it is first, any other one last, and both go through
  the whole search list; a final dot ends that: only the name itself is asked.
- it goes on after NXDOMAIN, after NODATA and after SERVFAIL; any other failure (REFUSED, silence)
  ends the search, but the name as it is is still tried.
- A and AAAA are asked together (with single-request one after the other, the same names): it is
  found if either has records. A failure of the one counts only if the other has no reply either.
musl (1.1.13 and later, src/network/lookup_name.c, name_from_dns_search):
- a name with at least ndots dots is tried as it is, and nothing else: the search list is not used.
- any other one goes through the search list, and comes last as it is.
- only NXDOMAIN goes on. NODATA ends the walk as not found, SERVFAIL, REFUSED and silence end it as
  a failure; it hears neither of these as a reply, and so waits for the whole time-out first.
- only getaddrinfo() searches; res_search() and what asks for SRV or TXT with it does not.

tests/sidecar/test_side_explain_real_resolvers.py holds both against the real libraries.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from kubedns.wire import name as names
from sidecar.explain.resolv import Resolv

ANSWER, NOT_FOUND, FAILURE = "answer", "not found", "failure"
TIMEOUT = "TIMEOUT"
"""Stands for the rcode when nothing came."""
ADDRESSES = ("A", "AAAA")


@dataclass(frozen=True, slots=True)
class Reply:
    """rcode: its name, or TIMEOUT. records: in the answer section; found: those of the type."""

    rcode: str
    records: int = 0
    found: int = 0


Walking = Generator[str, Sequence[Reply], str]


def glibc(name: str, resolv: Resolv) -> Walking:
    """Walk as glibc does; name: as a program gives it, with or without final dot."""
    dots, absolute = _dots(name)
    first = None
    nodata = servfail = False
    last = NOT_FOUND
    if absolute or dots >= resolv.dots:
        first = _glibc((yield _absolute(name)))
        if first.ends == ANSWER or absolute:
            return first.ends
    searched_root = False
    if not absolute:
        for domain in resolv.search:
            searched_root |= domain == "."
            said = _glibc((yield _join(name, domain))) if _fits(name, domain) else _BROKEN
            if said.ends == ANSWER:
                return ANSWER
            nodata |= said.why == _NODATA
            servfail |= said.why == _SERVFAIL
            last = said.ends
            if said.stops:
                break
    if first is None and not searched_root:
        said = _glibc((yield _absolute(name)))
        if said.ends == ANSWER:
            return ANSWER
        last = said.ends
    if first is not None:
        return first.ends
    return NOT_FOUND if nodata else FAILURE if servfail else last


def musl(name: str, resolv: Resolv) -> Walking:
    """Walk as musl's getaddrinfo() does."""
    dots, absolute = _dots(name)
    if not absolute and dots < resolv.dots:
        for domain in resolv.musl_search:
            if len(name) + 1 + len(domain.rstrip(".")) >= _MUSL_NAME:
                continue
            if not _fits(name, domain):
                return NOT_FOUND
            said = _musl((yield _join(name, domain)))
            if said is not None:
                return said
    return _musl((yield _absolute(name))) or NOT_FOUND


def as_it_is(name: str, resolv: Resolv) -> Walking:
    """Ask for the name itself alone: musl's res_search() and res_query()."""
    return _musl((yield _absolute(name))) or NOT_FOUND


def candidates(name: str, resolv: Resolv) -> Iterator[str]:
    """Yield all names that a walk may come to."""
    if not name.endswith("."):
        yield from (_join(name, domain) for domain in resolv.search if _fits(name, domain))
    yield _absolute(name)


_MUSL_NAME = 256
_NODATA, _SERVFAIL = "nodata", "servfail"


@dataclass(frozen=True, slots=True)
class _Said:
    """What replies mean to glibc. why: NODATA or SERVFAIL, else empty; stops: no further domain."""

    ends: str
    why: str = ""
    stops: bool = False


_BROKEN = _Said(FAILURE, stops=True)  # no such question can be written
_SERVER_FAILS = ("SERVFAIL", "NOTIMP", "REFUSED")  # it asks the next server, and then gives up


def _glibc(replies: Sequence[Reply]) -> _Said:
    """Weigh the replies to A and AAAA, or to the one question, as res_query() does."""
    heard = [each for each in replies if each.rcode not in (*_SERVER_FAILS, TIMEOUT)]
    if not heard:
        if replies[0].rcode == "SERVFAIL":  # it looks into the first reply alone
            return _Said(FAILURE, _SERVFAIL)
        return _Said(FAILURE, stops=True)
    for each in heard:
        if each.rcode == "NOERROR" and each.records:
            return _Said(ANSWER)
    bad = [each for each in heard if each.rcode != "NOERROR"]
    if not bad:
        return _Said(NOT_FOUND, _NODATA)
    if bad[0].rcode == "NXDOMAIN":
        return _Said(NOT_FOUND)
    return _Said(FAILURE, stops=True)


def _musl(replies: Sequence[Reply]) -> str | None:
    """Weigh the replies; None: NXDOMAIN, go on."""
    for each in replies:
        if each.rcode == "NXDOMAIN":
            return None
        if each.rcode != "NOERROR":
            return FAILURE
    return ANSWER if any(each.found for each in replies) else NOT_FOUND


def _dots(name: str) -> tuple[int, bool]:
    """Count the dots as the libraries do, and tell whether the name ends with one."""
    return name.count("."), name.endswith(".")


def _absolute(name: str) -> str:
    return name if name.endswith(".") else f"{name}."


def _join(name: str, domain: str) -> str:
    return _absolute(name) if domain == "." else f"{name}.{_absolute(domain)}"


def _fits(name: str, domain: str) -> bool:
    try:
        names.from_text(_join(name, domain))
    except names.BadNameError:
        return False
    return True
