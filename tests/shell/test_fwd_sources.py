"""Where the configuration comes from: the ConfigMap's folder and resolv.conf, and what is bad."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

from dnsmasq_py.options import Options
from dnsmasq_py.server import Server, Transport
from dnsmasq_py.sources import Sources
from dnsmasq_py.state import State

STUBS = json.dumps({"acme.local": ["10.0.0.53"]})


class Running:
    """Sources on a folder that the test fills, and a clock that it turns."""

    def __init__(self, tmp_path: Path, **options: Any) -> None:
        self.folder = tmp_path / "config"
        self.folder.mkdir()
        self.resolv = [tmp_path / "resolv.conf", tmp_path / "other.conf"]
        self.clock = Clock()
        self.state = State(began=0.0)
        self.changes = 0
        self.options = Options(
            config_dir=str(self.folder),
            sync_interval_s=10,
            resolv_files=tuple(map(str, self.resolv[: options.pop("files", 1)])),
            **options,
        )

    def start(self) -> "Running":
        self.sources = Sources(
            self.options, self.state, ["cluster.local"], self._changed, self.clock
        )
        self.sources.start()
        return self

    def _changed(self) -> None:
        self.changes += 1

    def put(self, **keys: str) -> None:
        for key, text in keys.items():
            (self.folder / key).write_text(text)

    def pass_s(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)

    def stop(self) -> None:
        Deferred.fromCoroutine(self.sources.stop())
        assert not self.clock.getDelayedCalls()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def make(**options: Any) -> Running:
        made.append(Running(tmp_path, **options))
        return made[-1]

    yield make
    for running in made:
        running.stop()


Make = Callable[..., Running]


@pytest.fixture
def told() -> Iterator[list[LogEvent]]:
    """Return the events of the log, as they come."""
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def test_everything_is_read_before_the_first_change_is_told(make: Make) -> None:
    running = make()
    running.put(stubDomains=STUBS, upstreamNameservers='["8.8.8.8"]')
    running.resolv[0].write_text("nameserver 192.0.2.1\n")
    running.start()
    assert running.changes == 1
    configured = running.sources.configured
    assert configured.stub_domains == {"acme.local": (Server("10.0.0.53"),)}
    assert configured.upstreams == (Server("8.8.8.8"),)
    assert addresses(running) == ["192.0.2.1"]
    assert running.state.config["upstream_nameservers"] == ["8.8.8.8"]
    assert running.state.version


def test_a_folder_that_is_missing_is_told_and_the_defaults_hold(make: Make) -> None:
    running = make()
    running.folder.rmdir()
    running.start()
    assert running.changes == 1
    assert running.sources.configured.stub_domains == {}
    running.folder.mkdir()
    running.put(stubDomains=STUBS)
    running.pass_s(11)
    assert running.changes == 2
    assert list(running.sources.configured.stub_domains) == ["acme.local"]


def test_a_change_is_told_once(make: Make) -> None:
    running = make().start()
    running.put(stubDomains=STUBS)
    running.pass_s(11)
    running.pass_s(30)
    assert running.changes == 2


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("stubDomains", "{"),
        ("stubDomains", '{"acme.local": "10.0.0.53"}'),
        ("upstreamNameservers", '["8.8.8.8:0"]'),
        ("upstreamNameservers", '["1.1.1.1", "8.8.8.8", "9.9.9.9", "4.4.4.4"]'),
        ("extensions", "upstreamNameservers: [tls://1.1.1.1]"),
        ("extensions", "nonsense: ["),
    ],
)
def test_a_bad_key_keeps_its_value_and_the_others_apply(make: Make, key: str, bad: str) -> None:
    running = make()
    good = {
        "stubDomains": STUBS,
        "upstreamNameservers": '["8.8.8.8"]',
        "extensions": "stubDomains:\n  tls.local: ['tls://10.0.0.53#dns.example']\n",
    }
    running.put(**good)
    running.start()
    before = running.sources.configured
    assert before.stub_domains["tls.local"] == (
        Server("10.0.0.53", 853, Transport.TLS, "dns.example"),
    )
    other = "upstreamNameservers" if key != "upstreamNameservers" else "stubDomains"
    new = {"upstreamNameservers": '["9.9.9.9"]', "stubDomains": '{"new.local": ["10.0.0.9"]}'}
    running.put(**{key: bad, other: new[other]})
    running.pass_s(11)
    after = running.sources.configured
    if other == "upstreamNameservers":
        assert after.upstreams == (Server("9.9.9.9"),)
        assert after.stub_domains == before.stub_domains
    else:
        assert after.upstreams == before.upstreams
        assert "new.local" in after.stub_domains
    problem = running.state.problems[key]
    assert problem.file == f"{running.folder}/{key}"
    assert problem.reason
    assert running.state.problem_counts[key] == 1
    running.put(**{key: good[key]})
    running.pass_s(11)
    assert not running.state.problems
    assert running.state.last_problem == problem


def errors(told: list[LogEvent]) -> list[str]:
    return [formatEvent(event) for event in told if event["log_level"] is LogLevel.error]


def test_a_folder_that_stays_away_is_told_of_once_a_minute(
    make: Make, told: list[LogEvent]
) -> None:
    """Not every ten seconds, as the folder is looked for."""
    running = make()
    running.folder.rmdir()
    running.start()
    running.pass_s(50)
    assert len([line for line in errors(told) if "config: No such file" in line]) == 1
    assert running.state.last_problem is not None
    running.pass_s(15)
    assert len([line for line in errors(told) if "config: No such file" in line]) == 2


def test_what_stays_bad_is_told_and_counted_once(make: Make, told: list[LogEvent]) -> None:
    """Other keys change meanwhile; the page shows it all the time."""
    running = make()
    running.put(stubDomains="{", upstreamNameservers='["8.8.8.8"]')
    running.start()
    for number in range(3):
        running.put(upstreamNameservers=f'["8.8.8.{number}"]')
        running.pass_s(11)
        assert list(running.state.problems) == ["stubDomains"]
    assert len([line for line in errors(told) if "stubDomains" in line]) == 1
    assert running.state.problem_counts["stubDomains"] == 1
    running.put(stubDomains='{"x": 7}')
    running.pass_s(11)
    assert len([line for line in errors(told) if "stubDomains" in line]) == 2
    assert running.state.problem_counts["stubDomains"] == 2


def test_a_bad_key_at_start_leaves_its_default(make: Make) -> None:
    running = make()
    running.put(stubDomains="{", upstreamNameservers='["8.8.8.8"]')
    running.start()
    assert running.sources.configured.stub_domains == {}
    assert running.sources.configured.upstreams == (Server("8.8.8.8"),)
    assert list(running.state.problems) == ["stubDomains"]


def addresses(running: Running) -> list[str]:
    return [server.address for server in running.sources.resolv_conf]


def test_resolv_conf_is_followed_every_second_and_may_vanish(make: Make) -> None:
    running = make()
    running.resolv[0].write_text("nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch x\n")
    running.start()
    assert addresses(running) == ["192.0.2.1", "2001:db8::1"]
    running.resolv[0].write_text("nameserver 192.0.2.2\n")
    running.pass_s(2)
    assert addresses(running) == ["192.0.2.2"]
    assert running.changes == 2
    before = running.state.problem_counts["file"]
    running.resolv[0].unlink()
    running.pass_s(5)
    assert addresses(running) == ["192.0.2.2"], "the old ones stay"
    assert running.state.problem_counts["file"] == before + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nameserver 192.0.2.1\n", ["192.0.2.1"]),
        ("  nameserver\t2001:db8::1  \n", ["2001:db8::1"]),
        ("", []),
        ("# nameserver 192.0.2.1\noptions ndots:5\n", []),
        ("nameserver nonsense\nnameserver 192.0.2.1\n", ["192.0.2.1"]),
    ],
)
def test_l13_upstreams_from_a_resolv_conf(make: Make, text: str, expected: list[str]) -> None:
    """None: start all the same, names without a route are refused (decisions.md)."""
    running = make()
    running.resolv[0].write_text(text)
    running.start()
    assert addresses(running) == expected


def test_of_several_files_the_one_that_changed_last_counts(make: Make) -> None:
    running = make(files=2)
    running.resolv[0].write_text("nameserver 192.0.2.1\n")
    running.start()
    assert addresses(running) == ["192.0.2.1"]
    running.resolv[1].write_text("nameserver 192.0.2.2\n")
    running.pass_s(2)
    assert addresses(running) == ["192.0.2.2"]
    running.resolv[0].write_text("nameserver 192.0.2.3\n")
    running.pass_s(2)
    assert addresses(running) == ["192.0.2.3"]


def test_no_resolv_reads_none(make: Make) -> None:
    running = make(no_resolv=True)
    running.resolv[0].write_text("nameserver 192.0.2.1\n")
    running.start()
    assert running.sources.resolv_conf == ()


def test_no_poll_reads_it_once(make: Make) -> None:
    running = make(no_poll=True)
    running.resolv[0].write_text("nameserver 192.0.2.1\n")
    running.start()
    running.resolv[0].write_text("nameserver 192.0.2.2\n")
    running.pass_s(30)
    assert addresses(running) == ["192.0.2.1"]


def test_an_absent_key_is_its_default_again(make: Make) -> None:
    running = make()
    running.put(stubDomains=STUBS, upstreamNameservers='["8.8.8.8"]')
    running.start()
    for key in ("stubDomains", "upstreamNameservers"):
        (running.folder / key).unlink()
    running.pass_s(11)
    assert running.sources.configured.stub_domains == {}
    assert running.sources.configured.upstreams == ()


def test_federations_are_ignored(make: Make) -> None:
    running = make()
    running.put(federations='{"a": "b"}')
    running.start()
    running.pass_s(30)
    assert not running.state.problems
