"""Who reads a socket of clients: when it is given over, and when it is given back."""

from dnsmasq_py.readers import Shift


def given_over(now: float) -> Shift:
    """Return the shift of a socket that the reactor's thread has just begun to read."""
    shift = Shift()
    assert shift.is_thick(20, now)
    shift.begin(now)
    return shift


def test_a_few_misses_or_misses_far_between_are_not_thick() -> None:
    shift = Shift()
    assert not shift.is_thick(2, 10.0), "as one look-up of a pod's"
    assert not any(shift.is_thick(1, 10.0 + number * 0.05) for number in range(1, 100))


def test_misses_close_together_are_thick() -> None:
    shift = Shift()
    said = [shift.is_thick(1, 10.0 + number * 0.001) for number in range(20)]
    assert said == [False] * 7 + [True] * 13


def test_misses_keep_it_with_the_reactor_with_some_hits_among_them() -> None:
    shift = given_over(10.0)
    for number in range(10_000):
        assert not shift.is_over(10, 6, 0.0, 10.0 + number * 0.001)


def test_hits_bring_it_back_after_128_queries() -> None:
    shift = given_over(10.0)
    said = [shift.is_over(1, number % 3 == 0, 0.0, 10.0 + number * 1e-5) for number in range(128)]
    assert said == [False] * 127 + [True]


def test_a_few_hits_bring_it_back_when_a_second_has_passed() -> None:
    """Where little comes, 128 queries would be long to wait for."""
    shift = given_over(10.0)
    assert not shift.is_over(1, 0, 0.0, 10.5)
    assert shift.is_over(1, 0, 0.0, 11.1)


def test_queries_that_wait_for_long_bring_it_back_but_one_stall_does_not() -> None:
    """Hits would wait behind misses that come faster than they are worked off."""
    shift = given_over(10.0)
    for number in range(100):
        assert not shift.is_over(64, 64, 0.05 * (number % 5 > 0), 10.0 + number * 0.001)
    said = [shift.is_over(64, 64, 0.05, 10.2 + number * 0.001) for number in range(11)]
    assert said.index(True) in (5, 6, 7, 8, 9)


def test_after_it_was_given_back_the_thread_keeps_it_for_a_second() -> None:
    shift = given_over(10.0)
    assert shift.is_over(128, 0, 0.0, 10.1)
    assert not any(shift.is_thick(8, 10.1 + number * 0.009) for number in range(1, 110))
    assert shift.is_thick(8, 11.11)
