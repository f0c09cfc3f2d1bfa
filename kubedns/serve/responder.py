"""
Octets in, octets out: the decisions between the sockets and the zone.

`answer` is what a receiver calls for a query that no ready answer is there for. The reply is there
at once, or there is none, or somebody outside must be asked: then it is an awaitable. Nothing here
waits, and nothing here raises because of what a client sent.

Which answers are kept: those that depend on the zone alone, under the octets of the query's fixed
form (zone/answers.py), in lower case; `_spelled` gives them the client's. An answer with a sentence
(kubedns/explain) is kept for some seconds only: the sentence tells of more than the tags cover.
"""

import random
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import inf
from typing import Protocol

from kubedns.errors import KubednsError
from kubedns.serve.answered import TCP_IDLE_S, Answered
from kubedns.serve.counters import AUTH, RECURSIVE, REVERSE, Counters, Outcome
from kubedns.wire import name as names
from kubedns.wire import question, reply, rr
from kubedns.wire.question import Query, WireError
from kubedns.wire.response import Response
from kubedns.zone.answers import Answers, Key
from kubedns.zone.lookup import Result, Zone, follow, is_ours, lookup

_MAX_HOPS = 8  # between the zone and the world outside, for one question
_TC = 0x02  # in the first octet of the flags
_RFC8482 = b"\x07RFC8482\x00"  # HINFO with CPU "RFC8482" and no OS
_EDE_OTHER = 0
_EDE_NOT_AUTHORITATIVE = 20
_EDE_NO_REACHABLE_AUTHORITY = 22
_EDE_NETWORK_ERROR = 23


class Outside(Protocol):
    """Who resolves what is not in the zone; see kubedns.outside."""

    def has_servers(self, qname: bytes) -> bool:
        """Tell whether anybody could be asked about a name."""

    def ask(self, qname: bytes, qtype: int, *, do: bool, cd: bool) -> Awaitable[Response]:
        """Resolve a name; raises a KubednsError when nobody answers."""


class Explains(Protocol):
    """Who says why; see kubedns.explain.sentences."""

    def of(self, qname: bytes, qtype: int, result: Result) -> tuple[tuple[int, str] | None, float]:
        """Return an answer's extended error, and for how many seconds it may be kept."""

    def refusal(self, qname: bytes, reason: str) -> str:
        """Return the sentence for a name that is not ours."""

    def foreign(self, qname: bytes) -> str | None:
        """Return the sentence for a name that does not exist outside and looks like ours."""


