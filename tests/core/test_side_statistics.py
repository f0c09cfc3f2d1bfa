"""The counters of the forwarder: read as strictly as the original does, summed over restarts."""

from collections.abc import Mapping
from typing import Any

import dns.message
import dns.rrset
import pytest

from sidecar import statistics
from sidecar.ask import Answer, query
from sidecar.history import COARSE_KEPT_S, FINE_KEPT_S, History
from sidecar.state import Sample
from sidecar.statistics import PollError, Sums

FULL = {"hits": 10, "misses": 20, "evictions": 30, "insertions": 40, "cachesize": 50}


def reply(name: str, *records: str, rcode: int = 0) -> dns.message.Message:
    """Make a reply for `name`.bind with TXT records, or others in full."""
    made = dns.message.make_response(query(f"{name}.bind.", "TXT", "CH"))
    made.set_rcode(rcode)  # type: ignore[arg-type]
    for record in records:
        rtype, _, rdata = record.partition(" ")
        made.answer.append(dns.rrset.from_text(f"{name}.bind.", 0, "CH", rtype, rdata))
    return made


def counts(**numbers: int) -> Mapping[str, int]:
    """Make what a poll found."""
    return FULL | numbers


@pytest.mark.parametrize(("text", "value"), [('"1337"', 1337), ('"0"', 0), ('"+7"', 7)])
def test_a_number(text: str, value: int) -> None:
    """One record of one string, a decimal integer."""
    assert statistics.number("hits", reply("hits", f"TXT {text}")) == value


@pytest.mark.parametrize(
    "records",
    [
        [],
        ['TXT "many"'],
        ['TXT ""'],
        ['TXT "1.5"'],
        ['TXT " 1"'],
        ['TXT "1_000"'],
        ['TXT "0x10"'],
        ['TXT "9999999999999999999"'],
        ['TXT "1" "2"'],
        ['TXT "1"', 'TXT "2"'],
        ["CNAME elsewhere."],
    ],
)
def test_not_a_number(records: list[str]) -> None:
    """Whatever else there is, is an error that names the question."""
    with pytest.raises(PollError, match=r"^hits\.bind: "):
        statistics.number("hits", reply("hits", *records))


def _poll(answers: Mapping[str, Answer]) -> tuple[object, list[str]]:
    asked = []

    async def ask(query: dns.message.QueryMessage) -> Answer:
        name = str(query.question[0].name)
        assert query.question[0].to_text().endswith(" CH TXT")
        asked.append(name)
        return answers[name]

    polling: Any = statistics.poll(ask)
    try:
        polling.send(None)
    except StopIteration as end:
        return end.value, asked
    except PollError as error:
        return str(error), asked
    raise AssertionError("waits for somebody")


def test_a_poll_asks_five_questions_in_order() -> None:
    """That of the original."""
    answers = {
        f"{name}.bind.": Answer(reply(name, f'TXT "{count}"'), 0.0) for name, count in FULL.items()
    }
    assert _poll(answers) == (
        FULL,
        ["hits.bind.", "misses.bind.", "evictions.bind.", "insertions.bind.", "cachesize.bind."],
    )


def test_the_first_failure_ends_a_poll() -> None:
    """The next ones would cost two seconds each."""
    answers = {
        "hits.bind.": Answer(reply("hits", 'TXT "1"'), 0.0),
        "misses.bind.": Answer(None, 2.0, "no reply from 127.0.0.1:53 within 2 s"),
    }
    told, asked = _poll(answers)
    assert told == "misses.bind: no reply from 127.0.0.1:53 within 2 s"
    assert asked == ["hits.bind.", "misses.bind."]


def test_growing_counters() -> None:
    """The sums equal the latest values, as in the original's test."""
    sums = Sums()
    for factor in (1, 2, 3):
        told = sums.polled({name: count * factor for name, count in FULL.items()}, 9.0)
        assert (told.hits, told.misses) == (10 * factor, 20 * factor)
        assert (told.evictions, told.insertions) == (30 * factor, 40 * factor)
        assert told.max_size == 50 * factor
    assert (told.at, told.error, told.errors) == (9.0, "", 0)


def test_a_restarted_forwarder() -> None:
    """A lower value adds nothing and is the next base; the others go on."""
    sums = Sums()
    sums.polled(counts(hits=100), 1.0)
    assert sums.polled(counts(hits=3, misses=25), 2.0).hits == 100
    assert sums.polled(counts(hits=5, misses=25), 3.0).hits == 102
    assert sums.statistics.misses == 25


def test_a_failed_poll_changes_nothing_else() -> None:
    """It is counted; the next good one takes up where the last one was."""
    sums = Sums()
    sums.polled(counts(hits=5), 1.0)
    sums.failed("away")
    sums.failed("away")
    assert (sums.statistics.hits, sums.statistics.at) == (5, 1.0)
    assert (sums.statistics.errors, sums.statistics.error) == (2, "away")
    assert sums.polled(counts(hits=7), 4.0).hits == 7
    assert (sums.statistics.errors, sums.statistics.error) == (2, "")


@pytest.mark.parametrize("pause_s", [0.1, 1.0, 5.0, 5.03, 30.0, 300.0])
def test_history_is_bounded_and_loses_nothing(pause_s: float) -> None:
    """Ten hours of polls: at most 260 samples, fine at the end, every hit in one of them."""
    history = History()
    count = int(min(36000 / pause_s, 8000))
    for number in range(1, count + 1):
        history.add(Sample(number * pause_s, pause_s, hits=2, misses=1))
    kept = history.samples
    assert len(kept) <= 260
    assert kept == tuple(sorted(kept, key=lambda sample: sample.at))
    assert kept[-1].at == pytest.approx(count * pause_s)
    assert sum(each.hits for each in kept) == 2 * sum(each.misses for each in kept)
    spans = sum(each.span_s for each in kept)
    assert sum(each.hits for each in kept) == pytest.approx(2 * spans / pause_s, rel=0.01)
    assert spans >= min(count * pause_s, COARSE_KEPT_S) - 300
    recent = [each for each in kept if kept[-1].at - each.at < FINE_KEPT_S]
    assert all(each.span_s <= max(5.5, pause_s) for each in recent)


def test_history_forgets() -> None:
    """What is older than two hours, when somebody polls again after a long time."""
    history = History()
    history.add(Sample(0.0, 5.0, 1, 1))
    history.add(Sample(10_000.0, 10_000.0, 1, 1))
    assert [each.at for each in history.samples] == [10_000.0]
