"""The client side on loopback: receivers answer what is ready, all else goes to the forwarder."""

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from dnsmasq_py import interfaces
from dnsmasq_py.counters import Counters
from dnsmasq_py.datagrams import Datagrams
from dnsmasq_py.listen import CacheReceiver, Misses, Streams
from dnsmasq_py.options import Options
from kubedns.batch import Table
from kubedns.serve import sockets
from tests.builders import query
from tests.fwdreplay import Replay, decoded

NAME = "www.example.com."
ASKED = query(f"{NAME} A", flags="RD").to_wire()
ADDRESSES = [f"{NAME} 60 IN A 192.0.2.{i}" for i in range(3)]
DEADLINE_S = 20.0

pytestmark = pytest.mark.usefixtures("both_ways")


class Reactor:
    """A thread that runs what receivers hand over, and reads what the dialer's sockets get."""

    seconds = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.calls: deque[Callable[[], Any]] = deque()
        self.failures: list[BaseException] = []
        self._readers: list[Any] = []
        self._stopped = False
        self._wake, self._woken = socket.socketpair()
        self.datagrams = Datagrams(
            self, Counters(), time.monotonic, lambda: None, most=10, max_size=4096
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def callFromThread(self, call: Callable[..., Any], *args: Any) -> None:
        self.calls.append(lambda: call(*args))
        self._wake.send(b"x")

    def callLater(self, _: float, call: Callable[..., Any]) -> None:
        self.callFromThread(call)

    def addReader(self, reader: Any) -> None:  # noqa: N802
        self._readers.append(reader)

    def removeReader(self, reader: Any) -> None:  # noqa: N802
        self._readers.remove(reader)

    def _run(self) -> None:
        while not self._stopped:
            ready, _, _ = select.select([self._woken, *self._readers], [], [])
            try:
                if self._woken in ready:
                    self._woken.recv(1)
                    self.calls.popleft()()
                for reader in self._readers:
                    if reader in ready:
                        reader.doRead()
            except BaseException as error:  # a test looks at it
                self.failures.append(error)

    def has(self, receiver: CacheReceiver) -> bool:
        """Tell whether the reactor's thread reads a receiver's socket."""
        return receiver.socket.fileno() in self.datagrams._others

    def stop(self) -> None:
        def stop() -> None:
            self._stopped = True
            self.datagrams.close_all()

        self.callFromThread(stop)
        self._thread.join(timeout=DEADLINE_S)
        self._wake.close()
        self._woken.close()
        assert not self.failures
        assert not self.datagrams.counters.exceptions


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    made = Reactor()
    yield made
    made.stop()


@pytest.fixture
def replay() -> Replay:
    """Return a forwarder that knows one name; its clock stands where the receivers' does."""
    replay = Replay()
    replay.clock.now = time.monotonic()
    replay.resolve(f"{NAME} A", *ADDRESSES)
    return replay


def made_receiver(replay: Replay, reactor: Reactor, host: str) -> CacheReceiver:
    made = CacheReceiver(
        sockets.udp(host, 0),
        replay.cache.ready,
        Misses(reactor, replay.forwarder.handle, replay.counters, reactor.datagrams),
        replay.counters,
        any_address=sockets.is_wildcard(host),
    )
    made.start()
    return made


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def receiver(
    replay: Replay, reactor: Reactor, request: pytest.FixtureRequest
) -> Iterator[CacheReceiver]:
    """Run a receiver, on one address and on all."""
    made = made_receiver(replay, reactor, request.param)
    yield made
    made.stop()


def client(receiver: CacheReceiver, host: str = "127.0.0.1") -> socket.socket:
    made = socket.socket(type=socket.SOCK_DGRAM)
    made.settimeout(DEADLINE_S)
    made.connect((host, receiver.socket.getsockname()[1]))
    return made


def test_hits_are_answered_by_receivers_in_turns_and_counted(
    receiver: CacheReceiver, replay: Replay
) -> None:
    firsts = set()
    with client(receiver) as one:
        for number in range(50):
            one.send(number.to_bytes(2) + ASKED[2:])
            reply = one.recv(4096)
            assert reply[:2] == number.to_bytes(2)
            message = decoded(reply)
            assert len(message.answer[0]) == 3
            firsts.add(message.answer[0].to_text().splitlines()[0].split()[-1])
    assert len(firsts) == 3, "rotated"
    replay.cache.collect()
    assert replay.counters.hits == 50
    assert replay.counters.queries["udp", 0] == 51


@pytest.mark.parametrize("receiver", ["0.0.0.0"], indirect=True)
def test_the_reply_comes_from_the_address_that_was_asked(receiver: CacheReceiver) -> None:
    """RFC 2181 section 4.1; a connected client would not see it otherwise."""
    for host in ("127.0.0.5", "127.200.1.1"):
        with client(receiver, host) as one:
            for _ in range(5):
                one.send(ASKED)
                assert len(decoded(one.recv(4096)).answer[0]) == 3


def test_a_miss_is_answered_when_its_answer_comes(receiver: CacheReceiver, replay: Replay) -> None:
    with client(receiver) as one:
        one.send(query("new.example.com. A", flags="RD").to_wire())
        until(lambda: bool(replay.waiting))
        replay.upstream_answers("new.example.com. 60 IN A 192.0.2.9")
        assert decoded(one.recv(4096)).answer[0].to_text() == "new.example.com. 60 IN A 192.0.2.9"


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_what_is_no_query_gets_no_reply(receiver: CacheReceiver) -> None:
    with client(receiver) as one:
        for octets in (b"", b"\0", b"\0" * 11, ASKED[:2] + b"\x80" + ASKED[3:]):
            one.send(octets)
        one.send(ASKED)
        assert decoded(one.recv(4096)).id == int.from_bytes(ASKED[:2])


def test_what_receivers_must_not_give_any_more_goes_to_the_forwarder(
    receiver: CacheReceiver, replay: Replay
) -> None:
    """After a change of the configuration each answer is looked at once, and is theirs again."""
    with client(receiver) as one:
        for _ in range(5):
            one.send(ASKED)
            one.recv(4096)
        replay.cache.clear_ready()
        replay.cache.collect()
        before = replay.counters.hits
        one.send(ASKED)
        one.recv(4096)
        assert replay.counters.hits == before + 1, "counted by the forwarder at once"
        for _ in range(2):
            one.send(ASKED)
            one.recv(4096)
    replay.cache.collect()
    assert replay.counters.hits == 8


def test_a_query_that_waited_too_long_in_our_socket_is_dropped(
    receiver: CacheReceiver, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client has asked again, or is gone; what costs nothing is answered all the same."""
    with client(receiver) as one:
        for _ in range(5):
            one.send(ASKED)
            one.recv(4096)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 3)
        one.send(query("old.example.com. A", flags="RD").to_wire())
        until(lambda: replay.counters.dropped["too old"] == 1)
        assert not replay.waiting
        one.send(ASKED)
        assert decoded(one.recv(4096)).answer


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_it_stops_at_once_and_the_port_is_free(replay: Replay, reactor: Reactor, host: str) -> None:
    made = made_receiver(replay, reactor, host)
    port = made.socket.getsockname()[1]
    made.stop()
    assert not made._thread.is_alive()
    with socket.socket(type=socket.SOCK_DGRAM) as again:
        again.bind((host, port))


def test_misses_that_come_thick_are_all_answered_each_to_its_client(
    receiver: CacheReceiver, replay: Replay
) -> None:
    """Then the reactor's thread reads the socket too; hits in between are answered by whom ever."""
    clients = [client(receiver) for _ in range(4)]
    refused = query(f"{NAME} AXFR", flags="RD").to_wire()
    for number in range(400):
        clients[number % 4].send(number.to_bytes(2) + (ASKED if number % 5 == 0 else refused)[2:])
        if number % 40 == 39:
            for late in range(number - 39, number + 1):
                reply = clients[late % 4].recv(4096)
                assert int.from_bytes(reply[:2]) in range(number - 39, number + 1)
                assert int.from_bytes(reply[:2]) % 4 == late % 4
                assert reply[3] & 15 == (0 if int.from_bytes(reply[:2]) % 5 == 0 else 5)
    for one in clients:
        one.close()
    assert not replay.counters.exceptions


plain = pytest.mark.parametrize("receiver", ["127.0.0.1"], indirect=True)
REFUSED = query(f"{NAME} AXFR", flags="RD").to_wire()  # a miss that is answered at once


def ask(one: socket.socket, *messages: bytes) -> None:
    """Ask, and wait for as many replies."""
    for message in messages:
        one.send(message)
    for _ in messages:
        one.recv(4096)


def given_over(receiver: CacheReceiver, reactor: Reactor, one: socket.socket) -> None:
    """Ask for what is not in the cache until the reactor's thread reads the socket."""
    ends = time.monotonic() + DEADLINE_S
    while not reactor.has(receiver):
        assert time.monotonic() < ends
        ask(one, *[REFUSED] * 20)


@plain
def test_while_misses_come_thick_the_reactor_reads_and_the_thread_is_parked(
    receiver: CacheReceiver, replay: Replay, reactor: Reactor
) -> None:
    with client(receiver) as one:
        given_over(receiver, reactor, one)
        for _ in range(20):
            ask(one, *[REFUSED] * 10, ASKED)
        assert reactor.has(receiver), "as most are misses"
        assert receiver._thread.is_alive()
    assert not replay.counters.exceptions


@pytest.mark.parametrize("receiver", ["0.0.0.0"], indirect=True)
def test_a_wildcard_socket_stays_with_its_thread(receiver: CacheReceiver, reactor: Reactor) -> None:
    """A reply must leave from the address that was asked."""
    with client(receiver) as one:
        for _ in range(20):
            ask(one, *[REFUSED] * 20)
    assert not reactor.has(receiver)


@plain
def test_the_thread_gets_the_socket_back_when_most_are_hits(
    receiver: CacheReceiver, reactor: Reactor
) -> None:
    """Then nothing that the reactor has to do keeps a hit waiting."""
    with client(receiver) as one:
        for _ in range(3):
            ask(one, ASKED)
        given_over(receiver, reactor, one)
        ends = time.monotonic() + DEADLINE_S
        while reactor.has(receiver):
            assert time.monotonic() < ends
            ask(one, *[ASKED] * 20)
        is_busy, may_go_on = threading.Event(), threading.Event()

        def be_busy() -> None:
            is_busy.set()
            may_go_on.wait(DEADLINE_S)

        reactor.callFromThread(be_busy)
        assert is_busy.wait(DEADLINE_S)
        try:
            ask(one, *[ASKED] * 50)
        finally:
            may_go_on.set()


@plain
def test_the_thread_gets_the_socket_back_when_it_cannot_be_read(
    receiver: CacheReceiver, reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells of that, and pauses; the reactor would try again for ever."""

    class Broken:
        def take(self, *_: object) -> int:
            raise OSError(12, "Cannot allocate memory")

    with client(receiver) as one:
        given_over(receiver, reactor, one)
        with monkeypatch.context() as patched:
            patched.setattr(receiver, "_batch", Broken())
            reactor.callFromThread(receiver.read, time.monotonic())
            until(lambda: not reactor.has(receiver))
        ask(one, ASKED)


@plain
@pytest.mark.parametrize("where", ["join", "end of the turn"])
def test_the_thread_goes_on_when_the_reactor_cannot_take_the_socket(
    receiver: CacheReceiver,
    reactor: Reactor,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    """No room in the epoll object, or a fault at the end of the turn in which it is offered."""
    failed = []
    end = reactor.datagrams.departures.end

    def no_room(*_: object) -> None:
        failed.append(where)
        raise OSError(28, "No space left on device")

    def no_end() -> None:
        end()
        if receiver._misses._offered:
            no_room()

    with client(receiver) as one, monkeypatch.context() as patched:
        if where == "join":
            patched.setattr(reactor.datagrams, "join", no_room)
        else:
            patched.setattr(reactor.datagrams.departures, "end", no_end)
        ends = time.monotonic() + DEADLINE_S
        while not failed:
            assert time.monotonic() < ends
            ask(one, *[REFUSED] * 20)
        ask(one, *[REFUSED] * 20, ASKED)
    reactor.failures = [each for each in reactor.failures if not isinstance(each, OSError)]


@plain
def test_it_stops_while_its_thread_is_parked(receiver: CacheReceiver, reactor: Reactor) -> None:
    with client(receiver) as one:
        given_over(receiver, reactor, one)
    receiver.stop()
    assert not receiver._thread.is_alive()
    assert receiver.socket.fileno() == -1
    assert not reactor.datagrams._others


@plain
def test_a_socket_that_is_offered_when_it_closes_is_not_read_any_more(
    receiver: CacheReceiver, reactor: Reactor
) -> None:
    receiver.halt()
    receiver.take_over()
    assert not reactor.has(receiver)
    receiver.stop()
    assert not receiver._thread.is_alive()


@plain
def test_what_the_reactor_reads_too_late_is_dropped(
    receiver: CacheReceiver, reactor: Reactor, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What costs nothing is answered all the same."""
    with client(receiver) as one:
        for _ in range(3):
            ask(one, ASKED)
        given_over(receiver, reactor, one)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 3)
        monkeypatch.setattr(receiver, "_empty_at", -1e9)
        one.send(REFUSED)
        until(lambda: replay.counters.dropped["too old"] == 1)
        ask(one, ASKED)


@plain
def test_a_fault_of_ours_while_the_reactor_reads(
    receiver: CacheReceiver, reactor: Reactor, replay: Replay
) -> None:
    """It costs the one query, is counted, and the socket is read on."""
    with client(receiver) as one:
        given_over(receiver, reactor, one)
        replay.cache.ready[b"\1\0 broken"] = object()  # type: ignore[assignment]
        one.send(b"\0\1\1\0 broken")
        ask(one, REFUSED)
        until(lambda: replay.counters.exceptions == 1)
        del replay.cache.ready[b"\1\0 broken"]
        assert reactor.has(receiver)


@plain
def test_a_client_that_cannot_be_reached_is_counted_at_the_end_of_the_turn(
    receiver: CacheReceiver, replay: Replay
) -> None:
    """And costs the others nothing."""
    with client(receiver) as one:
        address = one.getsockname()
        departures = receiver._datagrams.departures
        departures.begin()
        for to in (("127.0.0.1", 0), address):
            receiver._sender(to, [])(b"reply")
        assert not replay.counters.dropped
        departures.end()
        assert one.recv(4096) == b"reply"
    assert replay.counters.dropped == {"send: Invalid argument": 1}


# Streams


def test_tcp_takes_ready_replies_and_counts_them(replay: Replay) -> None:
    streams = replay.streams
    for number in range(6):
        if number == 3:
            for _ in range(2):
                replay.client_asks(ASKED)
            assert replay.cache.ready
        reply = streams.ready(number.to_bytes(2) + ASKED[2:], ("127.0.0.1", 5))
        assert reply is not None
        assert reply[:2] == number.to_bytes(2)
        assert len(decoded(reply).answer[0]) == 3
    replay.cache.collect()
    assert replay.counters.tcp_hits == 6
    assert replay.counters.queries["tcp", 0] == 6
    replay.time_passes(70)
    assert streams.ready(ASKED, ("127.0.0.1", 5)) is None


def test_tcp_gets_its_reply_now_or_later_or_never(replay: Replay) -> None:
    streams = replay.streams
    now = streams.respond(ASKED, ("127.0.0.1", 5))
    assert isinstance(now, bytes)
    later = streams.respond(query("new.example.com. A", flags="RD").to_wire(), ("127.0.0.1", 5))
    assert isinstance(later, Deferred)
    got: list[bytes] = []
    later.addCallback(got.append)
    replay.upstream_answers("new.example.com. 60 IN A 192.0.2.9")
    assert decoded(got[0]).answer
    for octets in (b"", b"x" * 11, ASKED[:2] + b"\x80" + ASKED[3:]):
        assert streams.respond(octets, ("127.0.0.1", 5)) is None


def test_a_tcp_client_that_is_gone_when_its_reply_comes(replay: Replay) -> None:
    waiting = replay.streams.respond(
        query("new.example.com. A", flags="RD").to_wire(), ("127.0.0.1", 5)
    )
    assert isinstance(waiting, Deferred)
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    replay.upstream_answers("new.example.com. 60 IN A 192.0.2.9")
    assert replay.forwarder.crowd.total == 0
    assert not replay.counters.exceptions


def test_streams_have_a_clock_of_their_own() -> None:
    replay = Replay()
    assert (
        Streams(replay.forwarder.handle, Table(), replay.counters).ready(ASKED, ("127.0.0.1", 5))
        is None
    )


# Where to listen


PRESENT = {
    "lo": ["127.0.0.1", "::1"],
    "eth0": ["10.0.0.5", "2001:db8::5"],
    "eth1": ["192.168.1.5"],
    "veth12": ["172.16.0.1"],
}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"listen_addresses": ("0.0.0.0",)}, None),
        ({"listen_addresses": ("::", "10.0.0.5")}, None),
        ({"listen_addresses": ("10.0.0.5",)}, ["10.0.0.5"]),
        ({"listen_addresses": ("10.0.0.5", "10.0.0.5", "::1")}, ["10.0.0.5", "::1"]),
        ({"interfaces": ("eth1",)}, ["127.0.0.1", "::1", "192.168.1.5"]),
        ({"interfaces": ("eth*",)}, ["127.0.0.1", "::1", "10.0.0.5", "2001:db8::5", "192.168.1.5"]),
        ({"interfaces": ("eth1",), "except_interfaces": ("lo",)}, ["192.168.1.5"]),
        ({"interfaces": ("gone0",)}, ["127.0.0.1", "::1"]),
        (
            {"except_interfaces": ("eth0", "veth*")},
            ["127.0.0.1", "::1", "192.168.1.5"],
        ),
        ({"interfaces": ("eth1",), "listen_addresses": ("10.9.9.9",)},
         ["10.9.9.9", "127.0.0.1", "::1", "192.168.1.5"]),
    ],
    ids=str,
)  # fmt: skip
def test_which_addresses_options_mean(
    options: dict[str, tuple[str, ...]], expected: list[str] | None
) -> None:
    assert interfaces.wanted(Options(**options), PRESENT) == expected  # type: ignore[arg-type]


def test_the_machines_own_interfaces() -> None:
    found = interfaces.wanted(Options(interfaces=("lo",)))
    assert found is not None
    assert "127.0.0.1" in found
