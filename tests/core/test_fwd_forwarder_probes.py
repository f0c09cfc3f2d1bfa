"""Questions of our own: servers that lead back to us, and of what make the cluster's server is."""

from collections.abc import Iterator

import dns.message
import dns.rdataclass
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from dnsmasq_py.errors import ForwarderError
from dnsmasq_py.probes import Loops, Neighbour, Prober
from dnsmasq_py.server import Server
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.response import Response
from tests.fwdreplay import DEFAULT, KUBEDNS, Replay, asked_of, reply_to, text_of

SECOND = Server("192.0.2.2")


@pytest.fixture
def replay() -> Replay:
    return Replay(upstreams=(DEFAULT, SECOND))


@pytest.fixture
def prober(replay: Replay) -> Prober:
    return Prober(replay.upstreams, replay, replay.agenda, replay.clock.seconds)


# Loops


@pytest.fixture
def found() -> list[Server]:
    return []


@pytest.fixture
def loops(replay: Replay, prober: Prober, found: list[Server]) -> Iterator[Loops]:
    made = Loops(prober, found.append)
    replay.forwarder.probe_seen = made.seen
    made.probe((DEFAULT, SECOND))
    yield made


def test_each_server_is_asked_for_a_name_that_nobody_can_guess(
    replay: Replay, loops: Loops
) -> None:
    asked = {str(a.upstream.server): text_of(a) for a in replay.waiting}
    assert set(asked) == {"192.0.2.1", "192.0.2.2"}
    labels = {text.split(".")[0] for text in asked.values()}
    assert len(labels) == 2
    for text in asked.values():
        label, zone = text.split(".", 1)
        assert zone == "test. TXT"
        assert len(bytes.fromhex(label)) == 8
    before = set(loops._asked)
    loops.probe((DEFAULT, SECOND))
    assert not before & set(loops._asked)


def test_a_server_that_asks_us_is_found_once(
    replay: Replay, loops: Loops, found: list[Server]
) -> None:
    name = text_of(replay.waiting[1])
    for _ in range(3):
        asked = replay.client_asks(name, client="192.0.2.2")
        assert asked.rcode == "NXDOMAIN", "so that it goes round once"
    assert found == [replay.waiting[1].upstream.server]
    assert loops.looping == set(found)


@pytest.mark.parametrize("question", ["0123456789abcdef.test. TXT", "test. TXT", "x.test. A"])
def test_other_names_are_just_asked(
    replay: Replay, loops: Loops, found: list[Server], question: str
) -> None:
    assert not replay.client_asks(question).replies
    assert not found


def test_an_old_probe_that_comes_back_after_a_change_means_nothing(
    replay: Replay, loops: Loops, found: list[Server]
) -> None:
    name = text_of(replay.waiting[0])
    loops.probe(())
    assert not replay.client_asks(name).replies
    assert not found


def test_probes_that_nobody_answers_end(replay: Replay, loops: Loops) -> None:
    replay.time_passes(5)
    assert not replay.waiting


# The neighbour


class Ear:
    def __init__(self, replay: Replay, prober: Prober) -> None:
        self.replay = replay
        self.heard: list[bool] = []
        self.clock = Clock()
        self.neighbour = Neighbour(prober, KUBEDNS, self.heard.append, self.clock)
        self.neighbour.start()

    def answers(self, text: str | None) -> None:
        (attempt, *_) = self.replay.waiting
        asked = asked_of(attempt)
        assert asked.question[0].to_text() == "version.bind. CH TXT"
        assert not asked.flags & 0x0100
        made = reply_to(asked, rcode="REFUSED" if text is None else "NOERROR")
        if text is not None:
            made.answer = [
                dns.rrset.from_text("version.bind.", 0, dns.rdataclass.CH, "TXT", f'"{text}"')
            ]
        self.replay.deliver(attempt, made.to_wire())
        self.replay.sent.clear()

    def time_passes(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.advance(1)
            self.replay.time_passes(1)


@pytest.fixture
def ear(replay: Replay, prober: Prober) -> Ear:
    return Ear(replay, prober)


def test_kubedns_of_our_make_is_known_by_its_version(ear: Ear) -> None:
    ear.answers("kube-dns-py 0.1")
    assert ear.heard == [True]
    assert ear.neighbour.version == "kube-dns-py 0.1"
    ear.time_passes(30)
    assert not ear.replay.sent, "asked again after a minute"
    ear.time_passes(32)
    ear.answers("kube-dns-py 0.2")
    assert ear.heard == [True]


@pytest.mark.parametrize("text", ["dnsmasq-2.90", "", "kube-dns-pyx", "Kube-DNS-py 1", None])
def test_others_are_others(ear: Ear, text: str | None) -> None:
    ear.answers(text)
    assert ear.heard == []


def test_silence_says_nothing_new_and_is_asked_about_soon(ear: Ear) -> None:
    ear.answers("kube-dns-py 0.1")
    ear.time_passes(62)
    assert ear.replay.waiting
    ear.time_passes(8)
    assert ear.heard == [True]
    waiting = ear.replay.waiting
    assert waiting, "asked again and again"
    ear.answers("dnsmasq-2.90")
    assert ear.heard == [True, False]
    ear.neighbour.stop()
    ear.neighbour.stop()
    ear.replay.sent.clear()
    ear.time_passes(120)
    assert not ear.replay.sent
    ear.neighbour.start()
    ear.neighbour.start()
    assert len(ear.replay.sent) == 1, "asked at once, and once"


# Names of stub servers


def test_a_name_is_resolved_by_a_group(replay: Replay, prober: Prober) -> None:
    group = replay.forwarder.routes.default.group
    told: list[Response] = []
    prober.resolve(group, names.from_text("ns.example.com"), rr.A).addCallback(told.append)
    assert replay.questions[0].endswith("ns.example.com. A")
    replay.upstream_answers(change=lambda octets: octets + b"x")
    assert not told
    replay.upstream_answers("ns.example.com. 60 IN A 192.0.2.53")
    assert told[0].answer[0].rdatas == (bytes((192, 0, 2, 53)),)


def test_why_a_name_cannot_be_resolved(replay: Replay, prober: Prober) -> None:
    def reason(deferred: "Deferred[Response]") -> str:
        failures: list[str] = []

        def failed(failure: Failure) -> None:
            failure.trap(ForwarderError)
            failures.append(str(failure.value))

        deferred.addErrback(failed)
        replay.time_passes(5)
        (text,) = failures
        return text

    assert "no server" in reason(prober.resolve(None, names.ROOT, rr.A))
    group = replay.forwarder.routes.default.group
    assert "192.0.2.1" in reason(prober.resolve(group, names.from_text("ns.example.com"), rr.A))
