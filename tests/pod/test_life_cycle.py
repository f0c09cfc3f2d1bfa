"""Start, stop, and everything that is wrong at the start."""

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest
import yaml

from tests.builders import headless, namespace, service, slice_
from tests.pod.running import Running, control_octets, run, until
from tests.realapi.ports import free_port

N = "shop.svc.cluster.local"


def test_sigterm_drains_and_exits_0(tmp_path: Path) -> None:
    """Not ready at once, answering on, then the end: load balancers have time to look away."""
    with Running(tmp_path / "log", lame_duck="4s") as running:
        running.ready()
        assert running.page("/readiness")[0] == 200
        began = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        until(lambda: running.page("/readiness")[0] == 503, "still ready", 3.0)
        for _ in range(20):
            assert len(running.ask(f"web.{N}").answer) == 1
            assert len(running.ask(f"web.{N}", tcp=True).answer) == 1
        assert running.process.wait(10) == 0
        assert time.monotonic() - began >= 4.0


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
def test_sigint_or_a_second_signal_ends_at_once(tmp_path: Path, signals: list[int]) -> None:
    """Also with a long lame-duck time."""
    with Running(tmp_path / "log", lame_duck="60s") as running:
        running.ready()
        began = time.monotonic()
        for number in signals:
            running.process.send_signal(number)
            time.sleep(0.1)
        assert running.process.wait(10) == 0
        assert time.monotonic() - began < 5
        assert "stopped" in running.text()


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--bogus"], "--bogus"),
        (["--dns-port=banana"], "--dns-port"),
        (["--dns-port=70000"], "--dns-port"),
        (["--domain=a..b"], "--domain"),
        (["--nameservers=a,b"], "--nameservers"),
        (["--lame-duck=9"], "--lame-duck"),
        (["--pods=some"], "--pods"),
        (["--reverse-cidr=10.0.0.1/8"], "--reverse-cidr"),
        (["--status-address=0.0.0.0:1"], "--status-address"),
        (["--bogus=\x1b[31m\n"], "--bogus"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_bad_flag_exits_2(args: list[str], named: str) -> None:
    """The last line names flag and value."""
    code, lines = run(*args)
    assert code == 2
    assert named in lines[-1]
    assert control_octets("\n".join(lines)) == []


def _fatal(lines: list[str]) -> str:
    """Return the one line that is no message of the log."""
    (line,) = (line for line in lines if not re.match(r"[IWE]\d{4} ", line))
    return line


def test_a_port_in_use_exits_255(tmp_path: Path) -> None:
    """One line names the port; nothing hangs."""
    with Running(tmp_path / "log") as running:
        running.ready()
        arguments = ["--objects", "manifests/demo", "--healthz-port=0", "--status-address="]
        for host in ("127.0.0.1", "0.0.0.0"):
            code, lines = run(
                *arguments, f"--dns-bind-address={host}", f"--dns-port={running.dns_port}"
            )
            assert code == 255
            assert str(running.dns_port) in _fatal(lines)
        code, lines = run(
            *arguments, "--dns-bind-address=127.0.0.1", f"--dns-port={free_port()}",
            f"--status-address=127.0.0.1:{running.http_port}",
        )  # fmt: skip
        assert code == 255
        assert str(running.http_port) in _fatal(lines)


def test_an_address_that_is_not_ours_exits_255() -> None:
    """One line names it."""
    code, lines = run(
        "--objects", "manifests/demo", "--dns-bind-address=192.0.2.1", "--dns-port=5353",
        "--healthz-port=0", "--status-address=",
    )  # fmt: skip
    assert code == 255
    assert "192.0.2.1" in _fatal(lines)


def test_a_kubeconfig_that_cannot_be_read_exits_255(tmp_path: Path) -> None:
    """The line names flag and file."""
    missing = tmp_path / "missing.conf"
    code, lines = run(
        "--kubecfg-file", str(missing), "--dns-bind-address=127.0.0.1",
        f"--dns-port={free_port()}", "--healthz-port=0", "--status-address=",
    )  # fmt: skip
    assert code == 255
    assert "--kubecfg-file" in _fatal(lines)
    assert str(missing) in _fatal(lines)


def _write(path: Path, *values: object) -> None:
    """Replace a file in one step, as editors do."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(yaml.safe_dump_all(values))
    fresh.replace(path)


def test_a_path_that_is_not_there_yet_heals(tmp_path: Path) -> None:
    """SERVFAIL and unready until it comes; then it answers."""
    objects = tmp_path / "later"
    with Running(tmp_path / "log", objects=objects) as running:
        until(lambda: "cannot" in running.text() or "No such file" in running.text(), "no word")
        assert str(objects) in running.text()
        code, reason = running.page("/readiness")
        assert code == 503
        assert "objects" in reason
        assert running.ask(f"web.{N}").rcode() == 2
        assert not running.ended()
        objects.mkdir()
        _write(objects / "a.yaml", service("web", ip="10.0.0.7"))
        until(lambda: running.page("/readiness")[0] == 200, "not healed")
        assert running.ask(f"web.{N}").answer[0][0].to_text() == "10.0.0.7"


def test_object_files_are_edited_while_it_runs(tmp_path: Path) -> None:
    """New, changed, broken, gone: what is answered follows within seconds, and never stops to."""
    path = tmp_path / "objects" / "a.yaml"
    path.parent.mkdir()
    _write(path, namespace("shop"), service("web", ip="10.0.0.7"))

    def answers(*expected: str) -> bool:
        return running.short(f"web.{N}") == list(expected)

    with Running(tmp_path / "log", objects=path.parent) as running:
        running.ready()
        assert answers("10.0.0.7")
        _write(path, namespace("shop"), service("web", ip="10.0.0.8"))
        until(lambda: answers("10.0.0.8"), "not changed")
        _write(path, namespace("shop"), headless("web"), slice_("web"))
        until(lambda: answers("10.1.0.1"), "not headless")
        path.write_text("kind: [\x1b[31m")
        until(lambda: "a.yaml" in running.text(), "the broken file is not named")
        assert answers("10.1.0.1")
        _write(path, namespace("shop"))
        until(lambda: running.ask(f"web.{N}").rcode() == 3, "not gone")
        assert control_octets(running.text()) == []


@pytest.mark.parametrize(
    "odd",
    ["{kind: List, apiVersion: v1, items: 7}", "{kind: Service, apiVersion: [v1]}", "[" * 3000],
    ids=["a list of a number", "an odd version", "very deep"],
)
def test_an_odd_file_does_not_end_the_watching(tmp_path: Path, odd: str) -> None:
    """The next edit is seen, and the start survives it as well."""
    path = tmp_path / "objects" / "a.yaml"
    path.parent.mkdir()
    path.write_text(odd)
    with Running(tmp_path / "log", objects=path.parent) as running:
        until(lambda: "a.yaml" in running.text() or running.ended(), "the file is not named")
        assert not running.ended(), running.text()
        _write(path, service("web", ip="10.0.0.7"))
        until(lambda: running.short(f"web.{N}") == ["10.0.0.7"], "not healed")
        path.write_text(odd)
        time.sleep(1.2)
        _write(path, service("web", ip="10.0.0.8"))
        until(lambda: running.short(f"web.{N}") == ["10.0.0.8"], "not watched any more")


def test_an_api_server_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """SERVFAIL for what is not known, unready, alive; one line says whom it cannot reach."""
    server = f"http://127.0.0.1:{free_port()}"
    with Running(tmp_path / "log", f"--kube-master-url={server}", objects=None) as running:
        until(lambda: server in running.text(), "no word")
        code, reason = running.page("/readiness")
        assert code == 503
        assert "services" in reason
        assert running.ask(f"web.{N}").rcode() == 2
        assert running.end() == 0


def test_nothing_is_left_open_when_it_ends(tmp_path: Path) -> None:
    """The ports can be had again at once, by the next replica or a restart."""
    with Running(tmp_path / "log") as running:
        running.ready()
        clients = [running.connect() for _ in range(5)]
        assert running.end() == 0
        for client in clients:
            client.close()
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(type=kind) as again:
                again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                again.bind(("127.0.0.1", running.dns_port))


def test_prometheus_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment variables of the original."""
    port = free_port()
    monkeypatch.setenv("PROMETHEUS_PORT", str(port))
    monkeypatch.setenv("PROMETHEUS_NAMESPACE", "our")
    monkeypatch.setenv("PROMETHEUS_PATH", "/m")
    with Running(tmp_path / "log") as running:
        running.ready()
        running.ask(f"web.{N}")
        running.http_port = port
        code, text = running.page("/m")
        assert code == 200
        assert "our_skydns_dns_request_count_total" in text
    assert os.environ["PROMETHEUS_PORT"] == str(port)
