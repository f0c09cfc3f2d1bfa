"""Changes on their way to the caches in front, on a clock: who is told, when, and how often."""

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from kubedns.cluster.feed import Feed
from kubedns.cluster.listwatch import Event
from kubedns.cluster.objects import Kind
from kubedns.tell.session import Session
from kubedns.tell.teller import Target, Teller
from kubedns.wire import name as names
from kubedns.zone.tree import Change
from tests.builders import SERIAL, Cluster, Object, headless, service, slice_
from tests.listening import Listener, as_reply

HERE = ("127.0.0.1", 53)
THERE = ("::1", 53)
Reply = Callable[[bytes], bytes | None]


class Fixture:
    """A feed into a cluster, and listeners at some addresses; a receipt takes 0.1 ms."""

    def __init__(self, **listeners: Listener | Reply) -> None:
        self.clock = Clock()
        self.cluster = Cluster()
        self.listeners: dict[Target, Listener | Reply] = {
            {"here": HERE, "there": THERE}[place]: each for place, each in listeners.items()
        }
        self.client: dict[Target, tuple[str, int]] = {}
        self.failing = False
        tree = self.cluster.tree
        self.teller = Teller(self.listeners, tree.zone, lambda: tree.serial, self._send, self.clock)
        self.feed = Feed(
            self.cluster.pairing,
            lambda change, more: self.teller.changed(change, more=more),
            self.teller.everything,
            self.clock,
            lambda: SERIAL,
        )

    def started(self) -> "Fixture":
        """Greet, and read empty lists."""
        self.feed.listed(Kind.SERVICE, [])
        self.feed.listed(Kind.SLICE, [])
        self.teller.start()
        return self.passes(0.5)

    def passes(self, seconds: float) -> "Fixture":
        """Let time pass, in steps of 0.1 ms at first."""
        self.clock.pump([0.0001] * 100)
        self.clock.pump([0.01] * int(seconds / 0.01))
        return self

    def puts(self, *objects: Object) -> None:
        """Report objects that came together."""
        kinds = {Kind.SERVICE: "Service", Kind.SLICE: "EndpointSlice"}
        for kind, word in kinds.items():
            found = [
                Event(self.cluster.decode(each), deleted=False)
                for each in objects
                if each["kind"] == word
            ]
            if found:
                self.feed.changed(kind, found, self.clock.seconds())

    def state(self, target: Target = HERE) -> object:
        """Return the state of a session as /status shows it."""
        to = {HERE: "127.0.0.1:53", THERE: "[::1]:53"}[target]
        return next(each["state"] for each in self.teller.status() if each["to"] == to)

    def _send(self, message: bytes, host: str, port: int) -> None:
        if self.failing:
            raise OSError(101, "Network is unreachable")
        listener = self.listeners[host, port]
        takes = listener.takes if isinstance(listener, Listener) else listener
        receipt = takes(message)
        client = self.client.get((host, port), (host, port))
        if receipt is not None:
            self.clock.callLater(0.0001, self.teller.received, receipt, client)


