"""When exchanges are called: one timer for all, on a clock that is moved by hand."""

from math import inf

import pytest
from twisted.internet.task import Clock

from dnsmasq_py.agenda import Agenda


class Entry:
    """Something that is due, and notes when it was called."""

    def __init__(self, clock: Clock, *dues: float) -> None:
        self._clock = clock
        self._dues = list(dues)
        self.due = self._dues.pop(0)
        self.booked = inf
        self.agenda: Agenda | None = None
        self.calls: list[tuple[float, bool]] = []

    def timed_out(self, now: float, *, extras: bool = True) -> None:
        self.calls.append((round(now, 3), extras))
        self.due = self._dues.pop(0) if self._dues else inf

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.calls]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def agenda(clock: Clock) -> Agenda:
    return Agenda(clock)


def run(clock: Clock, seconds: float) -> None:
    clock.pump([0.001] * round(1000 * seconds))


def test_everyone_is_called_when_he_is_due_and_again_as_he_says(
    clock: Clock, agenda: Agenda
) -> None:
    one, two = Entry(clock, 0.03, 0.06, 0.18), Entry(clock, 0.1)
    agenda.add(one)
    agenda.add(two)
    run(clock, 1)
    assert one.times == pytest.approx([0.03, 0.06, 0.18], abs=0.0021)
    assert two.times == pytest.approx([0.1], abs=0.0021)
    assert clock.getDelayedCalls() == []


def test_there_is_one_timer_at_most(clock: Clock, agenda: Agenda) -> None:
    for ms in range(100, 0, -1):
        agenda.add(Entry(clock, ms / 1000))
        assert len(clock.getDelayedCalls()) == 1


def test_those_that_are_due_within_10_ms_are_called_together(clock: Clock, agenda: Agenda) -> None:
    entries = [Entry(clock, 0.05 + ms / 1000) for ms in range(10)]
    for entry in entries:
        agenda.add(entry)
    run(clock, 0.2)
    assert len({time for entry in entries for time in entry.times}) <= 2


def test_who_is_over_is_called_no_more(clock: Clock, agenda: Agenda) -> None:
    one = Entry(clock, 0.03)
    agenda.add(one)
    one.due = inf
    run(clock, 1)
    assert one.calls == []
    assert clock.getDelayedCalls() == []


def test_who_is_due_earlier_than_he_said_enters_again_and_is_called_once(
    clock: Clock, agenda: Agenda
) -> None:
    one = Entry(clock, 0.5)
    agenda.add(one)
    one.due = 0.1
    agenda.add(one)
    run(clock, 1)
    assert one.times == pytest.approx([0.1], abs=0.0021)


def test_who_is_due_later_than_he_said_is_called_then(clock: Clock, agenda: Agenda) -> None:
    one = Entry(clock, 0.1)
    agenda.add(one)
    one.due = 0.5
    run(clock, 1)
    assert one.times == pytest.approx([0.5], abs=0.0021)


def test_after_a_stall_sockets_are_read_before_anybody_is_called(
    clock: Clock, agenda: Agenda
) -> None:
    one = Entry(clock, 0.03)
    agenda.add(one)
    before: list[int] = []
    clock.callLater(0.2, lambda: before.append(len(one.calls)))  # where a reactor reads
    clock.advance(0.2)
    assert before == [0]
    assert one.calls == [(0.2, True)]
    assert agenda.lags == 0


def test_after_a_long_stall_only_what_is_necessary_is_done_for_a_second(
    clock: Clock, agenda: Agenda
) -> None:
    one = Entry(clock, 0.03, 0.6, 2.0)
    agenda.add(one)
    clock.advance(0.5)
    clock.advance(0)
    assert agenda.lags == 1
    assert agenda.is_lagging(clock.seconds())
    run(clock, 2)
    assert [extras for _, extras in one.calls] == [False, False, True]


def test_when_it_is_closed_nobody_is_called(clock: Clock, agenda: Agenda) -> None:
    one = Entry(clock, 0.03)
    agenda.add(one)
    agenda.close()
    agenda.add(Entry(clock, 0.05))
    run(clock, 1)
    assert one.calls == []
    assert clock.getDelayedCalls() == []


def test_one_that_fails_does_not_stop_the_others(clock: Clock, agenda: Agenda) -> None:
    class Broken(Entry):
        def timed_out(self, now: float, *, extras: bool = True) -> None:
            super().timed_out(now, extras=extras)
            raise RuntimeError("broken")

    broken, good = Broken(clock, 0.03), Entry(clock, 0.04)
    agenda.add(broken)
    agenda.add(good)
    with pytest.raises(RuntimeError):
        run(clock, 0.1)
    run(clock, 1)
    assert good.times == pytest.approx([0.041], abs=0.01)
