"""
Who tells the forwarder of changes, and who only says so: messages in any order, good and bad.

An input is a script: an octet says what happens, further ones with what. Beside the forwarder
stands a model: who may speak, and which answers a message may touch.
"""

import dns.opcode

from kubedns.wire import name as names
from kubedns.wire import notify, rr
from kubedns.wire.notify import Kind, Notice, NotifyError
from tests.fuzz import judge
from tests.fuzz.held import Held
from tests.fwdreplay import KUBEDNS, Replay
from tests.fwdteller import NO_KEY, Teller, wire

MAX_LEN = 400
TOKENS = (
    b"\0", b"\1", b"\2", b"\3", b"\4\0", b"\5\0", b"\6", b"\7", b"\x08", b"\x09\x10\x80",
    b"\x0a\x02",
    b"\x0b", b"\x0c\x60", b"\x0d\0\0\x28\0\0\1\0\0\0\0\0\1\x07cluster\x05local\0\0\6\0\1",
)  # fmt: skip
_ZONE = "cluster.local."
_SOA = f"{_ZONE} 30 IN SOA ns.{_ZONE} host.{_ZONE} 1 7200 1800 86400 30"
_QUESTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("web.shop.svc.cluster.local. A", ("web.shop.svc.cluster.local. 30 IN A 10.0.0.7",)),
    ("WEB.shop.svc.cluster.local. AAAA", ()),
    ("db.shop.svc.cluster.local. A", ("db.shop.svc.cluster.local. 30 IN A 10.1.0.1",)),
    ("a.db.shop.svc.cluster.local. A", ("a.db.shop.svc.cluster.local. 30 IN A 10.1.0.1",)),
    ("nope.shop.svc.cluster.local. A", ()),
    ("x.new.svc.cluster.local. A", ()),
    (
        "_http._tcp.db.shop.svc.cluster.local. SRV",
        ("_http._tcp.db.shop.svc.cluster.local. 30 IN SRV 0 1 80 a.db.shop.svc.cluster.local.",),
    ),
    (
        "7.0.0.10.in-addr.arpa. PTR",
        ("7.0.0.10.in-addr.arpa. 30 IN PTR web.shop.svc.cluster.local.",),
    ),
    ("www.example.com. A", ("www.example.com. 300 IN A 192.0.2.1",)),
    ("web.shop.svc.cluster.local.example.com. A", ()),
    ("a.stub.example. A", ("a.stub.example. 300 IN A 192.0.2.2",)),
    ("notcluster.local. A", ("notcluster.local. 300 IN A 192.0.2.3",)),
)
_CHANGES = (
    "web.shop.svc.cluster.local.", "db.shop.svc.cluster.local.", "shop.svc.cluster.local.",
    "a.db.shop.svc.cluster.local.", "x.new.svc.cluster.local.", "new.svc.cluster.local.",
    "cluster.local.", "svc.cluster.local.", "7.0.0.10.in-addr.arpa.",
    "nope.shop.svc.cluster.local.",
    "_http._tcp.db.shop.svc.cluster.local.", "local.", "www.example.com.", ".",
)  # fmt: skip
_ELSEWHERE = (("127.0.0.1", 10054), ("127.0.0.2", 10053), ("10.0.0.1", 53), ("::1", 10053))


def check(octets: bytes) -> None:
    """Play a script; the octets themselves are also read as a message."""
    _is_read(octets)
    _Play(octets).run()


def _is_read(octets: bytes) -> None:
    try:
        notice = notify.read(octets)
    except NotifyError as error:
        assert judge.is_one_line(str(error))
        return
    again = notice.encode()
    assert notify.read(again) == notice
    assert notify.is_notify(again)
    assert judge.read(again).opcode() == dns.opcode.NOTIFY
    for name in (notice.zone, *notice.names):
        assert names.is_name(name)
        assert name == name.lower(), "a name that is not in lower case"
    if len(octets) <= notify.MAX_MESSAGE and sum(map(len, notice.names)) <= notify.room(
        notice.zone
    ):
        assert len(again) <= notify.MAX_MESSAGE


