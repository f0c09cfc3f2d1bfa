"""
What passes between workers, by way of their parent, as a machine without IO.

- A NOTIFY comes to one worker, as the kernel's hash wants it. The session with kubedns is here
  (feed.Feed): what it takes goes to all workers, and its receipt leaves when all of them have done
  as it says. A worker that begins joins before it answers queries, and takes its first message for
  one that does not follow on what it knows: so it trusts nothing that it kept before.
- Who asks what all workers know (ASK) gets their parts, and what is left of those that ended:
  {"gone": sums or null, "parts": [...], "ended": count}. Who is late is represented by what he said
  last, if it is one of the things that last (counts); of what is true for a moment (a question that
  is explained) nothing is remembered, so that the questions of operators fill no memory.
- A worker that says nothing for some time, or does not act on a change, is frozen: it has to end,
  for its receiver threads may answer yet, and not what is true. Patience is counted in looks: if
  the parent itself gets no time, nobody is blamed for that.

Invariants: a receipt leaves only if each worker that has joined took all that was told before it,
or has ended (waited for, so that its sockets are closed).
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from dnsmasq_py.feed import Feed
from dnsmasq_py.server import Server
from dnsmasq_py.workers.messages import Message, Say
from dnsmasq_py.workers.sums import LASTING
from kubedns.wire.notify import Notice

LOOK_S = 0.5  # how often `looked` is to be called, and how often workers are to say something
_QUIET_LOOKS = 4
_BEHIND_LOOKS = 4  # with a change that they were told of
_STARTING_LOOKS = 60
_BUSY_LOOKS = 20  # after a signal that asks for much
_ASKED_LOOKS = 1

Bury = Callable[[str, bytes | None, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Tell:
    """Say something to a worker."""

    worker: int
    message: Message


@dataclass(frozen=True, slots=True)
class End:
    """End a worker, at once; then call `ended`."""

    worker: int
    why: str


Action = Tell | End


@dataclass(slots=True)
class _Member:
    """A worker: quiet, behind: looks since; took: the last TAKE that it did; told: by what."""

    joined: bool = False
    ready: bool = False
    quiet: int = 0
    behind: int = 0
    patience: int = _STARTING_LOOKS
    took: int = 0
    told: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Receipt:
    """What a worker gets when all have taken `after`."""

    worker: int
    number: int
    after: int
    octets: bytes


@dataclass(slots=True)
class _Asked:
    """What a worker wants to know of all; told: by whom."""

    worker: int
    number: int
    what: str
    waiting: set[int]
    looks: int = 0
    told: dict[int, bytes] = field(default_factory=dict)


class Hub:
    """
    See the head of this module. Times are monotonic seconds.

    teller: the cluster's server. bury: adds what a worker said last to what is left of others, see
    sums.bury. lasting: what is remembered of each.
    """

    def __init__(self, teller: Server, bury: Bury, lasting: Collection[str] = LASTING) -> None:
        self._lasting = lasting
        self._session = _Session(teller)
        self._sender = (teller.address, teller.port)
        self._bury = bury
        self._members: dict[int, _Member] = {}
        self._takes = 0
        self._receipts: list[_Receipt] = []
        self._asks = 0
        self._asked: dict[int, _Asked] = {}
        self._gone: dict[str, bytes] = {}
        self._ended = 0

    @property
    def ready(self) -> set[int]:
        """Return the workers that answer."""
        return {number for number, each in self._members.items() if each.ready}

    def started(self, worker: int) -> None:
        """Take in a worker that was started just now."""
        self._members[worker] = _Member()

    def said(self, worker: int, message: Message, now: float) -> list[Action]:
        """Hear a worker."""
        member = self._members[worker]
        member.quiet = 0
        match message.kind:
            case Say.HELLO:
                member.joined = True
                member.took = self._takes
                return [Tell(worker, Message(Say.JOINED))]
            case Say.READY:
                member.ready = True
                member.patience = _QUIET_LOOKS
            case Say.NOTIFY:
                return list(self._notified(worker, message, now))
            case Say.TOOK:
                member.took, member.behind = message.number, 0
                return list(self._release())
            case Say.ASK:
                return list(self._ask(worker, message))
            case Say.TOLD:
                return list(self._told(worker, message))
            case Say.LOOPING:
                return list(self._others(worker, Message(Say.LOOPS, 0, message.body)))
        return []

    def leaves(self, worker: int) -> None:
        """Note that a worker says nothing more, and will end by itself."""
        self._members[worker].patience = _STARTING_LOOKS

    def signalled(self, number: int, *, one: bool = False) -> list[Action]:
        """Pass on a signal: to all, or to one that speaks for all."""
        for each in self._members.values():
            each.quiet = min(each.quiet, _QUIET_LOOKS - _BUSY_LOOKS)
        workers = sorted(self._members)[: 1 if one else None]
        return [Tell(each, Message(Say.SIGNAL, number)) for each in workers]

    def looked(self) -> list[Action]:
        """See who is late; to be called every LOOK_S, or later when there is no time."""
        actions: list[Action] = []
        for worker, member in self._members.items():
            member.quiet += 1
            owes = any(member.took < receipt.after for receipt in self._receipts)
            member.behind = member.behind + 1 if member.joined and owes else 0
            if member.quiet > member.patience:
                why = f"nothing heard of it for {member.patience * LOOK_S:g} s"
                actions.append(End(worker, why))
            elif member.behind > _BEHIND_LOOKS:
                actions.append(End(worker, "it does not take changes of the cluster"))
        for asked in list(self._asked):
            self._asked[asked].looks += 1
            if self._asked[asked].looks > _ASKED_LOOKS:
                actions += self._answer(asked)
        return actions

    def ended(self, worker: int) -> list[Action]:
        """Forget a worker whose process has ended."""
        member = self._members.pop(worker)
        self._ended += 1
        for what, part in member.told.items():
            try:
                self._gone[what] = self._bury(what, self._gone.get(what), part)
            except Exception:  # counts are not worth the parent, on which all workers hang
                self._gone.pop(what, None)
        self._receipts = [each for each in self._receipts if each.worker != worker]
        actions = list(self._release())
        for number, asked in list(self._asked.items()):
            asked.waiting.discard(worker)
            if asked.worker == worker:
                del self._asked[number]
            elif not asked.waiting:
                actions += self._answer(number)
        return actions

    # Changes

    def _notified(self, worker: int, message: Message, now: float) -> Iterator[Action]:
        self._session.taken = False
        receipt = self._session.received(message.body, self._sender, now, tcp=False)
        octets = receipt if isinstance(receipt, bytes) else b""
        if self._session.taken:
            self._takes += 1
            take = Message(Say.TAKE, self._takes, message.body)
            yield from (Tell(each, take) for each in self._joined())
        # A greeting's too: its receipt says up to where changes were taken.
        self._receipts.append(_Receipt(worker, message.number, self._takes, octets))
        yield from self._release()

    def _release(self) -> Iterator[Action]:
        taken = min((self._members[each].took for each in self._joined()), default=self._takes)
        waiting = []
        for each in self._receipts:
            if each.after <= taken:
                yield Tell(each.worker, Message(Say.RECEIPT, each.number, each.octets))
            else:
                waiting.append(each)
        self._receipts = waiting

    def _joined(self) -> list[int]:
        return [number for number, each in self._members.items() if each.joined]

    def _others(self, worker: int, message: Message) -> Iterator[Action]:
        return (Tell(each, message) for each in self._joined() if each != worker)

    # What all know

    def _ask(self, worker: int, message: Message) -> Iterator[Action]:
        self._asks = (self._asks + 1) & 0xFFFFFFFF
        asked = _Asked(worker, message.number, message.body.decode(), set(self._joined()))
        self._asked[self._asks] = asked
        for each in asked.waiting:
            yield Tell(each, Message(Say.TELL, self._asks, message.body))

    def _told(self, worker: int, message: Message) -> Iterator[Action]:
        asked = self._asked.get(message.number)
        if asked is None:  # it was too late
            return
        asked.told[worker] = message.body
        if asked.what in self._lasting:
            self._members[worker].told[asked.what] = message.body
        asked.waiting.discard(worker)
        if not asked.waiting:
            yield from self._answer(message.number)

    def _answer(self, number: int) -> Iterator[Action]:
        asked = self._asked.pop(number)
        told = [
            asked.told.get(number, each.told.get(asked.what))
            for number, each in sorted(self._members.items())
        ]
        body = b'{"gone": %b, "ended": %d, "parts": [%b]}' % (
            self._gone.get(asked.what, b"null"),
            self._ended,
            b",".join(part for part in told if part is not None),
        )
        yield Tell(asked.worker, Message(Say.PARTS, asked.number, body))


class _Session(Feed):
    """The session with kubedns; taken: a message was, and workers have to."""

    def __init__(self, teller: Server) -> None:
        super().__init__(teller, _Nowhere(), lambda zone: True, lambda feed: None)
        self.taken = False

    def take(self, notice: Notice, now: float) -> None:
        super().take(notice, now)
        self.taken = True


class _Nowhere:
    """Where nothing is kept, nothing can be dropped; see purge.Purges."""

    def purge(self, changed: tuple[bytes, ...]) -> None: ...
    def purge_all(self) -> None: ...
    def suspect_all(self, now: float) -> None: ...
    def leave_alone(self, now: float) -> None: ...
