"""The file of a snapshot, on a clock: when it is written, and all that may be wrong with disks."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from kubedns.snapshot import contents
from kubedns.snapshot.contents import Contents
from kubedns.snapshot.saving import Saving
from kubedns.wire import name as names
from kubedns.zone.lookup import Zone
from kubedns.zone.tree import Tree
from tests.builders import Cluster, service

START = 1_700_000_000.0


class Fixture:
    """A zone in sync, and the file of its snapshot."""

    def __init__(self, path: Path | str, zone: str = "cluster.local") -> None:
        self.path = Path(path)
        self.clock = Clock()
        self.cluster = Cluster(Tree(names.from_text(zone)))
        self.zone = Zone(self.cluster.tree, synced=True)
        self.failure: OSError | None = None
        self.held: list[Deferred[None]] | None = None
        self.calls = 0
        self.saving = Saving(
            str(path),
            self.zone,
            self.clock,
            wall_clock=lambda: START + self.clock.seconds(),
            in_thread=self._in_thread,
        )

    def _in_thread(self, write: Callable[..., int], *args: Any) -> Deferred[int]:
        self.calls += 1
        if self.failure is not None:
            return fail(self.failure)
        if self.held is not None:
            waiting: Deferred[None] = Deferred()
            self.held.append(waiting)
            return waiting.addCallback(lambda _: write(*args))
        try:
            return succeed(write(*args))
        except OSError as error:
            return fail(error)

    def puts(self, *addresses: str) -> None:
        """Change a service."""
        for address in addresses:
            self.cluster.put(service("web", ip=address))
            self.saving.changed()

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.pump([0.5] * int(2 * seconds))

    def stops(self) -> None:
        """Stop; whatever is to be waited for is there."""
        stopping = Deferred.fromCoroutine(self.saving.stop())
        assert stopping.called
        stopping.addErrback(lambda failure: failure.raiseException())

    def holds(self) -> Contents:
        """Return what the file holds."""
        return contents.decode(self.path.read_bytes())


def _address(taken: Contents) -> object:
    (_, branch), *_ = taken.services
    return branch.cluster_ips[0][-1]  # type: ignore[union-attr]


def test_a_change_is_written_soon_and_changes_in_a_row_once(tmp_path: Path) -> None:
    """At most every other second, whatever the churn."""
    fixture = Fixture(tmp_path / "snapshot")
    fixture.saving.start()
    fixture.passes(20)
    assert fixture.saving.writes == 1, "also of a zone in which nothing changed"
    fixture.puts(*(f"10.0.0.{number}" for number in range(1, 51)))
    fixture.passes(2)
    assert fixture.saving.writes == 2
    assert _address(fixture.holds()) == 50
    for number in range(60):
        fixture.puts(f"10.0.0.{number}")
        fixture.passes(1)
    assert 30 <= fixture.saving.writes <= 33
    assert list(tmp_path.iterdir()) == [fixture.path]
    assert fixture.path.stat().st_mode & 0o777 == 0o600


def test_a_slow_disk_is_written_to_less_often(tmp_path: Path) -> None:
    """A write that took half a second is followed by a pause of fifty times that."""
    fixture = Fixture(tmp_path / "snapshot")
    fixture.held = []
    fixture.saving.start()
    fixture.puts("10.0.0.1")
    fixture.passes(1)
    fixture.held.pop().callback(None)
    assert fixture.saving.writes == 1
    fixture.puts("10.0.0.2")
    fixture.passes(20)
    assert not fixture.held
    fixture.passes(10)
    assert len(fixture.held) == 1


def test_the_last_change_is_written_when_we_stop(tmp_path: Path) -> None:
    """Without waiting for the next time; nothing is written where nothing changed."""
    fixture = Fixture(tmp_path / "snapshot")
    fixture.saving.start()
    fixture.puts("10.0.0.9")
    fixture.stops()
    assert _address(fixture.holds()) == 9
    assert fixture.clock.getDelayedCalls() == []
    fixture.path.unlink()
    fixture.stops()
    assert not fixture.path.exists()


def test_a_zone_that_is_not_complete_is_not_written(tmp_path: Path) -> None:
    """Half a list would take the place of a whole zone."""
    fixture = Fixture(tmp_path / "snapshot")
    fixture.zone.synced = False
    fixture.saving.start()
    fixture.puts("10.0.0.9")
    fixture.passes(30)
    fixture.stops()
    assert not fixture.path.exists()


def test_stopping_waits_for_a_write(tmp_path: Path) -> None:
    """And writes what changed meanwhile."""
    fixture = Fixture(tmp_path / "snapshot")
    fixture.held = []
    fixture.saving.start()
    fixture.puts("10.0.0.1")
    fixture.passes(30)
    assert fixture.calls == 1, "one at a time"
    fixture.puts("10.0.0.2")
    stopping = Deferred.fromCoroutine(fixture.saving.stop())
    assert not stopping.called
    held, fixture.held = fixture.held, None
    held[0].callback(None)
    assert stopping.called
    assert _address(fixture.holds()) == 2


def test_its_time_is_set_while_nothing_changes(tmp_path: Path) -> None:
    """So its age tells how long ago it was known to be right."""
    fixture = Fixture(tmp_path / "snapshot")
    fixture.saving.start()
    fixture.puts("10.0.0.1")
    fixture.passes(3600)
    assert fixture.saving.writes == 1
    assert fixture.path.stat().st_mtime > START + 3500
    assert (fixture.saving.age_s or 0) <= 70
    fixture.path.unlink()
    fixture.passes(120)
    assert fixture.path.exists(), "somebody removed it"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_fails(tmp_path: Path, number: int) -> None:
    """Counted and tried again; the last good file stays."""
    fixture = Fixture(tmp_path / "snapshot")
    fixture.saving.start()
    fixture.puts("10.0.0.1")
    fixture.passes(12)
    fixture.failure = OSError(number, os.strerror(number))
    fixture.puts("10.0.0.2")
    fixture.passes(60)
    assert fixture.saving.errors >= 5
    assert os.strerror(number) in (fixture.saving.last_error or "")
    assert _address(fixture.holds()) == 1
    fixture.failure = None
    fixture.passes(12)
    assert _address(fixture.holds()) == 2
    assert fixture.saving.last_error is None


@pytest.mark.parametrize("what", ["no folder", "a folder", "a file as folder", "/dev/full"])
def test_a_path_that_cannot_be_written(tmp_path: Path, what: str) -> None:
    """Nothing is left behind, and nothing raised."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / ".full.new").symlink_to("/dev/full")
    path = {
        "no folder": tmp_path / "none" / "snapshot",
        "a folder": tmp_path / "folder",
        "a file as folder": tmp_path / "file" / "snapshot",
        "/dev/full": tmp_path / "full",
    }[what]
    fixture = Fixture(path)
    assert fixture.saving.load() is None
    errors = fixture.saving.errors
    fixture.saving.start()
    fixture.puts("10.0.0.1")
    fixture.passes(1)  # one try: it takes the link away, which the next one does not find
    assert fixture.saving.errors > errors
    assert fixture.saving.writes == 0
    assert not (tmp_path / ".folder.new").exists()


