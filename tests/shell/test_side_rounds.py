"""The rounds of a probe, with a clock that the test turns and a server that it plays."""

import random
from collections.abc import Callable
from typing import Any

import dns.edns
import dns.message
import dns.rrset
import pytest
from twisted.internet.task import Clock, deferLater

from sidecar.ask import Answer, query
from sidecar.asking import Rounds, trouble, version
from sidecar.health import Health, Make
from sidecar.probe import Probe

SILENCE = Answer(None, 2.0, "no reply from 127.0.0.1:53 within 2 s")


def reply(asked: dns.message.Message, *answer: str, rcode: int = 0) -> dns.message.Message:
    """Make a reply with records of the name that was asked for."""
    made = dns.message.make_response(asked)
    made.set_rcode(rcode)  # type: ignore[arg-type]
    question = asked.question[0]
    for text in answer:
        rtype, _, rdata = text.partition(" ")
        made.answer.append(dns.rrset.from_text(question.name, 0, question.rdclass, rtype, rdata))
    return made


def says(text: str) -> Callable[[Any], Answer]:
    """Answer version.bind."""
    return lambda asked: Answer(reply(asked, f'TXT "{text}"'), 0.001)


class Play:
    """A probe and its server. answer, make: what comes of either question; took_s: when."""

    def __init__(self, interval_s: int = 5) -> None:
        self.clock = Clock()
        self.answer: Callable[[Any], Answer] = lambda a: Answer(reply(a, "A 192.0.2.1"), 0.003)
        self.make = says("kube-dns-py 0.1.0")
        self.took_s = 0.0
        self.asked: list[tuple[float, str, float]] = []
        self.told: list[Health] = []
        probe = Probe("a", "127.0.0.1", 53, "x.", interval_s, "A")
        self.rounds = Rounds(
            Health(probe, since=0.0), self, self.told.append, reactor=self.clock,
            clock=self.clock.seconds, wall=lambda: 1000.0 + self.clock.seconds(),
            rng=random.Random(3),
        )  # fmt: skip

    async def ask(
        self, host: str, port: int, asked: dns.message.QueryMessage, patience_s: float
    ) -> Answer:
        name = str(asked.question[0].name)
        self.asked.append((self.clock.seconds(), name, patience_s))
        if self.took_s:
            await deferLater(self.clock, self.took_s, lambda: None)
        return (self.make if name == "version.bind." else self.answer)(asked)

    def times(self, name: str = "x.") -> list[float]:
        return [at for at, asked, _ in self.asked if asked == name]

    def turn(self, seconds: float) -> Health | None:
        """Let time pass; return what is known then."""
        self.clock.pump([0.05] * round(seconds / 0.05))
        return self.told[-1] if self.told else None


def test_the_first_round_comes_within_a_second() -> None:
    """At a random moment, and then every interval, however long a round takes."""
    play = Play(interval_s=5)
    play.took_s = 1.5
    play.rounds.start()
    play.turn(21.0)
    first = play.times()[0]
    assert 0 < first <= 1.05
    assert play.times() == pytest.approx([first + 5 * i for i in range(5)], abs=0.3)


@pytest.mark.parametrize(("interval_s", "patience_s"), [(1, 0.9), (2, 1.8), (3, 2.0), (60, 2.0)])
def test_how_long_a_reply_is_waited_for(interval_s: int, patience_s: float) -> None:
    """Two seconds, but less than an interval."""
    play = Play(interval_s)
    play.rounds.start()
    play.turn(1.1)
    assert play.asked[0][2] == patience_s


def test_a_good_round() -> None:
    """Latency of the reply, the time it ended, the make."""
    play = Play()
    play.rounds.start()
    known = play.turn(1.1)
    assert known is not None
    assert (known.good, known.latency_s, known.make) == (True, 0.003, Make.OURS)
    assert known.last is not None
    assert 1000 < known.last.at < 1001.1


def test_ours_is_asked_for_its_make_in_each_round() -> None:
    """By that it is alive while it has no answer."""
    play = Play()
    play.rounds.start()
    play.turn(1.1)
    play.answer = lambda _: SILENCE
    known = play.turn(5.0)
    assert known is not None
    assert (known.good, known.alive) == (False, True)
    play.make = lambda _: SILENCE
    known = play.turn(5.0)
    assert known is not None
    assert (known.make, known.alive) == (Make.OURS, False)
    assert len(play.times("version.bind.")) == len(play.times()) == 3


