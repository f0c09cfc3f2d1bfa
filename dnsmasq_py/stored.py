"""
One answer as the cache keeps it, and the replies that are made of it.

`Stored.octets` is a whole reply behind its ID: flags, question in lower case, records, no OPT. All
of its records have one TTL, the least that any of them had (RFC 2181 5.2 for one RRset; for a chain
of them the client may keep the whole no longer than its weakest link). So ageing is writing one
number at known offsets, and a reply for anybody is: his ID, his flags, his spelling of the
question, the records with the TTL of now, his OPT. Receiver threads make it themselves
(kubedns/plainshelf.py), while the configuration is in force for which the answer was found right.

`Ready` is such a reply in every rotation, for queries whose octets behind the ID are always the
same. Receiver threads find it by these octets and send it without looking inside; once a second, on
the first use, it is aged (`Ready.age`, in whatever thread comes first: two of them make the same).
"""

import random
import struct
from collections.abc import Callable
from math import inf

from dnsmasq_py import sentences
from dnsmasq_py.question import Question
from kubedns.batch import Kept, Turning
from kubedns.plainshelf import rotated
from kubedns.wire import name as names
from kubedns.wire import reply, response, rr
from kubedns.wire.question import HEADER, Edns, Query

_U32 = struct.Struct(">I")
_ANY = rr.ANY.to_bytes(2)
_QR_RA = 0x8080
AA = 0x0400
AD = 0x0020
TC = 0x0200
_RD_CD = 0x0110
_MAX_TURNS = 16  # rotations of one answer that are made in advance; further ones begin at random
_SENTENCE_S = 30  # an answer whose sentence is older is refreshed, if it is popular
_MAX_KNOWN = 4096
_known_offsets: dict[tuple[int, ...], tuple[int, ...]] = {}


