"""A kubedns that is killed and finds no API server when it is back: what it knew is answered."""

import signal
import time
from pathlib import Path

import pytest

from tests.pod.running import Running, control_octets, until
from tests.realapi.ports import free_port

N = "shop.svc.cluster.local"


def _restarted(tmp_path: Path, snapshot: Path, name: str) -> Running:
    """Start with an API server that is away."""
    return Running(
        tmp_path / name, f"--snapshot={snapshot}",
        f"--kube-master-url=http://127.0.0.1:{free_port()}", objects=None,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_known_is_answered_before_the_lists(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Ready, and it says from when; what nobody knows is SERVFAIL; restarted again, the same."""
    snapshot = tmp_path / "snapshot"
    with Running(tmp_path / "log", f"--snapshot={snapshot}") as running:
        running.ready()
        assert running.page("/readiness") == (200, "ok\n")
        expected = running.short(f"web.{N}")
        if number == signal.SIGKILL:
            until(snapshot.exists, "not written")
        running.end(number)
    assert expected
    for turn in range(2):
        began = time.monotonic()
        with _restarted(tmp_path, snapshot, f"log-{turn}") as running:
            until(lambda: "answering on" in running.text(), "not started")
            assert running.short(f"web.{N}") == expected
            print(f"answered {time.monotonic() - began:.2f} s after the start")
            assert running.short("-x", expected[0]) == [f"web.{N}."]
            assert running.ask(f"new.{N}").rcode() == 2
            code, text = running.page("/readiness")
            assert code == 200
            assert text.startswith("ok, from a snapshot ")
            status = running.status()
            assert not status["synced"]
            assert status["snapshot"]["stale"]
            assert status["services"] == status["snapshot"]["loaded"] > 0
            metrics = running.page("/metrics")[1]
            assert "kubedns_stale 1.0" in metrics
            assert "kubedns_snapshot_age_seconds" in metrics
            assert "services from the snapshot" in running.text()
            running.end(signal.SIGTERM)
    assert [path.name for path in tmp_path.iterdir() if "snapshot" in path.name] == ["snapshot"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda octets: octets[:-1], "damaged or cut short"),
        (lambda octets: octets[:40] + b"\0" + octets[41:], "damaged or cut short"),
        (lambda octets: octets.replace(b"snapshot 1", b"snapshot 2", 1), "its version is 2, not 1"),
        (lambda octets: b"\x1b[31m\n" + octets, "it is no snapshot"),
        (lambda _: b"", "it is empty"),
    ],
    ids=["cut short", "damaged", "a later version", "something else", "empty"],
)
def test_a_snapshot_that_cannot_be_used(tmp_path: Path, damage: object, reason: str) -> None:
    """One clear line, and a start as without one."""
    snapshot = tmp_path / "snapshot"
    with Running(tmp_path / "log", f"--snapshot={snapshot}") as running:
        assert running.ready().end() == 0
    snapshot.write_bytes(damage(snapshot.read_bytes()))  # type: ignore[operator]
    with _restarted(tmp_path, snapshot, "log-2") as running:
        until(lambda: "answering on" in running.text(), "not started")
        lines = [line for line in running.text().splitlines() if "snapshot" in line]
        assert len(lines) == 1
        assert reason in lines[0]
        assert control_octets(running.text()) == []
        assert running.ask(f"web.{N}").rcode() == 2
        assert running.page("/readiness")[0] == 503
        assert running.end() == 0
    assert reason == "it is empty" or snapshot.read_bytes(), "not overwritten by half a zone"


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    """One line; all else goes on."""
    with Running(tmp_path / "log", "--snapshot=/proc/self/snapshot") as running:
        running.ready()
        until(lambda: "cannot write the snapshot" in running.text(), "no word")
        assert running.short(f"web.{N}")
        assert running.status()["snapshot"]["errors"] >= 1
        assert running.end() == 0
        assert running.text().count("cannot write the snapshot") == 1