class _Play:
    """A forwarder, the cluster's server, and the octets of a script that are left."""

    def __init__(self, script: bytes) -> None:
        self._script = list(reversed(script))
        self._replay = Replay(cache_size=100)
        self._held = Held(self._replay)
        self._teller = Teller(self._replay)
        self._last = b""
        self._said: list[bytes] = []

    def run(self) -> None:
        steps = (
            self._asks, self._asks, self._greets, self._beats, self._changes, self._changes_some,
            self._changes_all, self._misses, self._starts_anew, self._says_something_broken,
            self._says_from_elsewhere, self._says_without_the_key, self._time_passes,
            self._says_it_raw,
            self._says_something_old, self._another_zone,
        )  # fmt: skip
        while self._script:
            steps[self._octet() % len(steps)]()
            self._held.is_consistent()

    def _octet(self) -> int:
        return self._script.pop() if self._script else 0

    # What happens

    def _asks(self) -> None:
        question, answer = _QUESTIONS[self._octet() % len(_QUESTIONS)]
        asked = self._replay.client_asks(question)
        while self._replay.waiting:
            nothing = {} if answer else {"authority": _SOA, "rcode": "NXDOMAIN"}
            self._replay.upstream_answers(answer, **nothing)  # type: ignore[arg-type]
        assert asked.replies
        assert asked.reply
        assert self._replay.is_quiet()

    def _greets(self) -> None:
        receipt = self._say(self._teller.notice(Kind.HELLO))
        if receipt is not None and receipt.kind is Kind.WELCOME:
            self._teller.key = receipt.key

    def _beats(self) -> None:
        self._say(self._teller.notice(Kind.CHANGE))

    def _changes(self) -> None:
        self._tell(_CHANGES[self._octet() % len(_CHANGES)])

    def _changes_some(self) -> None:
        count = self._octet() % 4
        self._tell(*(_CHANGES[self._octet() % len(_CHANGES)] for _ in range(count)))

    def _tell(self, *changed: str) -> None:
        teller = self._teller
        teller.serial += 1
        before = self._held.fresh()
        receipt = self._say(teller.notice(Kind.CHANGE, teller.serial - 1, teller.serial, *changed))
        if receipt is not None and receipt.kind is Kind.TAKEN:
            assert receipt.after == teller.serial
            folded = [wire(each) for each in changed]
            self._held.are_gone(folded)
            if all(self._held.are_far(key, stored, folded) for key, stored in before.items()):
                dropped = before.keys() - self._replay.cache.entries.keys()
                assert not dropped, "dropped for nothing"

    def _changes_all(self) -> None:
        self._teller.serial += 1
        receipt = self._say(self._teller.notice(Kind.ALL, self._teller.serial - 1))
        if receipt is not None and receipt.kind is Kind.TAKEN:
            assert not self._held.of_cluster()

    def _misses(self) -> None:
        self._teller.serial += self._octet() + 2
        receipt = self._say(self._teller.notice(Kind.CHANGE, self._teller.serial - 1))
        if receipt is not None and receipt.kind is Kind.TAKEN:
            self._held.nothing_is_trusted()

    def _starts_anew(self) -> None:
        self._teller = Teller(
            self._replay, instance=bytes((self._octet(),)) * 8, serial=1000 + self._octet()
        )

    def _says_something_broken(self) -> None:
        octets = bytearray(self._teller.notice(Kind.CHANGE, None, None, *_CHANGES[:2]).encode())
        at = self._octet() * 256 % len(octets) + self._octet()
        octets[at % len(octets)] ^= self._octet() or 1
        cut = self._octet()
        self._send(bytes(octets[: len(octets) - cut // 2] if cut & 1 else octets))

    def _says_from_elsewhere(self) -> None:
        how = self._octet()
        message = self._last
        if not notify.is_notify(message):
            message = self._teller.notice(Kind.HELLO).encode()
        sender = _ELSEWHERE[how % len(_ELSEWHERE)]
        tcp = bool(how & 0x80)
        if tcp:
            sender = (KUBEDNS.address, KUBEDNS.port)
        before = self._held.state()
        replies = self._send(message, sender=sender, tcp=tcp)
        assert self._held.state() == before, "somebody else is believed"
        if not message[2] & 0x80:
            (reply,) = replies
            assert reply[3] & 15 == rr.NOTIMP
            feed = self._replay.forwarder.feed
            for secret in (feed._key, feed._offered):
                assert not secret or secret not in reply, "the key is told to somebody else"

    def _says_without_the_key(self) -> None:
        self._teller.serial += 1
        right = self._teller.key
        self._teller.key = bytes(right[:-1]) + bytes((right[-1] ^ (self._octet() or 1),))
        before = self._held.state()
        kinds = (Kind.CHANGE, Kind.ALL)
        receipt = self._say(self._teller.notice(kinds[self._octet() % 2]))
        assert receipt is None or receipt.kind is Kind.AGAIN
        if receipt is not None:
            assert receipt.key == NO_KEY
        assert self._held.state() == before, "believed without the key"
        self._teller.key = right
        self._teller.serial -= 1

    def _time_passes(self) -> None:
        self._replay.time_passes(self._octet() / 32)

    def _says_it_raw(self) -> None:
        length = self._octet()
        self._send(bytes(self._octet() for _ in range(min(length, len(self._script)))))

    def _says_something_old(self) -> None:
        if self._said:
            self._send(self._said[self._octet() % len(self._said)])

    def _another_zone(self) -> None:
        notice = self._teller.notice(Kind.ALL)
        zone = wire(("example.com.", "svc.cluster.local.", ".", "in-addr.arpa.")[self._octet() % 4])
        self._send(
            Notice(
                notice.id,
                notice.kind,
                zone,
                notice.instance,
                notice.before,
                notice.after,
                notice.key,
            ).encode()
        )

    # What must hold

    def _say(self, notice: Notice) -> Notice | None:
        """Say something as the cluster's server; return the receipt, if there is one."""
        replies = self._send(notice.encode())
        if not replies:
            return None
        (octets,) = replies
        receipt = notify.read(octets)
        assert (receipt.id, receipt.zone, receipt.instance) == (
            notice.id, notice.zone, notice.instance,
        )  # fmt: skip
        assert receipt.is_receipt
        return receipt

    def _send(
        self, message: bytes, *, sender: tuple[str, int] | None = None, tcp: bool = False
    ) -> list[bytes]:
        """Send octets: what is not the cluster's is as before, and who replies can be read."""
        self._last = message
        self._said = [*self._said[-8:], message]
        foreign = self._held.foreign()
        replies: list[bytes] = []
        source = sender or (KUBEDNS.address, KUBEDNS.port)
        self._replay.forwarder.handle(message, source, replies.append, tcp=tcp)
        while self._replay.waiting:  # it was a query
            self._replay.upstream_answers(rcode="SERVFAIL")
        self._replay.settle()
        assert self._held.foreign() == foreign, "a purge touches foreign entries"
        assert len(replies) <= 1
        for reply in replies:
            if notify.is_notify(message):
                assert reply[:2] == message[:2]
                assert judge.read(reply).opcode() == dns.opcode.NOTIFY
        return replies