class Stored(Kept):
    """
    One answer.

    ttls: where TTLs stand in `octets`. cycle: where the records of the answer's last
    RRset begin, and where they end, if there are several, which rotate; else empty.
    ttl: seconds that it was good for, until `expires` (monotonic). route: who answered; epoch: the
    last configuration for which that was found right. chain: (name, route) of the further names in
    a chain of CNAMEs, and who answered for them.
    error: extended DNS error (code, text) that came with it (RFC 8914), see `told`; since: when
    that was (monotonic).
    marks: the cluster's names in it, folded, b"" for the one that is asked for; none if its server
    has no part in it (purge.py).
    """

    __slots__ = ("chain", "forms", "marks", "route", "since")

    def __init__(
        self,
        octets: bytes,
        ttls: tuple[int, ...],
        cycle: tuple[int, ...],
        ttl: int,
        now: float,
        route: object,
    ) -> None:
        self.octets = octets
        self.ttls = _shared(ttls)
        self.cycle = _shared(cycle) if cycle else ()
        self.ttl = ttl
        self.since = now
        self.expires = now + ttl
        self.route = route
        self.epoch = 0
        self.chain: tuple[tuple[bytes, object], ...] = ()
        self.error = None
        self.forms: list[Ready] | None = None
        self.marks: tuple[bytes, ...] = ()
        self.used = 0  # times, since it was stored or last spared
        self.refreshing = False

    @property
    def rcode(self) -> int:
        """Return the response code."""
        return self.octets[1] & 15

    @property
    def is_negative(self) -> bool:
        """Tell whether nothing of the asked type is there, perhaps behind CNAMEs."""
        octets = self.octets
        count = octets[4] << 8 | octets[5]
        if not count or octets[1] & 15:
            return True
        end = names.skip(octets, HEADER - 2)
        asked = octets[end : end + 2]
        last = self.ttls[count - 1]
        if octets[last - 4 : last - 2] == asked:  # as nearly always
            return False
        answers = self.ttls[:count]
        return asked != _ANY and asked not in [octets[at - 4 : at - 2] for at in answers]

    @property
    def is_cut(self) -> bool:
        """Tell whether there is more than this, TC=1."""
        return bool(self.octets[0] & TC >> 8)

    def due(self) -> float:
        """
        Return when it is time to ask for it anew, if it is popular: in its last tenth.

        Earlier if a sentence goes with it, for which nobody vouches: see sentences.aged.
        """
        due = super().due()
        if self.error is None:
            return due
        return min(due, due - self.expires + self.since + max(self.ttl, _SENTENCE_S))

    def for_type(self, qtype: bytes) -> "Stored":
        """Return the same for the question of another type; there must be no records to it."""
        octets = self.octets
        end = names.skip(octets, HEADER - 2)
        other = Stored(
            octets[:end] + qtype + octets[end + 2 :],
            self.ttls,
            self.cycle,
            self.ttl,
            self.expires - self.ttl,
            self.route,
        )
        other.since = self.since
        other.error = sentences.for_other_type(self.error, clusters=bool(self.marks))
        other.marks = self.marks
        return other

    def told(self, now: float) -> tuple[int, str] | None:
        """Return the extended error as it is true now."""
        error = self.error
        return error and sentences.aged(error, now - self.since, self.ttl)

    def aged(self, ttl: int) -> bytearray:
        """Return `octets` with another TTL."""
        octets = bytearray(self.octets)
        for offset in self.ttls:
            _U32.pack_into(octets, offset, ttl)
        return octets

    def reply(
        self,
        query: Query,
        ttl: int,
        limit: int,
        turn: int,
        *,
        error: tuple[int, str] | None = None,
        keepalive_ms: int | None = None,
    ) -> bytes:
        """
        Return the whole reply to a query, cut with TC=1 where it does not fit.

        error: that of `told`, or why it is stale; left out before anything else.
        """
        opt = reply.opt_record(query, 0, error or self.error, keepalive_ms)
        if len(opt) > 11 and 2 + len(self.octets) + len(opt) > limit:
            opt = reply.opt_record(query, 0, None, None)
        if 2 + len(self.octets) + len(opt) > limit:
            return self._cut(query, ttl, limit)
        octets = self.aged(ttl)
        flags = with_query_flags(octets[0] << 8 | octets[1], query.flags, query.edns)
        octets[0] = flags >> 8
        octets[1] = flags & 255
        octets[10 : 10 + len(query.octets)] = query.octets
        if opt:
            octets[9] += 1  # never more than 255 records before: see scrub.py
            octets += opt
        if self.cycle:
            return query.id + rotated(octets, self.cycle, turn)
        return query.id + octets

    def _cut(self, query: Query, ttl: int, limit: int) -> bytes:
        """Return as much as fits; seldom enough to take the long way."""
        parsed = response.read(b"\0\0" + self.octets)
        answer, authority, additional = (
            [rrset._replace(ttl=ttl) for rrset in section]
            for section in (parsed.answer, parsed.authority, parsed.additional)
        )
        turns = reply.compose(
            query,
            limit=limit,
            rcode=self.rcode,
            authoritative=bool(parsed.flags & AA),
            answer=answer,
            authority=authority,
            additional=additional,
        )
        return query.id + turns[self.used % len(turns)]


class Ready(Turning):
    """
    The replies to one exact query, in turn.

    raw: the query's octets behind the ID. until: when `turns` must be made anew (monotonic).
    soon is called, in any thread, for an answer that is popular and about to expire.
    """

    __slots__ = (
        "_dies",
        "_due",
        "_head",
        "_max_ttl",
        "_opt",
        "_query",
        "_soon",
        "_turn",
        "raw",
        "seen",
        "stored",
    )

    turns: tuple[bytes, ...]

    def __init__(
        self,
        raw: bytes,
        stored: Stored,
        query: Query,
        max_ttl: int | None,
        soon: Callable[["Ready"], None],
    ) -> None:
        self.raw = raw
        self.stored = stored
        self.uses = self.seen = 0  # seen: of these, how many are summed up elsewhere
        self.until = -inf
        self.turns = ()
        self._dies = stored.dies()
        self._due = stored.due()
        self._max_ttl = max_ttl
        self._query = query if stored.error is not None else None  # its sentence ages
        self._opt = reply.opt_record(query, 0, None, None)
        if stored.error is not None:
            self._opt = self._spoken(query, stored.since)
        self._soon = soon
        self._turn = random.randrange(64)
        octets = stored.octets
        flags = with_query_flags(octets[0] << 8 | octets[1], query.flags, query.edns)
        self._head = flags.to_bytes(2) + octets[2:9] + bytes((octets[9] + bool(self._opt),))

    @property
    def size(self) -> int:
        """Return how many octets such a reply has, with its ID."""
        return 2 + len(self.stored.octets) + len(self._opt)

    def _spoken(self, query: Query, now: float) -> bytes:
        """Return the OPT record with the sentence of now, or without it where there is no room."""
        opt = reply.opt_record(query, 0, self.stored.told(now), None)
        if 2 + len(self.stored.octets) + len(opt) <= reply.udp_limit(query):
            return opt
        return reply.opt_record(query, 0, None, None)

    def age(self, now: float) -> bool:
        """Make `turns` right for the next second; False: the answer is too old to be given."""
        if now >= self._dies:
            return False
        stored = self.stored
        ttl = left = stored.left(now)
        if self._max_ttl is not None and ttl > self._max_ttl:
            ttl = self._max_ttl
        cycle = stored.cycle
        if self._query is not None:
            self._opt = self._spoken(self._query, now)
        if cycle:
            octets = self._head + stored.aged(ttl)[10:] + self._opt
            some = range(self._turn, self._turn + min(len(cycle) - 1, _MAX_TURNS))
            self.turns = tuple(rotated(octets, cycle, turn) for turn in some)
        elif self.turns and len(stored.ttls) == 1 and self._query is None:
            # By far the most: one record, given before.
            (at,) = stored.ttls
            (last,) = self.turns
            self.turns = (last[:at] + _U32.pack(ttl) + last[at + 4 :],)
        else:
            self.turns = (self._head + stored.aged(ttl)[10:] + self._opt,)
        stored.used += 1
        until = stored.expires - (left - 1)
        if self._query is not None and until > now + 1:
            until = now + 1
        self.until = until if until < self._dies else self._dies
        if now >= self._due and not stored.refreshing:
            self._soon(self)
        return True