@pytest.mark.parametrize(
    "make", [says("dnsmasq-2.90"), lambda _: SILENCE], ids=["foreign", "does not tell"]
)
def test_a_make_that_decides_nothing_is_asked_for_once_a_minute(
    make: Callable[[Any], Answer],
) -> None:
    """A round waits for both answers; it need not wait for this one each time."""
    play = Play()
    play.make = make
    play.rounds.start()
    play.turn(118.0)
    assert len(play.times()) == 24
    assert len(play.times("version.bind.")) == 2


def test_a_server_that_comes_up_late() -> None:
    """Its make is asked for as long as nothing comes."""
    play = Play()
    play.answer = play.make = lambda _: SILENCE
    play.rounds.start()
    play.turn(11.0)
    assert len(play.times("version.bind.")) == len(play.times()) >= 10
    play.answer = lambda asked: Answer(reply(asked, rcode=2), 0.001)
    play.make = says("kube-dns-py 0.1.0")
    known = play.turn(5.0)
    assert known is not None
    assert (known.good, known.alive) == (False, True)


def test_a_start_is_watched_closely() -> None:
    """Each second until the server is good for the first time, for half a minute at most."""
    play = Play(interval_s=10)
    play.answer = lambda _: SILENCE
    play.rounds.start()
    play.turn(80.0)
    times = play.times()
    starting = [at for at in times if at < 30]
    assert 28 <= len(starting) <= 30
    assert len(times) - len(starting) <= 6
    late = Play(interval_s=10)
    late.answer = lambda _: SILENCE
    late.rounds.start()
    late.turn(3.1)
    late.answer = lambda asked: Answer(reply(asked, "A 192.0.2.1"), 0.003)
    late.turn(2.0)
    count = len(late.times())
    late.answer = lambda _: SILENCE
    late.turn(20.0)
    assert len(late.times()) == count + 2


def test_no_more_rounds_after_the_end() -> None:
    """Not even one that was under way is told of."""
    play = Play()
    play.took_s = 1.0
    play.rounds.start()
    play.turn(1.1)
    assert len(play.times()) == 1
    play.rounds.stop()
    play.turn(30.0)
    assert (len(play.times()), play.told) == (1, [])
    assert play.clock.getDelayedCalls() == []


def test_a_fault_of_ours_does_not_end_the_rounds() -> None:
    """It is logged, and the next round comes."""
    play = Play()

    def broken(asked: object) -> Answer:
        raise ZeroDivisionError

    play.answer = broken
    play.rounds.start()
    play.turn(6.1)
    play.answer = lambda asked: Answer(reply(asked, "A 192.0.2.1"), 0.003)
    known = play.turn(5.0)
    assert known is not None
    assert known.good


PROBE = Probe("a", "127.0.0.1", 53, "x.", 5, "A")
ASKED = query("x.", "A")


def _with_reason() -> dns.message.Message:
    made = reply(ASKED, rcode=2)
    made.use_edns(options=[dns.edns.EDEOption(14, "first sync")])
    return made


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(reply(ASKED, "A 192.0.2.1"), 0.1), ""),
        (Answer(reply(ASKED, "A 192.0.2.1", rcode=3), 0.1), ""),
        (Answer(reply(ASKED, "CNAME y."), 0.1), ""),
        (Answer(reply(ASKED), 0.1), 'no RRs for domain "x."'),
        (Answer(reply(ASKED, rcode=3), 0.1), 'no RRs for domain "x." (NXDOMAIN)'),
        (Answer(reply(ASKED, rcode=5), 0.1), 'no RRs for domain "x." (REFUSED)'),
        (
            Answer(_with_reason(), 0.1),
            'no RRs for domain "x." (SERVFAIL, EDE 14 (Not Ready): first sync)',
        ),
        (SILENCE, SILENCE.error),
    ],
)
def test_what_is_good(answer: Answer, error: str) -> None:
    """A reply with any record, whatever its rcode; else the original's words and the reason."""
    assert trouble(PROBE, answer) == error


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (['TXT "kube-dns-py 0.1.0"'], "kube-dns-py 0.1.0"),
        (['TXT "a" "b"'], "ab"),
        ([], ""),
        (["CNAME y."], ""),
        (['TXT "\\000\\010\\027[31m\\255"'], "??? [31m?".replace(" ", "")),
        ([f'TXT "{"x" * 200}"'], "x" * 100),
    ],
)
def test_a_version(answer: list[str], text: str) -> None:
    """Printable and bounded: it goes into logs, labels and pages."""
    asked = query("version.bind.", "TXT", "CH")
    assert version(reply(asked, *answer)) == text
