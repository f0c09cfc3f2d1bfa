"""Many datagrams at a time, hostile ones among them: what reads a socket, by itself."""

from __future__ import annotations

import errno
import gc
import itertools
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import pytest

from kubedns import batch
from kubedns.batch import Missed, Turning
from kubedns.serve import sockets

pytestmark = pytest.mark.usefixtures("both_ways")

DEADLINE_S = 20.0
ROOM = 4096
KEY = b"\1\0\0\1 known"
REPLY = b"\x81\x80\0\1 known and answered"


class Given(Turning):
    """An answer; ageing: called when it is too old, with now."""

    def __init__(
        self, *turns: Any, until: float = inf, ageing: Callable[[float], Any] = lambda _: False
    ) -> None:
        self.turns = turns
        self.until = until
        self.uses = 0
        self.ageing = ageing

    def age(self, now: float) -> Any:
        return self.ageing(now)


class Ours:
    """A socket with its batch and table, and clients that ask it."""

    def __init__(self, host: str = "127.0.0.1", *, any_address: bool = False) -> None:
        self.socket = sockets.udp(host, 0)
        self.batch = batch.Batch(self.socket, any_address=any_address)
        self.table: dict[Any, Any] = {KEY: Given(REPLY)}
        self._open = [self.socket]

    def client(self, host: str = "127.0.0.1") -> socket.socket:
        made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        made.settimeout(DEADLINE_S)
        made.connect((host, self.socket.getsockname()[1]))
        self._open.append(made)
        return made

    def answer(self) -> tuple[list[Missed], list[int]]:
        """Answer until something is left over; what it is."""
        misses: list[Missed] = []
        failures: list[int] = []
        self.batch.answer(self.table, misses, failures)
        return misses, failures

    def close(self) -> None:
        for each in self._open:
            each.close()


@pytest.fixture
def ours() -> Iterator[Ours]:
    """Run nothing: whoever calls `answer` is the receiver."""
    made = Ours()
    yield made
    made.close()


def test_more_than_fits_into_a_batch(ours: Ours) -> None:
    """Hundreds of hits and misses: each client gets the replies to its questions, in order."""
    clients = [ours.client() for _ in range(5)]
    for number in range(500):
        known = KEY if number % 3 else b"unknown"
        clients[number % 5].send(number.to_bytes(2) + known)
    expected = [number for number in range(500) if not number % 3]
    seen: list[Missed] = []
    while len(seen) < len(expected):
        misses, failures = ours.answer()
        assert not failures
        seen += misses
    assert [int.from_bytes(query[:2]) for query, _, _ in seen] == expected
    for query, address, source in seen:
        assert query[2:] == b"unknown"
        assert address == clients[int.from_bytes(query[:2]) % 5].getsockname()
        assert source == []
    for number in range(500):
        if number % 3:
            assert clients[number % 5].recv(ROOM) == number.to_bytes(2) + REPLY
    assert ours.table[KEY].uses == 500 - len(expected)


def test_datagrams_of_every_size_and_any_octets(ours: Ours) -> None:
    """None is lost, changed, or answered in place of another; longer ones are cut."""
    rng = random.Random(7)
    client = ours.client()
    sizes = [*range(40), 511, 512, 513, ROOM - 1, ROOM, ROOM + 1, 65507]
    sizes += [rng.randrange(65508) for _ in range(200)]
    rng.shuffle(sizes)
    for size in sizes:
        octets = rng.randbytes(size)
        client.send(octets)
        client.send(b"\7\7" + KEY)
        client.send(KEY[:-1])
        seen: list[Missed] = []
        while len(seen) < 2:
            seen += ours.answer()[0]
        assert [query for query, _, _ in seen] == [octets[:ROOM], KEY[:-1]]
        assert client.recv(ROOM) == b"\7\7" + REPLY


def test_a_reply_that_cannot_be_sent(ours: Ours) -> None:
    """It is told of, and those before and behind it are sent."""
    ours.table[b"large"] = Given(bytes(70_000))
    client = ours.client()
    for number in range(60):
        client.send(number.to_bytes(2) + (b"large" if number % 2 else KEY))
    failures: list[int] = []
    while len(failures) < 30:
        failures += ours.answer()[1]
    assert failures == [errno.EMSGSIZE] * 30
    assert [client.recv(ROOM)[1] for _ in range(30)] == list(range(0, 60, 2))


def test_large_replies(ours: Ours) -> None:
    turn = random.Random(1).randbytes(60_000)
    ours.table[b"large"] = Given(turn)
    client = ours.client()
    client.send(b"\1\2large")
    client.send(b"\1\2end")
    ours.answer()
    assert client.recv(65535) == b"\1\2" + turn


