"""A forwarder that is started anew: what it takes out of its file, and what it makes of that."""

import errno
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from dnsmasq_py import hotlist, metrics
from dnsmasq_py.hotlist import MOST, HotList, HotQuestion, Moment
from dnsmasq_py.metrics import Parts
from dnsmasq_py.report import Tcp
from dnsmasq_py.server import Server
from dnsmasq_py.state import State
from dnsmasq_py.warmstart import WarmStart
from kubedns.wire import name as names
from tests.fwdreplay import DEFAULT, STUB, STUBS, Replay, reply_to, rrsets, soa, text_of
from tests.fwdteller import Teller

WALL = 1_800_000_000.0
WWW = "www.example.com. 300 IN A 192.0.2.80"
WEB = "web.shop.svc.cluster.local. 30 IN A 10.0.0.7"
CLUSTER_SOA = soa("cluster.local.", 30, minimum=5)
STALE, STALE_NXDOMAIN = 3, 19


class Reactor:
    """The replay's clock, with calls that have arguments."""

    def __init__(self, replay: Replay) -> None:
        self.seconds = replay.clock.seconds
        self._call_later = replay.clock.callLater

    def callLater(self, delay: float, call: Callable[..., Any], *args: Any) -> Any:
        return self._call_later(delay, partial(call, *args))