def _many(count: int) -> list[Object]:
    return [service(f"s{i}", ip=f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}") for i in range(count)]


def _in_text(told: list[bytes]) -> list[str]:
    return sorted(map(names.to_text, told))


def test_a_new_service_is_told_with_its_reverse_name() -> None:
    """And with the namespace, of which it is the first."""
    listener = Listener()
    fixture = Fixture(here=listener).started()
    listener.log.clear()
    fixture.puts(service("web", "shop", ip="10.0.0.7", ports=["http:80"]))
    fixture.passes(0.1)
    assert _in_text(listener.told) == [
        "7.0.0.10.in-addr.arpa.", "shop.pod.cluster.local.", "shop.svc.cluster.local.",
    ]  # fmt: skip
    assert listener.log == ["3"]
    fixture.puts(service("web", "shop", ip="10.0.0.8"))
    fixture.passes(0.1)
    assert _in_text(listener.told)[-1] == "web.shop.svc.cluster.local."
    assert listener.serial == fixture.cluster.tree.serial


def test_five_thousand_services_at_once_are_one_message() -> None:
    """A list is worked off in batches; what they change is told as one, at the end."""
    listener = Listener()
    fixture = Fixture(here=listener).started()
    listener.log.clear()
    fixture.feed.listed(Kind.SERVICE, map(fixture.cluster.decode, _many(5000)))
    fixture.clock.pump([0] * 100)
    assert len(list(fixture.cluster.tree.branches())) == 5000
    fixture.passes(0.1)
    assert listener.log == ["all"]
    assert listener.serial == fixture.cluster.tree.serial


def test_a_slow_list_is_told_in_between() -> None:
    """What is another already must not wait for seconds."""
    listener = Listener()
    fixture = Fixture(here=listener).started()
    listener.log.clear()
    for number in range(50):
        change = fixture.cluster.put(service(f"s{number}", ip=f"10.0.0.{number}"))
        fixture.teller.changed(change, more=number < 49)
        fixture.clock.pump([0.01, 0.01])
    assert 3 <= len(set(listener.log) - {"0"}) <= 6
    assert listener.serial == fixture.cluster.tree.serial
    assert {names.to_text(each) for each in listener.told} >= {
        f"{number}.0.0.10.in-addr.arpa." for number in range(50)
    }


def test_a_list_that_changes_little_is_told_by_name() -> None:
    """Two hundred services are more than a batch, and no reason to forget all others."""
    listener = Listener()
    fixture = Fixture(here=listener).started()
    fixture.puts(*_many(1))
    fixture.passes(0.1)
    listener.log.clear()
    fixture.feed.listed(Kind.SERVICE, map(fixture.cluster.decode, _many(200)))
    fixture.clock.pump([0] * 10)
    fixture.passes(0.1)
    assert "all" not in listener.log
    assert sum(map(int, listener.log)) == 2 * 199


def test_a_list_that_changes_nothing_tells_nothing() -> None:
    """The relist of every hour."""
    listener = Listener()
    fixture = Fixture(here=listener).started()
    made = [*_many(50), headless("db")]
    for _ in range(2):
        fixture.feed.listed(Kind.SERVICE, map(fixture.cluster.decode, made))
        fixture.feed.listed(Kind.SLICE, [fixture.cluster.decode(slice_("db"))])
        fixture.passes(0.1)
        said = list(listener.log)
        listener.log.clear()
    assert set(said) <= {"0"}


def test_a_large_headless_service_is_all() -> None:
    """A thousand endpoints and more have as many reverse names."""
    listener = Listener()
    fixture = Fixture(here=listener).started()
    listener.log.clear()
    addresses = [f"10.1.{i >> 8}.{i & 255}" for i in range(1500)]
    fixture.puts(headless("db"), slice_("db", addresses=addresses))
    fixture.passes(0.1)
    assert listener.log == ["all"]


def test_two_listeners_are_told_the_same() -> None:
    """Each in its own time: one that is away does not hold up the other."""
    here, there = Listener(), Listener()
    fixture = Fixture(here=here, there=there).started()
    fixture.puts(service("web"))
    fixture.passes(0.1)
    assert here.told == there.told
    away, fixture.listeners[THERE] = there, lambda _: None
    fixture.puts(service("web", ip="10.0.0.8"))
    fixture.passes(4.0)
    assert (fixture.state(), fixture.state(THERE)) == ("told", "greeting")
    assert here.serial == fixture.cluster.tree.serial
    fixture.listeners[THERE] = away
    fixture.passes(2.0)
    assert set(here.told) == set(there.told)
    assert there.serial == here.serial
    assert there.log.count("stale") == 1


def test_only_the_listener_itself_gives_receipts() -> None:
    """Another address or port is nobody; IPv4 may come by a socket for both families."""
    fixture = Fixture(here=Listener())
    fixture.client[HERE] = ("127.0.0.1", 54)
    fixture.teller.start()
    fixture.passes(1.0)
    assert fixture.state() == "greeting"
    fixture.client[HERE] = ("127.0.0.2", 53)
    fixture.passes(1.5)
    assert fixture.state() == "greeting"
    fixture.client[HERE] = ("::ffff:127.0.0.1", 53, 0, 0)  # type: ignore[assignment]
    fixture.passes(1.5)
    assert fixture.state() == "told"


@pytest.mark.parametrize("reply", [lambda m: as_reply(m, 4), lambda m: as_reply(m, 5), bytes])
def test_another_make_is_asked_once_a_minute(reply: Reply) -> None:
    """NOTIMP, REFUSED, or our own message back."""
    heard: list[bytes] = []

    def answers(message: bytes) -> bytes | None:
        heard.append(message)
        return reply(message)

    fixture = Fixture(here=answers)
    fixture.teller.start()
    fixture.passes(1.0)
    assert fixture.state() == "off"
    fixture.puts(service("web"))
    fixture.teller.everything()
    fixture.passes(300.0)
    assert 5 <= len(heard) <= 6


def test_a_notify_to_us_is_none_of_the_tellers() -> None:
    """Whoever sends one, even from a listener's address, is answered NOTIMP as by any server."""
    heard: list[bytes] = []
    fixture = Fixture(here=lambda message: heard.append(message))
    fixture.teller.start()
    other = Fixture(here=lambda message: heard.append(message))
    other.teller.start()
    assert not fixture.teller.received(heard[1], HERE)
    assert not fixture.teller.received(heard[0], ("127.0.0.9", 53))
    assert fixture.teller.received(heard[0], HERE), "our own message, which came back"


def test_a_network_that_cannot_be_reached_is_like_a_lost_message() -> None:
    """It is counted, and told when it is back."""
    listener = Listener()
    fixture = Fixture(here=listener).started()
    fixture.failing = True
    fixture.puts(service("web"))
    fixture.passes(5.0)
    (status,) = fixture.teller.status()
    assert status["counts"]["send errors"] > 3  # type: ignore[index]
    fixture.failing = False
    fixture.passes(2.0)
    assert fixture.state() == "told"
    assert listener.serial == fixture.cluster.tree.serial
    assert listener.told


def test_nobody_to_tell() -> None:
    """--notify=off."""
    fixture = Fixture().started()
    fixture.puts(service("web"))
    fixture.teller.everything()
    assert fixture.teller.status() == []
    assert fixture.clock.getDelayedCalls() == []


def test_nothing_is_told_before_the_start() -> None:
    """Addresses are looked at while sockets open."""
    fixture = Fixture(here=Listener())
    fixture.teller.changed(fixture.cluster.tree.server_moved())
    fixture.teller.everything()
    assert fixture.clock.getDelayedCalls() == []
    assert fixture.state() == "off"


def test_our_own_address_is_told() -> None:
    """The name of the name server has it while there is no service for us."""
    listener = Listener()
    fixture = Fixture(here=listener).started()
    fixture.teller.changed(fixture.cluster.tree.server_moved())
    fixture.passes(0.1)
    assert _in_text(listener.told) == ["ns.dns.cluster.local."]


def test_a_change_that_cannot_be_named() -> None:
    """A service that could not be built: nobody knows what it touched."""
    listener = Listener()
    fixture = Fixture(here=listener).started()
    fixture.teller.everything()
    fixture.passes(0.1)
    assert "all" in listener.log


def test_a_fault_in_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins anew as another instance, so the cache trusts nothing from before; and goes on."""
    listener = Listener()
    fixture = Fixture(here=listener).started()
    greeted = listener.instance
    with monkeypatch.context() as patched:
        patched.setattr(Session, "tell", lambda *_, **__: 1 / 0)
        fixture.puts(service("web", "shop", ip="10.0.0.7"))
    fixture.passes(0.5)
    assert fixture.state() == "told"
    assert listener.instance != greeted
    listener.told.clear()
    fixture.puts(service("api", "shop", ip="10.0.0.8"))
    fixture.passes(0.5)
    assert "api.shop.svc.cluster.local." in _in_text(listener.told)


def test_stopping_leaves_no_timer() -> None:
    """And says nothing more."""
    listener = Listener()
    fixture = Fixture(here=listener).started()
    fixture.teller.stop()
    fixture.teller.changed(Change())
    fixture.teller.everything()
    fixture.clock.pump([0.1] * 30)
    assert fixture.clock.getDelayedCalls() == []