def test_turns_are_taken_in_order(ours: Ours) -> None:
    """Also of an answer that makes them when they are asked for."""

    class Late:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, turn: int) -> bytes:
            return b"turn %d" % turn

    ours.table[b"late"] = late = Given()
    late.turns = Late()
    late.uses = 1
    ours.table[b"many"] = Given(b"a", b"b")
    client = ours.client()
    for _ in range(4):
        client.send(b"..late")
        client.send(b"..many")
    client.send(b"..end")
    ours.answer()
    assert [client.recv(ROOM)[2:] for _ in range(8)] == [
        b"turn 1", b"a", b"turn 2", b"b", b"turn 0", b"a", b"turn 1", b"b"
    ]  # fmt: skip


def test_an_answer_that_is_too_old_is_aged_first(ours: Ours) -> None:
    asked: list[float] = []

    def ageing(now: float) -> bool:
        asked.append(now)
        aged.until = now + 60
        aged.turns = (b"new",)
        return True

    ours.table[b"aged"] = aged = Given(b"old", until=-inf, ageing=ageing)
    ours.table[b"dead"] = Given(b"old", until=-inf)
    client = ours.client()
    for octets in (b"..aged", b"..aged", b"..dead"):
        client.send(octets)
    begun = time.monotonic()
    misses, _ = ours.answer()
    assert [query for query, _, _ in misses] == [b"..dead"]
    assert [client.recv(ROOM) for _ in range(2)] == [b"..new"] * 2
    assert len(asked) == 1
    assert begun <= asked[0] <= time.monotonic()