class Life:
    """
    One process, from its start; away_s: how long after the last one's end.

    wall_s: by how much the clock on the wall was set since. failure: of every write.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        at: float = 0.0,
        boot: str = "a boot",
        wall_s: float = 0.0,
        upstreams: Sequence[Server] = (DEFAULT,),
        stubs: Mapping[str, Sequence[Server]] = STUBS,
        **options: Any,
    ) -> None:
        self.path = Path(path)
        self.replay = Replay(upstreams=upstreams, stubs=stubs, **options)
        self.replay.forwarder.cluster_is_ours = True
        self.failure: OSError | None = None
        began = self.replay.clock.now

        def moment() -> Moment:
            passed = at + self.replay.clock.now - began
            return Moment(boot, 5000.0 + passed, WALL + passed + wall_s)

        self.moment = moment
        self.warm = WarmStart(
            str(path), self.replay.forwarder, Reactor(self.replay),
            moment=moment, in_thread=self._in_thread,
        )  # fmt: skip
        self.warm.load()
        self.warm.start()

    def _in_thread(self, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        if self.failure is not None and self.path in args:
            return fail(self.failure)
        try:
            return succeed(call(*args))
        except OSError as error:
            return fail(error)

    def knows(self, question: str, *answer: str, times: int = 3, **more: Any) -> None:
        """Have a question asked and answered, so that it is hot."""
        self.replay.resolve(question, *answer, **more)
        for _ in range(times - 1):
            self.replay.client_asks(question)

    def stops(self) -> None:
        """End in good order."""
        stopping = Deferred.fromCoroutine(self.warm.stop())
        assert stopping.called
        stopping.addErrback(lambda failure: failure.raiseException())

    def holds(self) -> HotList:
        """Return what the file holds."""
        return hotlist.decode(self.path.read_bytes())

    def held(self) -> dict[str, bool]:
        """Return the questions in the file, and whether each has its answer."""
        return {
            names.to_text(each.key[:-5]): each.answer is not None for each in self.holds().questions
        }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hot"


def _first(path: Path, **options: Any) -> None:
    """Let a first process know a name outside, one of a stub domain and one of the cluster."""
    life = Life(path, **options)
    life.knows("www.example.com. A", WWW, times=9)
    life.knows("git.stub.example. A", "git.stub.example. 300 IN A 192.0.2.90")
    life.knows("web.shop.svc.cluster.local. A", WEB)
    life.stops()


# What is written


def test_the_hottest_questions_are_written_when_we_stop(path: Path) -> None:
    """With their answers, for nobody else to read; what was asked for once is left out."""
    life = Life(path)
    life.knows("www.example.com. A", WWW, times=9)
    life.knows("git.stub.example. A", "git.stub.example. 300 IN A 192.0.2.90")
    life.knows("once.example.com. A", "once.example.com. 300 IN A 192.0.2.81", times=1)
    life.stops()
    assert list(life.held().items()) == [("www.example.com.", True), ("git.stub.example.", True)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_it_is_written_from_time_to_time_while_anything_is_asked(path: Path) -> None:
    """Soon after the first question, then every thirty seconds; and not at all at night."""
    life = Life(path)
    life.knows("www.example.com. A", WWW)
    life.replay.time_passes(11)
    assert life.warm.file.writes == 1
    for _ in range(24):
        life.replay.client_asks("www.example.com. A")
        life.replay.time_passes(5)
    assert 4 <= life.warm.file.writes <= 5
    life.replay.time_passes(60)
    writes = life.warm.file.writes
    life.replay.time_passes(3600)
    assert life.warm.file.writes == writes
    assert 3500 < (life.warm.file.age_s or 0) < 3700


def test_what_was_purged_leaves_the_file(path: Path) -> None:
    """Its answer is wrong by now; its question is as hot as before."""
    life = Life(path, no_negcache=True)
    teller = Teller(life.replay)
    teller.begins()
    life.knows("web.shop.svc.cluster.local. A", WEB)
    life.replay.time_passes(1)
    for _ in range(10):
        teller.beats()
        life.replay.time_passes(1)
    assert life.held() == {"web.shop.svc.cluster.local.": True}
    teller.changes("web.shop.svc.cluster.local.")
    for _ in range(40):
        teller.beats()
        life.replay.time_passes(1)
    assert life.held() == {"web.shop.svc.cluster.local.": False}


def test_what_was_forgotten_on_purpose_leaves_the_file(path: Path) -> None:
    """As on SIGHUP, although nobody asks for anything."""
    _first(path)
    life = Life(path, at=10.0)
    life.replay.cache.clear()
    life.warm.cleared()
    life.replay.time_passes(6)
    assert list(life.held().values()) == [False] * 3


def test_what_is_missing_in_the_cluster_is_kept_as_a_question_alone(path: Path) -> None:
    """It is never served stale. What is missing outside is."""
    life = Life(path)
    Teller(life.replay).begins()
    for name, server in (("a.shop.svc.cluster.local.", CLUSTER_SOA), ("a.example.", soa("."))):
        life.knows(f"{name} A", authority=server, rcode="NXDOMAIN")
    life.stops()
    assert life.held() == {"a.shop.svc.cluster.local.": False, "a.example.": True}


def test_answers_with_a_reason_and_large_ones_are_kept_as_questions_alone(path: Path) -> None:
    """The file is bounded."""
    life = Life(path)
    text = " ".join(f'"{"x" * 250}"' for _ in range(17))
    life.knows("big.example. TXT", f"big.example. 300 IN TXT {text}")
    life.stops()
    assert life.held() == {"big.example.": False}


def test_without_stale_answers_there_are_none_in_the_file(path: Path) -> None:
    """--max-stale=0: nobody would be given them."""
    _first(path, max_stale_s=0.0)
    assert set(Life(path).held().values()) == {False}


def test_a_thousand_questions_at_most(path: Path) -> None:
    """Of a cache however large; and with all of them the file is small."""
    life = Life(path, cache_size=5000)
    for number in range(1200):
        life.knows(f"n{number}.example.com. A", f"n{number}.example.com. 300 IN A 192.0.2.1")
    life.stops()
    assert len(life.holds().questions) == MOST == life.warm.file.kept == life.warm.file.answers
    assert life.warm.file.octets < 200_000
    again = Life(path, cache_size=100)
    again.replay.time_passes(0.2)
    assert len(again.replay.cache) == 100
    assert again.warm.warmup.left == 100, "no more than the cache can keep"


# After a start, while nobody can be asked


def test_answers_of_before_stand_in_while_no_server_answers(path: Path) -> None:
    """Stale, with a small TTL and the reason; those of the cluster sooner, and for less long."""
    _first(path)
    life = Life(path, at=240.0)
    www = life.replay.client_asks("www.example.com. A")
    web = life.replay.client_asks("web.shop.svc.cluster.local. A")
    git = life.replay.client_asks("git.stub.example. A")
    assert not (www.replies or web.replies), "first the servers are asked"
    life.replay.time_passes(0.35)
    assert web.answer == ["web.shop.svc.cluster.local. 5 IN A 10.0.0.7"]
    assert not www.replies
    life.replay.time_passes(1.6)
    assert www.answer == ["www.example.com. 30 IN A 192.0.2.80"]
    assert git.answer == ["git.stub.example. 30 IN A 192.0.2.90"]
    assert www.ede == web.ede == git.ede == [STALE]


def test_what_servers_say_now_comes_before_what_they_said(path: Path) -> None:
    """It is another address by now; also where it is only said that there is none."""
    _first(path)
    life = Life(path, at=240.0)
    www = life.replay.client_asks("www.example.com. A")
    life.replay.upstream_answers(
        "www.example.com. 300 IN A 192.0.2.99", question="www.example.com. A"
    )
    assert www.answer == ["www.example.com. 300 IN A 192.0.2.99"]
    git = life.replay.client_asks("git.stub.example. A")
    life.replay.upstream_answers(
        authority=soa("stub.example."), rcode="NXDOMAIN", question="git.stub.example. A"
    )
    assert git.rcode == "NXDOMAIN"
    assert life.replay.client_asks("www.example.com. A").answer == www.answer


def test_an_answer_that_would_still_be_good_is_stale_too(path: Path) -> None:
    """Nobody told us of changes while we were away."""
    _first(path)
    life = Life(path, at=1.0)
    assert not life.replay.client_asks("www.example.com. A").replies
    assert not life.replay.client_asks("web.shop.svc.cluster.local. A").replies
    assert len(life.replay.waiting) >= 2


def test_the_first_word_of_the_feed_drops_none_of_them(path: Path) -> None:
    """They were not trusted before; but a change of a name is believed at once."""
    _first(path)
    life = Life(path, at=10.0)
    teller = Teller(life.replay)
    teller.begins()
    web = life.replay.client_asks("web.shop.svc.cluster.local. A")
    life.replay.time_passes(0.5)
    assert web.ede == [STALE]
    teller.changes("web.shop.svc.cluster.local.")
    web = life.replay.client_asks("web.shop.svc.cluster.local. A")
    life.replay.time_passes(2.0)
    assert not web.replies


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, True),
        ({"at": 3600.0 + 290.0}, True),
        ({"at": 3600.0 + 310.0}, False),
        ({"wall_s": 7200.0}, True),
        ({"wall_s": -7200.0}, True),
        ({"boot": "another", "at": 240.0}, True),
        ({"boot": "another", "wall_s": 7200.0}, False),
        ({"boot": "another", "wall_s": -7200.0}, True),
        ({"upstreams": (Server("192.0.2.2"),)}, False),
        ({"stubs": {"example.com": (STUB,)}}, False),
        ({"max_stale_s": 0.0}, False),
        ({"stop_dns_rebind": True}, False),
    ],
    ids=[
        "at once", "just before --max-stale", "after it", "clock set on", "clock set back",
        "machine started anew", "anew, clock set on", "anew, clock set back", "other upstreams",
        "a stub domain now", "--max-stale=0", "filters",
    ],
)  # fmt: skip
def test_when_an_answer_of_before_is_used(path: Path, how: Any, expected: bool) -> None:
    """At most so old, by a clock that nobody sets; and if its servers are still those to ask."""
    _first(path)
    life = Life(path, **how)
    www = life.replay.client_asks("www.example.com. A")
    life.replay.time_passes(3.0)
    assert bool(www.replies) is expected
    assert "www.example.com." in {each.rpartition(" ")[0].split()[-1] for each in _asked(life)}


def _asked(life: Life) -> list[str]:
    return [text_of(each) for each in life.replay.waiting]


def test_aliases_are_kept_with_who_answered_for_each_name(path: Path) -> None:
    """One that leads into another domain goes with that domain's servers."""
    life = Life(path)
    life.replay.client_asks("www.example.com. A")
    life.replay.upstream_answers("www.example.com. 60 IN CNAME git.stub.example.")
    life.replay.upstream_answers("git.stub.example. 300 IN A 192.0.2.90")
    for _ in range(3):
        life.replay.client_asks("www.example.com. A")
        life.replay.client_asks("git.stub.example. A")
    life.stops()
    for stubs, expected in ((STUBS, True), ({"stub.example": (DEFAULT,)}, False)):
        again = Life(path, at=30.0, stubs=stubs)
        www = again.replay.client_asks("www.example.com. A")
        again.replay.time_passes(2.0)
        assert bool(www.replies) is expected
        if expected:
            assert www.answer == [
                "git.stub.example. 30 IN A 192.0.2.90",
                "www.example.com. 30 IN CNAME git.stub.example.",
            ]