# At the start


def test_what_was_written_is_loaded(tmp_path: Path) -> None:
    """With its age."""
    fixture = Fixture(tmp_path / "snapshot")
    fixture.puts("10.0.0.7")
    fixture.stops()
    os.utime(fixture.path, (START - 40, START - 40))
    again = Fixture(fixture.path)
    again.zone.synced = False
    found = again.saving.load()
    assert found == contents.of(fixture.cluster.tree)
    assert again.saving.stale
    assert again.saving.age_s == 40
    again.zone.synced = True
    assert not again.saving.stale


def test_a_clock_that_went_back_makes_no_negative_age(tmp_path: Path) -> None:
    """The file is from the future."""
    fixture = Fixture(tmp_path / "snapshot")
    fixture.puts("10.0.0.7")
    fixture.stops()
    os.utime(fixture.path, (START + 3600, START + 3600))
    again = Fixture(fixture.path)
    again.saving.load()
    assert again.saving.age_s == 0


def test_no_file_yet(tmp_path: Path) -> None:
    """The first start: no error."""
    fixture = Fixture(tmp_path / "snapshot")
    assert fixture.saving.load() is None
    assert fixture.saving.errors == 0
    assert fixture.saving.status() is not None
    assert not fixture.saving.stale


def test_of_another_zone(tmp_path: Path) -> None:
    """The cluster domain was changed."""
    fixture = Fixture(tmp_path / "snapshot", zone="other.zone")
    fixture.puts("10.0.0.7")
    fixture.stops()
    again = Fixture(fixture.path)
    assert again.saving.load() is None
    assert "of the zone other.zone." in (again.saving.last_error or "")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nor a device read to its end."""
    os.mkfifo(tmp_path / "snapshot")
    for path in (tmp_path / "snapshot", "/dev/zero"):
        fixture = Fixture(path)
        assert fixture.saving.load() is None
        assert "it is no file" in (fixture.saving.last_error or "")


def test_off() -> None:
    """Without --snapshot there is no timer and no file."""
    clock = Clock()
    saving = Saving("", Zone(Cluster().tree), clock)
    assert saving.load() is None
    saving.start()
    saving.changed()
    assert saving.status() is None
    assert saving.age_s is None
    assert clock.getDelayedCalls() == []
    assert Deferred.fromCoroutine(saving.stop()).called