def with_query_flags(flags: int, query_flags: int, edns: Edns | None) -> int:
    """
    Return a reply's flags for one client: RD and CD as asked, QR, RA.

    AD only for who asks for it, by AD or DO (RFC 6840 5.7 and 5.8).
    """
    if not (query_flags & AD or (edns is not None and edns.do)):
        flags &= ~AD
    return flags & ~_RD_CD | _QR_RA | query_flags & _RD_CD


def scan(octets: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """
    Return where TTLs stand in a well-formed reply behind its ID, and its cycle; see Stored.

    The records of the last RRset in the answer rotate. No name may point to one of them.
    """
    i = names.skip(octets, HEADER - 2) + 4
    answers = octets[4] << 8 | octets[5]
    others = (octets[6] << 8 | octets[7]) + (octets[8] << 8 | octets[9])
    ttls = []
    starts: list[int] = []
    last = b""
    for number in range(answers + others):
        begin = i
        i = names.skip(octets, i)
        owner_type = octets[begin : i + 2]
        ttls.append(i + 4)
        i += 10 + (octets[i + 8] << 8 | octets[i + 9])
        if number < answers:
            if owner_type != last:
                starts = [begin]
                last = owner_type
            else:
                starts.append(begin)
            end = i
    return tuple(ttls), (*starts, end) if len(starts) > 1 else ()


def compose(
    question: Question,
    rcode: int,
    answer: tuple[rr.RRset, ...],
    authority: tuple[rr.RRset, ...],
    additional: tuple[rr.RRset, ...],
    route: object,
    now: float,
    *,
    authoritative: bool = False,
) -> Stored:
    """Make an answer of RRsets; its TTL is the least of theirs, and of an SOA's minimum."""
    folded = question.folded
    octets = folded + question.octets[-4:]
    canonical = Query(b"\0\0", 0, folded, folded, question.qtype, rr.IN, octets)
    turns = reply.compose(
        canonical,
        limit=reply.MAX_TCP,
        rcode=rcode & 15,
        authoritative=authoritative,
        answer=answer,
        authority=authority,
        additional=additional,
    )
    ttls = [rrset.ttl for rrset in (*answer, *authority, *additional)]
    ttls += [int.from_bytes(r.rdatas[0][-4:]) for r in authority if r.type == rr.SOA]
    whole = turns[0]
    return Stored(whole, *scan(whole), min(ttls, default=0), now, route)


def _shared(offsets: tuple[int, ...]) -> tuple[int, ...]:
    """Return the one copy of equal offsets: thousands of answers have the same shape."""
    known = _known_offsets.get(offsets)
    if known is None:
        if len(_known_offsets) < _MAX_KNOWN:
            _known_offsets[offsets] = offsets
        known = offsets
    return known