def test_what_they_were_when_we_stop_again(path: Path) -> None:
    """Restarted over and over while nobody can be asked: they age, and are kept as long."""
    _first(path)
    for turn in range(4):
        life = Life(path, at=60.0 * (turn + 1))
        assert life.warm.restored == 3
        life.stops()
    (answer,) = (
        e.answer for e in life.holds().questions if b"example" in e.key and b"www" in e.key
    )
    assert answer is not None
    assert answer.left_s <= 60.0, "not good for longer than it was"


# After a start, asked again


def _servers(*records: str) -> Callable[[Any], Any]:
    """Answer from records; all else does not exist."""

    def answer(asked: Any) -> Any:
        (question,) = asked.question
        found = [each for each in records if rrsets(each)[0].name == question.name]
        return reply_to(asked, found) if found else reply_to(asked, rcode="NXDOMAIN")

    return answer


def test_hot_names_are_known_before_anybody_asks(path: Path) -> None:
    """Then a client's first question is a hit."""
    _first(path)
    life = Life(path, at=240.0)
    life.replay.auto = _servers(WWW, WEB, "git.stub.example. 300 IN A 192.0.2.91")
    life.replay.time_passes(5.0)
    assert life.warm.warmup.refreshed == 3
    life.replay.auto = None
    for name in ("www.example.com.", "web.shop.svc.cluster.local."):
        assert life.replay.client_asks(f"{name} A").rcode == "NOERROR"
    (git,) = life.replay.client_asks("git.stub.example. A").answer
    assert git.endswith(" 192.0.2.91"), "not the one of before"
    assert life.replay.counters.misses == 0
    assert life.replay.is_quiet()