class Responder:
    """
    See the head of this module.

    version: what CHAOS `version.bind` says; by it our forwarder knows us. host: `hostname.bind`.
    explains: None for no sentences.
    """

    def __init__(
        self,
        zone: Zone,
        answers: Answers,
        outside: Outside,
        counters: Counters,
        *,
        version: str,
        host: str,
        explains: Explains | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._zone = zone
        self._answers = answers
        self._outside = outside
        self._counters = counters
        self._explains = explains
        self._clock = clock
        self._chaos = {
            names.from_text(name): text
            for text, known in (
                (version, ("version.bind", "version.server")),
                (host, ("hostname.bind", "id.server")),
                ("The kube-dns-py authors", ("authors.bind",)),
            )
            for name in known
        }

    def answer(self, message: bytes, *, tcp: bool) -> Answered:
        """Return the reply to a message, None for no reply, or the reply to come."""
        began = self._clock()
        try:
            query = question.read(message)
        except WireError as error:
            if error.rcode is None:
                self._counters.dropped["no query"] += 1
                return None
            refusal = reply.refusal(message, error.rcode, error.query)
            return self._counted(AUTH, began, refusal, error.rcode)
        if query.qclass != rr.IN:
            return self._counted(AUTH, began, self._other_class(query, tcp))
        if query.qtype in (rr.AXFR, rr.IXFR):
            return self._counted(AUTH, began, self._refuse(query, tcp, "no zone transfers here"))
        if not is_ours(self._zone, query.folded):
            return self._foreign(query, tcp, began)
        return self._ours(message, query, tcp, began)

    def addresses(self, qname: bytes) -> list[bytes] | None:
        """Return the packed addresses of a folded name of the zone, None for any other name."""
        if not names.is_below(qname, self._zone.tree.zone):
            return None
        found = (lookup(self._zone, qname, rtype) for rtype in (rr.A, rr.AAAA))
        return [
            rdata
            for result in found
            for rrset in result.answer
            if rrset.type in (rr.A, rr.AAAA)
            for rdata in rrset.rdatas
        ]

    def _ours(self, message: bytes, query: Query, tcp: bool, began: float) -> Answered:
        key = _key(query, tcp)
        answer = self._answers.table.get(key)
        if answer is None or answer.until <= began:
            self._counters.lookups += 1
            result = self._look_up(query)
            if result.outside is not None and query.rd:
                return self._finish(query, result, tcp, began)
            system = AUTH if names.is_below(query.folded, self._zone.tree.zone) else REVERSE
            kept_s = self._explain(query, result)
            turns = self._encode(_folded(query), result, tcp)
            if result.volatile:
                wire = _spelled(query, turns[random.randrange(len(turns))])
                return self._counted(system, began, wire)
            answer = self._answers.keep(key, turns, _outcome(system, turns[0]), result.tags)
            answer.until = began + kept_s
        if message[2:] != key and not tcp and question.is_fixed_form(message, query):
            self._answers.keep_also(message[2:], answer)
        turn = answer.turns[answer.uses % len(answer.turns)]
        answer.uses += 1
        return _spelled(query, turn)

    def _explain(self, query: Query, result: Result) -> float:
        """Put the reason into a result; return for how many seconds the answer may be kept."""
        if self._explains is None or query.edns is None:
            return inf
        result.error, kept_s = self._explains.of(query.folded, query.qtype, result)
        return kept_s

    def _look_up(self, query: Query) -> Result:
        if query.qtype != rr.ANY:
            return lookup(self._zone, query.folded, query.qtype)
        # RFC 8482: never a dump. An alias shows itself, any other name one made-up HINFO.
        result = lookup(self._zone, query.folded, rr.CNAME)
        if result.rcode == rr.NOERROR and not result.answer:
            result.answer = [rr.RRset(query.folded, rr.HINFO, self._zone.ttl, (_RFC8482,))]
            result.authority = None
        return result

    def _encode(self, query: Query, result: Result, tcp: bool) -> reply.Turns:
        authority = [] if result.authority is None else [self._zone.soa(result.authority)]
        return reply.compose(
            query,
            limit=_limit(query, tcp),
            rcode=result.rcode,
            authoritative=result.rcode != rr.SERVFAIL,
            answer=result.answer,
            authority=authority,
            additional=result.additional,
            error=result.error,
            keepalive_ms=int(TCP_IDLE_S * 1000) if tcp else None,
        )

    def _foreign(self, query: Query, tcp: bool, began: float) -> Answered:
        if not query.rd:
            reason = "not a name of the cluster"
        elif not self._outside.has_servers(query.folded):
            reason = "not a name of the cluster, and no nameserver for it"
        else:
            onward = Result(outside=query.qname)
            return self._finish(query, onward, tcp, began, RECURSIVE)
        if self._explains is not None:
            reason = self._explains.refusal(query.folded, reason)
        return self._counted(RECURSIVE, began, self._refuse(query, tcp, reason))

    async def _finish(
        self, query: Query, result: Result, tcp: bool, began: float, system: str = AUTH
    ) -> bytes:
        """
        Follow a name out of the zone, and back into it where its CNAMEs lead there.

        system: RECURSIVE for a foreign name, whose answer is not ours to be authoritative for.
        """
        authority: list[rr.RRset] = []
        for _ in range(_MAX_HOPS):
            if result.outside is None:
                break
            try:
                response = await self._ask(query, result.outside)
            except KubednsError as error:
                turns = self._fail(query, tcp, result.answer, error)
                return self._counted(system, began, query.id + turns[0])
            result.outside = None
            result.rcode = response.rcode
            if system == AUTH and response.rcode not in (rr.NOERROR, rr.NXDOMAIN):
                # REFUSED by somebody else is no refusal of ours: the name is in our zone.
                result.rcode = rr.SERVFAIL
            result.answer += response.answer
            authority = list(response.authority)
            target = _open_end(response, query.qtype)
            if target is not None and names.is_below(target, self._zone.tree.zone):
                result.rcode = rr.NOERROR
                follow(self._zone, target, query.qtype, result)
                authority = [self._zone.soa()] if result.authority else []
        if system == AUTH:
            self._explain(query, result)
        elif result.rcode == rr.NXDOMAIN and self._explains is not None:
            foreign = self._explains.foreign(query.folded)
            result.error = (_EDE_OTHER, foreign) if foreign else None
        turns = reply.compose(
            query,
            limit=_limit(query, tcp),
            rcode=result.rcode,
            authoritative=system == AUTH and result.rcode != rr.SERVFAIL,
            answer=result.answer,
            authority=authority,
            additional=result.additional,
            error=result.error,
            keepalive_ms=int(TCP_IDLE_S * 1000) if tcp else None,
        )
        turn = turns[random.randrange(len(turns))]
        return self._counted(system, began, query.id + turn)

    def _ask(self, query: Query, qname: bytes) -> Awaitable[Response]:
        do = query.edns is not None and query.edns.do
        return self._outside.ask(qname, query.qtype, do=do, cd=bool(query.flags & 0x10))

    def _fail(
        self, query: Query, tcp: bool, answer: list[rr.RRset], error: KubednsError
    ) -> reply.Turns:
        """Say SERVFAIL, with the CNAMEs that are known, well before the client gives up."""
        silent = getattr(error, "timed_out", True)  # of kubedns.outside's UnreachableError
        code = _EDE_NO_REACHABLE_AUTHORITY if silent else _EDE_NETWORK_ERROR
        return reply.compose(
            query,
            limit=_limit(query, tcp),
            rcode=rr.SERVFAIL,
            answer=answer,
            error=(code, str(error)[:200]),
        )

    def _refuse(self, query: Query, tcp: bool, reason: str) -> bytes:
        turns = reply.compose(
            query,
            limit=_limit(query, tcp),
            rcode=rr.REFUSED,
            error=(_EDE_NOT_AUTHORITATIVE, reason),
        )
        return query.id + turns[0]

    def _other_class(self, query: Query, tcp: bool) -> bytes:
        """Answer the CHAOS names that identify a server; refuse any other class."""
        text = self._chaos.get(query.folded) if query.qclass == rr.CH else None
        if text is None or query.qtype not in (rr.TXT, rr.ANY):
            return self._refuse(query, tcp, "no such class here")
        turns = reply.compose(
            query,
            limit=_limit(query, tcp),
            authoritative=True,
            answer=[rr.RRset(query.folded, rr.TXT, 0, (rr.txt(text),))],
        )
        return query.id + turns[0]

    def _counted(self, system: str, began: float, wire: bytes, rcode: int | None = None) -> bytes:
        """Count a reply and return it; rcode: when the header does not hold all of it."""
        outcome = _outcome(system, wire[2:])
        if rcode is not None:
            outcome = outcome._replace(rcode=rcode)
        self._counters.ended(outcome, self._clock() - began)
        return wire


def _limit(query: Query, tcp: bool) -> int:
    return reply.MAX_TCP if tcp else reply.udp_limit(query)


def _outcome(system: str, turn: bytes) -> Outcome:
    """Read the outcome off a reply without its ID."""
    return Outcome(system, turn[1] & 15, bool(turn[0] & _TC), len(turn) + 2)


def _open_end(response: Response, qtype: int) -> bytes | None:
    """Return the folded target of a chain that ends in a CNAME without what was asked for."""
    if qtype == rr.CNAME or any(rrset.type == qtype for rrset in response.answer):
        return None
    targets = [rrset.rdatas[-1] for rrset in response.answer if rrset.type == rr.CNAME]
    return targets[-1].lower() if targets else None


def _spelled(query: Query, turn: bytes) -> bytes:
    """
    Return a reply with the client's ID, and with its letter case wherever the question's names are.

    Owners and most names are pointers to the question. SRV targets stand in full (RFC 2782), and
    0x20 clients compare them with the additional section.
    """
    rest = turn[10 + len(query.octets) :]
    if query.qtype == rr.SRV and query.qname != query.folded:
        for offset, suffix in names.suffixes(query.folded):
            if suffix in rest:
                rest = rest.replace(suffix, query.qname[offset:])
                break
    return query.id + turn[:10] + query.octets + rest


def _folded(query: Query) -> Query:
    """Return the same query in lower case."""
    if query.qname == query.folded:
        return query
    octets = query.folded + query.octets[-4:]
    return replace(query, qname=query.folded, octets=octets)


def _key(query: Query, tcp: bool) -> Key:
    """
    Return the octets behind the ID of a query with this meaning in its fixed form.

    Most clients send exactly that, and a receiver finds the answer without parsing. Cookies and
    other options, odd flags and letter case are left out here and still find it. Over TCP the limit
    is another one: no datagram may find those answers.
    """
    flags = query.flags & question.MEANING
    octets = query.folded + query.octets[-4:]
    if query.edns is None:
        key = struct.pack(">HHHHH", flags, 1, 0, 0, 0) + octets
        return (key, False) if tcp else key
    # All sizes above our own limit mean the same: who varies his must not make us encode anew.
    size = 0 if tcp else reply.udp_limit(query)
    opt = struct.pack(">BHHHHH", 0, rr.OPT, size, 0, query.edns.do << 15, 0)
    key = struct.pack(">HHHHH", flags, 1, 0, 0, 1) + octets + opt
    return (key, query.edns.keepalive) if tcp else key