def _raises(_: float) -> bool:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (Given(), ZeroDivisionError),
        (Given("text"), TypeError),
        (Turning(), AttributeError),
        (Given(b"x", until=-inf, ageing=_raises), ZeroDivisionError),
        ("no answer at all", (TypeError, AttributeError)),
    ],
    ids=["no turns", "turns of text", "nothing set", "ageing fails", "no answer"],
)
def test_a_fault_of_ours_costs_the_one_query(
    ours: Ours,
    broken: object,
    error: type[Exception] | tuple[type[Exception], ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is raised, and the others of its batch are answered or handed over; none is silent."""
    if type(broken) is Turning:
        broken.until = inf
    ours.table[b"broken"] = broken
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: seen.append(found.exc_value))
    client = ours.client()
    for _ in range(10):
        for octets in (KEY, b"broken", KEY, KEY, b"unknown", b"broken"):
            client.send(b".." + octets)
    misses: list[Missed] = []
    while len(seen) < 20 or len(misses) < 10:
        found: list[Missed] = []
        try:
            ours.batch.answer(ours.table, found, [])
        except ExceptionGroup as several:
            seen += several.exceptions
        except Exception as one:
            seen.append(one)
        misses += found
    assert all(isinstance(each, error) for each in seen)
    assert [query for query, _, _ in misses] == [b"..unknown"] * 10
    assert [client.recv(ROOM) for _ in range(30)] == [b".." + REPLY] * 30


def test_an_answer_that_leaves_the_table_while_it_is_aged(ours: Ours) -> None:
    """As when the reactor's thread drops it meanwhile."""

    def ageing(_: float) -> bool:
        ours.table.clear()
        gc.collect()
        return True

    ours.table[b"gone"] = Given(b"sent all the same", until=-inf, ageing=ageing)
    client = ours.client()
    client.send(b"..gone")
    client.send(b".." + KEY)
    assert len(ours.answer()[0]) == 1
    assert client.recv(ROOM) == b"..sent all the same"


def test_answers_change_while_they_are_given(ours: Ours) -> None:
    """Another thread puts new turns in place of those that are just being sent."""
    given = ours.table[KEY]
    stop = threading.Event()

    def change() -> None:
        for number in itertools.count():
            given.turns = tuple(b"%06d" % (number % 1_000_000) * 50 for _ in range(3))
            ours.table.pop(number - 1, None)
            ours.table[number] = None
            if stop.is_set():
                return

    changing = threading.Thread(target=change)
    changing.start()
    client = ours.client()
    try:
        for _ in range(300):
            for _ in range(30):
                client.send(b".." + KEY)
            client.send(b"..end")
            while not ours.answer()[0]:
                pass
            for _ in range(30):
                octets = client.recv(ROOM)[2:]
                assert octets == REPLY or octets == octets[:6] * 50
    finally:
        stop.set()
        changing.join()


def test_nothing_is_kept(ours: Ours) -> None:
    """Every object that passed through has as many references as before."""
    turn, client = bytes(300), ours.client()
    given = ours.table[b"counted"] = Given(turn)
    lone: list[Missed] = []

    def ask() -> None:
        for _ in range(100):
            client.send(b"..counted")
        client.send(b"..unknown")
        lone.clear()
        while not lone:
            ours.batch.answer(ours.table, lone, [])
        for _ in range(100):
            client.recv(ROOM)

    ask()
    before = [sys.getrefcount(each) for each in (turn, given, given.turns, ours.table, lone)]
    for _ in range(20):
        ask()
    assert before == [
        sys.getrefcount(each) for each in (turn, given, given.turns, ours.table, lone)
    ]
    handed_over = [sys.getrefcount(lone[0])] + [sys.getrefcount(lone[0][i]) for i in range(3)]
    assert handed_over == [2, 2, 2, 2], "by the list or the tuple, and by the call"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1"])
def test_a_wildcard_answers_from_the_address_that_was_asked(host: str) -> None:
    """And tells Python the same, for those that are answered later."""
    ours = Ours("::", any_address=True)
    try:
        if ":" in host and ours.socket.family != socket.AF_INET6:
            return
        client = ours.client(host)
        client.send(b".." + KEY)
        client.send(b"\1\2later")
        ((query, address, source),), _ = ours.answer()
        assert client.recv(ROOM) == b".." + REPLY
        assert len(source) == 1
        ours.socket.sendmsg((query[:2], b"now"), source, 0, address)
        assert client.recv(ROOM) == b"\1\2now"
        real = client.getsockname()
        assert address[1] == real[1]
        assert address[0] in (real[0], f"::ffff:{real[0]}")
        assert len(address) == (4 if ours.socket.family == socket.AF_INET6 else 2)
    finally:
        ours.close()


# Without waiting


def test_what_is_there_is_answered_without_waiting(ours: Ours) -> None:
    """As many as one look may take; when there are fewer, there are no more."""
    client = ours.client()
    misses: list[Missed] = []
    failures: list[int] = []
    assert ours.batch.take(ours.table, misses, failures) == 0
    total = batch.AT_ONCE + 20
    for number in range(total):
        client.send(number.to_bytes(2) + (KEY if number % 3 else b"unknown"))
    looks = [ours.batch.take(ours.table, misses, failures) for _ in range(3)]
    assert looks == [batch.AT_ONCE, 20, 0]
    expected = [number for number in range(total) if not number % 3]
    assert [int.from_bytes(query[:2]) for query, _, _ in misses] == expected
    assert {address for _, address, _ in misses} == {client.getsockname()}
    for number in range(total):
        if number % 3:
            assert client.recv(ROOM) == number.to_bytes(2) + REPLY
    assert not failures


def test_a_look_tells_of_replies_that_cannot_be_sent(ours: Ours) -> None:
    ours.table[b"large"] = Given(bytes(70_000))
    client = ours.client()
    for octets in (b"..large", b".." + KEY, b"..large"):
        client.send(octets)
    failures: list[int] = []
    assert ours.batch.take(ours.table, [], failures) == 3
    assert failures == [errno.EMSGSIZE] * 2
    assert client.recv(ROOM) == b".." + REPLY


def test_a_fault_of_ours_in_a_look_costs_the_one_query(ours: Ours) -> None:
    ours.table[b"broken"] = Given(b"x", until=-inf, ageing=_raises)
    client = ours.client()
    for octets in (KEY, b"broken", b"unknown", KEY):
        client.send(b".." + octets)
    misses: list[Missed] = []
    with pytest.raises(ZeroDivisionError):
        ours.batch.take(ours.table, misses, [])
    assert [query for query, _, _ in misses] == [b"..unknown"]
    assert [client.recv(ROOM) for _ in range(2)] == [b".." + REPLY] * 2
    assert ours.batch.take(ours.table, misses, []) == 0


def test_a_look_at_a_socket_that_cannot_be_read() -> None:
    with socket.socket() as stream, pytest.raises(OSError, match="not connected"):
        batch.Batch(stream, any_address=False).take({}, [], [])


# Sending


class Held:
    """Who has a socket."""

    def __init__(self, held: socket.socket) -> None:
        self.socket = held


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_many_datagrams_by_several_sockets(host: str) -> None:
    """Connected or not, in order; those that cannot be sent are told by their place."""
    try:
        ours = Ours(host)
    except sockets.ListenError:
        return
    connected = ours.client(host)
    client = ours.client(host)
    parcels: list[Any] = []
    for number in range(200):
        octets = bytes(70_000) if number % 50 == 7 else b"%d" % number
        if number % 2:
            parcels.append((ours.socket.fileno(), octets, client.getsockname(), Held(ours.socket)))
        else:
            parcels.append((connected.fileno(), octets, None, Held(connected)))
    before = [sys.getrefcount(octets) for _, octets, _, _ in parcels]
    failures = batch.send_each(parcels)
    assert failures == [(number, errno.EMSGSIZE) for number in (7, 57, 107, 157)]
    assert before == [sys.getrefcount(octets) for _, octets, _, _ in parcels]
    odd = [number for number in range(1, 200, 2) if number % 50 != 7]
    assert [int(client.recv(ROOM)) for _ in odd] == odd
    assert [int(ours.socket.recv(ROOM)) for _ in range(100)] == list(range(0, 200, 2))
    assert batch.send_each([]) == []
    ours.close()


def test_a_socket_that_has_been_closed_sends_nothing(ours: Ours) -> None:
    client = ours.client()
    client.close()
    assert batch.send_each([(-1, b"x", None, Held(client))]) == [(0, errno.EBADF)]


@pytest.mark.parametrize(
    "wrong", ["no tuple", (), (0, "text", None, None), (0, b"x", "text", None),
              (0, b"x", ("nonsense", 53), None), (0, b"x", ("127.0.0.1",), None)], ids=str,
)  # fmt: skip
@pytest.mark.parametrize("both_ways", ["native"], indirect=True)
def test_what_cannot_be_read_is_a_fault_and_those_before_it_are_sent(
    ours: Ours, wrong: object
) -> None:
    client = ours.client()
    good = (ours.socket.fileno(), b"good", client.getsockname(), None)
    with pytest.raises((TypeError, ValueError)):
        batch.send_each([good, wrong, good])  # type: ignore[list-item]
    assert client.recv(ROOM) == b"good"


# Its end


def test_it_stops_when_told_to(ours: Ours) -> None:
    """Blocked, and in a flood of questions that it could answer for ever."""
    for flooded in (False, True):
        ours.batch = batch.Batch(ours.socket, any_address=False)
        serving = threading.Thread(target=ours.answer)
        serving.start()
        client = ours.client()
        over = threading.Event()

        def flood(client: socket.socket = client, over: threading.Event = over) -> None:
            while not over.is_set():
                client.send(b".." + KEY)

        flooding = threading.Thread(target=flood if flooded else int)
        flooding.start()
        ours.batch.stop()
        client.send(b".." + KEY)  # a wake-up; SocketThread shuts the socket down
        serving.join(timeout=DEADLINE_S)
        over.set()
        flooding.join()
        assert not serving.is_alive()


def test_a_socket_that_is_shut_down_wakes_it(ours: Ours) -> None:
    misses: list[Missed] = []
    serving = threading.Thread(target=lambda: misses.extend(ours.answer()[0]))
    serving.start()
    while serving.is_alive():
        with pytest.raises(OSError, match="not connected"):
            ours.socket.shutdown(socket.SHUT_RD)
        serving.join(timeout=0.01)
    assert misses == [(b"", None, [])]


def test_a_socket_that_cannot_be_read() -> None:
    with socket.socket() as stream, pytest.raises(OSError, match="not connected"):
        batch.Batch(stream, any_address=False).answer({}, [], [])


@pytest.mark.parametrize("both_ways", ["native"], indirect=True)
def test_one_batch_is_for_one_thread(ours: Ours) -> None:
    serving = threading.Thread(target=ours.answer)
    serving.start()
    client = ours.client()
    client.send(b".." + KEY)
    client.recv(ROOM)
    with pytest.raises(RuntimeError):
        ours.answer()
    client.send(b"..end")
    serving.join(timeout=DEADLINE_S)
    assert not serving.is_alive()


@pytest.mark.parametrize("both_ways", ["native"], indirect=True)
def test_arguments_of_other_kinds(ours: Ours) -> None:
    made: Any = ours.batch
    for wrong in ((), ([], [], []), ({}, (), []), ({}, [], None)):
        with pytest.raises(TypeError):
            made.answer(*wrong)
    with pytest.raises(TypeError):
        batch.Batch("0", any_address=False)  # type: ignore[arg-type]


def test_the_process_ends_while_a_thread_waits() -> None:
    """A daemon thread in a system call keeps nobody from leaving."""
    program = (
        "import threading\n"
        "from kubedns.batch import Batch\n"
        "from kubedns.serve import sockets\n"
        "bound = sockets.udp('127.0.0.1', 0)\n"
        "batch = Batch(bound, any_address=False)\n"
        "run = lambda: batch.answer({}, [], [])\n"
        "threading.Thread(target=run, daemon=True).start()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=DEADLINE_S, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