def test_a_client_joins_what_is_being_asked_again(path: Path) -> None:
    """One question goes out, and its answer is for both."""
    _first(path)
    life = Life(path, at=240.0)
    life.replay.time_passes(0.01)
    (waits,) = [q for q in life.replay.questions if "www" in q]
    www = life.replay.client_asks("www.example.com. A")
    assert [q for q in life.replay.questions if "www" in q] == [waits]
    life.replay.upstream_answers(WWW, question="www.example.com. A")
    assert www.answer == [WWW]


def test_questions_outlive_many_starts_but_not_for_ever(path: Path) -> None:
    """Asked by nobody but us they get cold."""
    _first(path)
    found = []
    for turn in range(8):
        life = Life(path, at=600.0 * (turn + 1))
        life.replay.auto = _servers(WWW, WEB)
        found.append(life.warm.loaded)
        life.replay.time_passes(12.0)
        life.stops()
    assert found[:2] == [3, 3]
    assert found[-1] == 0, found


def test_no_answer_at_all_is_given_up(path: Path) -> None:
    """After two minutes; nothing goes on by itself, and the questions stay in the file."""
    _first(path)
    life = Life(path, at=60.0)
    life.replay.time_passes(130.0)
    assert life.warm.warmup.failed == 3
    assert life.warm.warmup.left == 0
    assert life.replay.is_quiet()
    life.stops()
    assert len(life.held()) == 3


def test_status_tells_how_far_it_is(path: Path) -> None:
    """And of the file."""
    _first(path)
    life = Life(path, at=240.0)
    status: Any = life.warm.status()
    assert status["age_s"] == 240.0
    assert status["at_start"] == {
        "questions": 3, "answers": 3, "refreshed": 0, "failed": 0, "needless": 0, "left": 3,
    }  # fmt: skip
    life.replay.auto = _servers(WWW, WEB)
    life.replay.time_passes(5.0)
    status = life.warm.status()
    assert status["at_start"]["refreshed"] == 3
    assert status["at_start"]["left"] == 0


