"""UDP receivers on loopback: threads, the queue to the reactor, the address a reply comes from."""

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from kubedns import batch, plainbatch
from kubedns.serve import sockets
from kubedns.serve.counters import Counters
from kubedns.serve.receiver import TURN_S, Backlog, Receiver, Respond, answering
from tests.builders import Served, decoded, query, serve, service

N = "shop.svc.cluster.local."
ASKED = query(f"web.{N} A").to_wire()
CLIENT = ("127.0.0.1", 40000)
DEADLINE_S = 20.0

pytestmark = pytest.mark.usefixtures("both_ways")


class Reactor:
    """Runs what other threads hand over, one after the other, at once."""

    seconds = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.calls = 0
        self._lock = threading.Lock()

    def callFromThread(self, call: Callable[..., Any], *args: Any) -> None:
        with self._lock:
            self.calls += 1
            call(*args)

    def callLater(self, _: float, call: Callable[..., Any]) -> None:
        call()


def _backlog(respond: Respond, counters: Counters, reactor: Any = None) -> Backlog:
    return Backlog(reactor or Reactor(), answering(respond, counters), counters)


@pytest.fixture
def served() -> Served:
    """Serve one service."""
    return serve(service("web", ip="10.0.0.7"))


def _receiver(served: Served, host: str) -> Receiver:
    bound = sockets.udp(host, 0)
    backlog = _backlog(served.octets, served.counters)
    made = Receiver(
        bound, served.answers.table, backlog, served.counters,
        any_address=sockets.is_wildcard(host),
    )  # fmt: skip
    made.start()
    return made


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def receiver(served: Served, request: pytest.FixtureRequest) -> Iterator[Receiver]:
    """Run a receiver, on one address and on all."""
    made = _receiver(served, request.param)
    yield made
    made.stop()


def _client(receiver: Receiver, host: str = "127.0.0.1") -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.settimeout(DEADLINE_S)
    client.connect((host, receiver.socket.getsockname()[1]))
    return client


def test_ready_and_other_answers(receiver: Receiver, served: Served) -> None:
    """The first goes to the reactor, the next come from the table; each with its own ID."""
    with _client(receiver) as client:
        for number in range(50):
            client.send(number.to_bytes(2) + ASKED[2:])
            reply = client.recv(4096)
            assert reply[:2] == number.to_bytes(2)
            assert len(decoded(reply).answer) == 1
    (answer,) = served.answers.table.values()
    assert answer.uses - answer.first == 50
    assert served.counters.lookups == 1


def test_the_reply_comes_from_the_address_that_was_asked(served: Served) -> None:
    """RFC 2181 section 4.1; a connected client would not see it otherwise."""
    receiver = _receiver(served, "")
    try:
        for host in ("127.0.0.5", "127.200.1.1", "127.0.0.1", "::1"):
            if host == "::1" and receiver.socket.family != socket.AF_INET6:
                continue
            with _client(receiver, host) as client:
                for _ in range(3):
                    client.send(ASKED)
                    assert len(decoded(client.recv(4096)).answer) == 1
    finally:
        receiver.stop()


def test_what_is_no_query_gets_no_reply(receiver: Receiver) -> None:
    """Empty, short, a response: silence, and the next one is answered."""
    with _client(receiver) as client:
        for octets in (b"", b"\0", b"\0" * 11, ASKED[:2] + b"\x80" + ASKED[3:]):
            client.send(octets)
        client.send(ASKED)
        assert decoded(client.recv(4096)).id == int.from_bytes(ASKED[:2])


def test_a_datagram_that_is_too_long(receiver: Receiver) -> None:
    """Cut by the kernel, so FORMERR; nothing breaks."""
    with _client(receiver) as client:
        client.send(ASKED + b"x" * 60_000)
        assert decoded(client.recv(4096)).rcode() == 1


def test_it_stops_at_once(served: Served) -> None:
    """Blocked in recvfrom, on one address and on all; the port is free afterwards."""
    for host in ("127.0.0.1", "0.0.0.0", "::1"):
        try:
            receiver = _receiver(served, host)
        except sockets.ListenError:
            continue
        port = receiver.socket.getsockname()[1]
        receiver.stop()
        assert not receiver._thread.is_alive(), "the thread did not end"
        with socket.socket(
            socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM
        ) as s:
            s.bind((host, port))


def test_an_exception_costs_one_servfail() -> None:
    """The others in the queue are answered."""

    def respond(message: bytes) -> bytes:
        if message[:2] == b"\0\1":
            raise ZeroDivisionError
        return b"fine"

    counters = Counters()
    backlog = _backlog(respond, counters)
    sent: list[bytes] = []
    backlog.add(b"\0\1" + ASKED[2:], CLIENT, sent.append)
    backlog.add(b"\0\2" + ASKED[2:], CLIENT, sent.append)
    assert decoded(sent[0]).rcode() == 2
    assert sent[1] == b"fine"
    assert counters.exceptions == 1