def test_metrics_tell_what_was_kept_and_asked_again(path: Path) -> None:
    """Nothing of a forwarder that has no such file."""
    _first(path)
    life = Life(path, at=240.0)
    life.replay.auto = _servers(WWW, WEB)
    life.replay.time_passes(8.0)
    life.replay.time_passes(8.0)
    parts = Parts(
        state=State(began=0.0),
        counters=life.replay.counters,
        cache=life.replay.cache,
        upstreams=life.replay.upstreams,
        sockets=SimpleNamespace(sockets=0, connections=0),
        failures=(),
        in_flight=lambda: 0,
        waiting=lambda: 0,
        tcp=lambda: Tcp(0, 0, 256),
        limits={},
        warm=life.warm,
    )
    lines = metrics.exposition(parts)().decode().splitlines()
    for series, value in (
        ("warm_questions", 3),
        ("warm_answers", 3),
        ("warm_questions_left", 0),
        ("warm_refreshed_total", 3),
        ("warm_failed_total", 0),
        ("warm_needless_total", 0),
        ("hot_file_writes_total", 1),
        ("hot_file_errors_total", 0),
        ("hot_questions", 3),
    ):
        assert f"kubedns_forwarder_{series} {value}.0" in lines
    assert any(line.startswith("kubedns_forwarder_hot_file_age_seconds ") for line in lines)
    parts.warm = Life("").warm  # no file: the same series, so that alerts find them
    lines = metrics.exposition(parts)().decode().splitlines()
    assert "kubedns_forwarder_hot_file_errors_total 0.0" in lines


# Files that are no good


@pytest.mark.parametrize("what", ["nothing", "garbage", "another version", "a folder"])
def test_a_start_without_a_good_file(path: Path, what: str) -> None:
    """As if there had never been one."""
    if what == "a folder":
        path.mkdir()
    elif what != "nothing":
        _first(path)
        octets = path.read_bytes()
        path.write_bytes(octets[:-9] if what == "garbage" else octets.replace(b"e 1\n", b"e 7\n"))
    life = Life(path)
    assert life.warm.loaded == len(life.replay.cache) == 0
    assert life.warm.file.errors == (what != "nothing")
    life.knows("www.example.com. A", WWW)
    life.stops()
    assert life.warm.file.writes == (what != "a folder")


def test_answers_in_a_file_that_are_none(path: Path) -> None:
    """With the right check-sum: none of them is served, and their questions are asked again."""
    _first(path)
    hot = Life(path).holds()
    for change in _changes():
        questions = [
            HotQuestion(each.key, each.heat, _with(each, change)) for each in hot.questions
        ]
        path.write_bytes(hotlist.encode(HotList(hot.written, hot.routes, tuple(questions))))
        life = Life(path, at=1.0)
        assert life.warm.loaded == 3
        assert life.warm.restored == 0
        assert len(life.replay.cache) == 0
        assert life.warm.warmup.left == 3


def _with(question: HotQuestion, change: Callable[[bytes], bytes]) -> Any:
    assert question.answer is not None
    return replace(question.answer, octets=change(question.answer.octets))


def _changes() -> Iterable[Callable[[bytes], bytes]]:
    yield lambda _: b""
    yield lambda octets: octets[:-1]
    yield lambda octets: octets + b"\0"
    yield lambda octets: octets[:10] + b"\1x\0" + octets[octets.index(b"\0", 10) + 1 :]  # a name
    yield lambda octets: octets[:1] + bytes((octets[1] | 2,)) + octets[2:]  # SERVFAIL
    yield lambda octets: bytes((octets[0] | 2,)) + octets[1:]  # TC
    yield lambda octets: bytes((octets[0] & 0x7F,)) + octets[1:]  # a query


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_fails(path: Path, number: int) -> None:
    """Counted and tried again, never in the way; the last good file stays."""
    life = Life(path)
    life.knows("www.example.com. A", WWW)
    life.replay.time_passes(11)
    life.failure = OSError(number, os.strerror(number))
    for _ in range(20):
        assert life.replay.client_asks("www.example.com. A").answer
        life.replay.time_passes(10)
    assert life.warm.file.errors >= 3
    assert len(life.held()) == 1
    life.failure = None
    life.replay.time_passes(60)
    assert life.warm.file.last_error is None


def test_off() -> None:
    """Without --hot-file, or without a cache, there is no timer and no file."""
    for life in (Life(""), Life("/nonexistent/hot", cache_size=0)):
        assert life.replay.clock.waiting() == []
        assert life.warm.status() is None
        life.stops()