def test_the_queue_is_bounded_and_wakes_the_reactor_once() -> None:
    """What does not fit is dropped and counted, as the kernel would."""

    class Busy:
        def __init__(self) -> None:
            self.calls: list[Callable[[], None]] = []

        def seconds(self) -> float:
            return 0.0

        def callFromThread(self, call: Callable[[], None]) -> None:
            self.calls.append(call)

    busy, counters = Busy(), Counters()
    backlog = _backlog(lambda message: message, counters, busy)
    sent: list[bytes] = []
    for _ in range(5000):
        backlog.add(b"x", CLIENT, sent.append)
    assert len(busy.calls) == 1
    assert counters.dropped["queue full"] == 5000 - 4096
    busy.calls.pop()()
    assert len(sent) == 4096
    backlog.add(b"x", CLIENT, sent.append)
    assert len(busy.calls) == 1
    backlog.closed = True
    busy.calls.pop()()
    assert len(sent) == 4096, "nothing is sent when sockets are closing"


def test_the_reactor_is_not_kept_for_long() -> None:
    """Dear questions are worked off in turns, so that probes, watches and TCP have theirs."""

    class Turns:
        now = 0.0

        def __init__(self) -> None:
            self.calls: list[Callable[[], None]] = []
            self.callFromThread = self.calls.append

        def seconds(self) -> float:
            return self.now

        def callLater(self, _: float, call: Callable[[], None]) -> None:
            self.calls.append(call)

        def turn(self) -> None:
            calls, self.calls[:] = self.calls.copy(), []
            for call in calls:
                call()

    def dear(message: bytes) -> bytes:
        turns.now += TURN_S / 2
        return message

    turns = Turns()
    backlog = _backlog(dear, Counters(), turns)
    sent: list[bytes] = []
    for _ in range(10):
        backlog.add(b"x", CLIENT, sent.append)
    for done in (2, 4, 6, 8, 10):
        turns.turn()
        assert len(sent) == done
    assert not turns.calls
    backlog.add(b"x", CLIENT, sent.append)
    turns.turn()
    assert len(sent) == 11


def test_a_client_that_cannot_be_reached() -> None:
    """An OSError of one client is counted, and costs no other one its answer."""

    def unreachable(_: bytes) -> None:
        raise OSError(101, "Network is unreachable")

    counters = Counters()
    backlog = _backlog(lambda message: message, counters)
    backlog.add(b"x", CLIENT, unreachable)
    sent: list[bytes] = []
    backlog.add(b"y", CLIENT, sent.append)
    assert sent == [b"y"]
    assert counters.dropped["send: Network is unreachable"] == 1
    assert counters.exceptions == 0


def test_a_client_that_has_gone_when_its_reply_comes() -> None:
    """The same, of a reply that somebody outside was asked for."""

    def unreachable(_: bytes) -> None:
        raise OSError(101, "Network is unreachable")

    counters = Counters()
    waiting: Deferred[bytes] = Deferred()
    _backlog(lambda _: waiting, counters).add(b"x", CLIENT, unreachable)
    assert not counters.dropped
    waiting.callback(b"reply")
    assert counters.dropped["send: Network is unreachable"] == 1
    assert counters.exceptions == 0


class Broken:
    """A socket that cannot be read."""

    def __init__(self) -> None:
        self.calls = 0

    def recvfrom(self, _: int) -> Any:
        self.calls += 1
        raise OSError(errno.ENOMEM, "broken")

    def sendto(self, _: bytes, __: Any) -> None:
        raise AssertionError("there is nothing to send")

    def shutdown(self, _: int) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_socket_that_cannot_be_read_is_tried_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not in a circle that takes all of the CPU."""
    pauses: list[int] = []
    pause = time.sleep

    def sleep(seconds: float) -> None:
        pauses.append(bound.calls)
        pause(seconds)

    monkeypatch.setattr(batch, "Batch", plainbatch.Batch)  # to fail there takes a real socket
    monkeypatch.setattr("kubedns.serve.receiver.time.sleep", sleep)
    bound, counters = Broken(), Counters()
    backlog = _backlog(lambda message: message, counters)
    receiver = Receiver(bound, {}, backlog, counters, any_address=False)  # type: ignore[arg-type]
    receiver.start()
    ends = time.monotonic() + DEADLINE_S
    while bound.calls < 5 and time.monotonic() < ends:
        pause(0.001)
    receiver.stop()
    assert not receiver._thread.is_alive(), "the thread did not end"
    assert bound.calls >= 5
    assert set(counters.dropped) == {"receive: broken"}
    assert pauses[:4] == [1, 2, 3, 4], "one after every failure"


def test_whoever_answers_learns_who_asks() -> None:
    """The client's address goes with its query, from the socket to the reactor's thread."""
    asked: list[tuple[bytes, Any]] = []

    def answer(message: bytes, client: Any, send: Callable[[bytes], object]) -> None:
        asked.append((message, client))
        send(b"reply")

    bound = sockets.udp("127.0.0.1", 0)
    backlog = Backlog(Reactor(), answer, Counters())
    receiver = Receiver(bound, {}, backlog, Counters(), any_address=False)
    receiver.start()
    try:
        with _client(receiver) as client:
            client.send(ASKED)
            assert client.recv(4096) == b"reply"
            assert asked == [(ASKED, client.getsockname())]
    finally:
        receiver.stop()
