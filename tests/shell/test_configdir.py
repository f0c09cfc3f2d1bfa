"""A mounted configuration folder: what is read, when it is read again, and what is left open."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from kubedns.configdir import MAX_BYTES, ConfigDir, FileWatch, load_folder, version_of
from kubedns.pathwatch import LoadError, PathWatch


class Mount:
    """A ConfigMap volume, written as the kubelet writes it: one rename switches everything."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._generation = 0

    def write(self, **data: str) -> None:
        self.path.mkdir(exist_ok=True)
        self._generation += 1
        dated = self.path / f"..2024_01_01_00_00_00.{self._generation}"
        dated.mkdir()
        for name, content in data.items():
            (dated / name).write_text(content)
        current = self.path / "..data"
        old = current.readlink() if current.is_symlink() else None
        switch = self.path / "..data_tmp"
        switch.symlink_to(dated.name)
        switch.replace(current)
        visible = {entry.name for entry in self.path.iterdir() if not entry.name.startswith("..")}
        for name in data.keys() - visible:
            (self.path / name).symlink_to(f"..data/{name}")
        for name in visible - data.keys():
            (self.path / name).unlink()
        if old:
            shutil.rmtree(self.path / old)


class Heard:
    """What a watch said, in order: data as it came, errors as text behind "error"."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def data(self, data: object) -> None:
        self.said.append(data)

    def error(self, line: str) -> None:
        self.said.append(("error", line))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path / "config")


Start = Callable[..., ConfigDir]


@pytest.fixture
def start(mount: Mount, clock: Clock, heard: Heard) -> Start:
    """Start a watch that polls only: a Clock cannot watch descriptors."""

    def started(period_s: float = 10.0) -> ConfigDir:
        watch = ConfigDir(mount.path, period_s, clock, heard.data, heard.error)
        watch.start()
        blind = ("error", f"{mount.path}: no inotify (not supported), looking every 10.0 s")
        assert heard.said[:1] == [blind] or not period_s
        del heard.said[: 1 if period_s else 0]
        return watch

    return started


# What a load gives.


def test_files_are_keys_and_the_version_is_the_one_of_kube_dns(mount: Mount) -> None:
    mount.write(file2="data2", file1="data1")
    data = load_folder(mount.path)
    assert data == {"file1": "data1", "file2": "data2"}
    assert version_of(data) == hashlib.sha256(b"file1\0data1\0file2\0data2\0").hexdigest()


def test_an_empty_folder_has_no_data_and_an_empty_version(tmp_path: Path) -> None:
    assert load_folder(tmp_path) == {}
    assert version_of({}) == ""


def test_dot_files_and_folders_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("no")
    (tmp_path / "link").symlink_to("sub")
    (tmp_path / ".hidden").write_bytes(b"\xc0")
    assert load_folder(tmp_path) == {}


def test_one_file_that_cannot_be_read_fails_the_load(tmp_path: Path) -> None:
    cases: list[tuple[Callable[[Path], object], str]] = [
        (lambda path: path.write_bytes(b"ab\xc0"), "not UTF-8 at byte 2"),
        (lambda path: path.symlink_to("gone"), "No such file or directory"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.write_bytes(b"x" * (MAX_BYTES + 1)), f"larger than {MAX_BYTES} bytes"),
    ]
    for number, (make, reason) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "a-good-one").write_text("x")
        make(folder / "bad")
        with pytest.raises(LoadError) as caught:
            load_folder(folder)
        assert str(caught.value) == f"{folder / 'bad'}: {reason}"


def test_a_folder_with_too_much_in_it_fails_the_load(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"x" * (MAX_BYTES // 2))
    with pytest.raises(LoadError, match="larger than"):
        load_folder(tmp_path)


def test_a_missing_folder_and_a_file_instead_of_one_fail_the_load(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="No such file or directory"):
        load_folder(tmp_path / "missing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(LoadError, match="Not a directory"):
        load_folder(tmp_path / "file")


# When it is loaded, by polling.


def test_data_comes_at_start_and_then_only_when_it_changed(
    mount: Mount, start: Start, clock: Clock, heard: Heard
) -> None:
    mount.write(file1="data1", file2="data2")
    watch = start()
    assert heard.said == [{"file1": "data1", "file2": "data2"}]
    first = watch.version
    clock.pump([5, 5, 5, 5])
    assert len(heard.said) == 1
    mount.write(file2="data2", file3="data3")
    clock.advance(9.9)
    assert len(heard.said) == 1
    clock.advance(0.1)
    assert heard.said[1:] == [{"file2": "data2", "file3": "data3"}]
    assert watch.version != first
    watch.stop()


def test_the_same_content_written_again_is_no_change(
    mount: Mount, start: Start, clock: Clock, heard: Heard
) -> None:
    mount.write(key="value")
    start()
    mount.write(key="value")
    clock.advance(10)
    assert heard.said == [{"key": "value"}]


def test_a_period_of_zero_reads_once(
    mount: Mount, start: Start, clock: Clock, heard: Heard
) -> None:
    mount.write(key="value")
    watch = start(period_s=0)
    mount.write(key="other")
    assert clock.getDelayedCalls() == []
    assert heard.said == [{"key": "value"}]
    watch.stop()


def test_a_missing_folder_means_no_data_until_it_appears(
    mount: Mount, start: Start, clock: Clock, heard: Heard
) -> None:
    missing = ("error", f"{mount.path}: No such file or directory")
    start()
    assert heard.said == [missing, {}]
    clock.pump([10, 10])
    assert heard.said == [missing, {}, missing, missing], "one line per period"
    mount.write(key="value")
    clock.advance(10)
    assert heard.said[4:] == [{"key": "value"}]


def test_a_failed_load_keeps_what_is_active(
    mount: Mount, start: Start, clock: Clock, heard: Heard
) -> None:
    mount.write(key="value")
    watch = start()
    (mount.path / "key").unlink()
    (mount.path / "key").write_bytes(b"\xc0")
    clock.pump([10, 10])
    bad = ("error", f"{mount.path / 'key'}: not UTF-8 at byte 0")
    assert heard.said == [{"key": "value"}, bad, bad]
    assert watch.data == {"key": "value"}
    (mount.path / "key").write_text("value")
    clock.advance(10)
    assert len(heard.said) == 3, "what is active came back: nothing to tell"


def test_an_emptied_folder_is_a_change_to_no_data(
    mount: Mount, start: Start, clock: Clock, heard: Heard
) -> None:
    mount.write(key="value")
    start()
    mount.write()
    clock.advance(10)
    assert heard.said == [{"key": "value"}, {}]


def test_a_listener_that_fails_is_told_of_the_next_change_all_the_same(
    mount: Mount, clock: Clock, heard: Heard
) -> None:
    def fail(data: dict[str, str]) -> None:
        heard.data(data)
        raise RuntimeError("in the listener")

    mount.write(key="value")
    watch = ConfigDir(mount.path, 10, clock, fail, lambda _: None)
    watch.start()
    mount.write(key="other")
    clock.pump([10, 10])
    assert heard.said == [{"key": "value"}, {"key": "other"}]


def test_a_load_that_fails_in_an_unforeseen_way_is_not_the_last(
    clock: Clock, heard: Heard, tmp_path: Path
) -> None:
    """The polling must not end: the configuration would be frozen, and nobody would know."""
    found: list[object] = ["first", ValueError("odd"), "second"]

    def load(_: Path) -> object:
        data = found.pop(0)
        if isinstance(data, Exception):
            raise data
        return data

    watch = PathWatch(
        tmp_path, 10, clock, load, "", heard.data, lambda _: None, repeat_errors=False
    )
    watch.start()
    clock.pump([10, 10])
    watch.stop()
    assert heard.said == ["first", "second"]


def test_after_stop_nothing_is_scheduled(mount: Mount, start: Start, clock: Clock) -> None:
    mount.write(key="value")
    watch = start()
    watch.stop()
    assert clock.getDelayedCalls() == []


def test_a_file_watch_keeps_the_text_of_a_file_that_vanished(
    tmp_path: Path, clock: Clock, heard: Heard
) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 10.0.0.1\n")
    watch = FileWatch(path, 10, clock, heard.data, heard.error)
    watch.start()
    del heard.said[:1]
    path.unlink()
    clock.pump([10, 10])
    gone = ("error", f"{path}: No such file or directory")
    assert heard.said == ["nameserver 10.0.0.1\n", gone], "said once, not every period"
    path.write_text("nameserver 10.0.0.2\n")
    clock.advance(10)
    assert heard.said[2:] == ["nameserver 10.0.0.2\n"]
    watch.stop()


class Noticed(TestCase):
    """
    inotify on the live reactor.

    The period is an hour, so what arrives here was noticed and not polled; the timeout is
    that of a test which hangs.
    """

    timeout = 30

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="configdir-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.errors: list[str] = []
        self._data: object = None
        self._waiting: list[tuple[object, Deferred[None]]] = []

    def watching(self, watch: type[ConfigDir | FileWatch], path: Path) -> PathWatch[Any]:
        before = inotify_descriptors()
        service: PathWatch[Any] = watch(path, 3600, reactor, self._heard, self.errors.append)
        service.start()

        def stop() -> None:
            self.assertEqual(inotify_descriptors(), before + 1)
            service.stop()
            self.assertEqual(inotify_descriptors(), before)

        self.addCleanup(stop)
        return service

    def _heard(self, data: object) -> None:
        self._data = data
        for wanted, deferred in self._waiting:
            if wanted == data:
                self._waiting = []
                deferred.callback(None)

    def until(self, wanted: object) -> Deferred[None]:
        """Return a Deferred that fires when `wanted` is what was heard last."""
        deferred: Deferred[None] = Deferred()
        self._waiting.append((wanted, deferred))
        self._heard(self._data)
        return deferred

    async def test_a_mounted_configmap_that_changes_again_and_again(self) -> None:
        mount = Mount(self.folder / "config")
        mount.write(a="1")
        self.watching(ConfigDir, mount.path)
        await self.until({"a": "1"})
        for number in range(20):
            mount.write(a=str(number), b="x")
            await self.until({"a": str(number), "b": "x"})
        mount.write()
        await self.until({})
        self.assertEqual(self.errors, [])

    async def test_a_folder_that_appears_is_deleted_and_created_again(self) -> None:
        mount = Mount(self.folder / "not" / "yet" / "there")
        self.watching(ConfigDir, mount.path)
        await self.until({})
        self.assertEqual(self.errors, [f"{mount.path}: No such file or directory"])
        mount.path.parent.mkdir(parents=True)
        mount.write(a="1")
        await self.until({"a": "1"})
        for number in range(5):
            shutil.rmtree(self.folder / "not")
            mount.path.parent.mkdir(parents=True)
            mount.write(a="again", b=str(number))
            await self.until({"a": "again", "b": str(number)})

    async def test_a_folder_that_another_takes_the_place_of(self) -> None:
        mount, other = Mount(self.folder / "config"), Mount(self.folder / "other")
        mount.write(a="1")
        other.write(a="2")
        self.watching(ConfigDir, mount.path)
        await self.until({"a": "1"})
        mount.path.rename(self.folder / "old")
        other.path.rename(mount.path)
        await self.until({"a": "2"})
        mount.write(a="3")
        await self.until({"a": "3"})

    async def test_plain_files_edited_in_place(self) -> None:
        (self.folder / "a").write_text("1")
        self.watching(ConfigDir, self.folder)
        await self.until({"a": "1"})
        (self.folder / "a").write_text("2")
        await self.until({"a": "2"})
        (self.folder / "b").write_text("3")
        await self.until({"a": "2", "b": "3"})
        (self.folder / "a").unlink()
        await self.until({"b": "3"})

    async def test_resolv_conf_rewritten_replaced_and_moved_behind_a_link(self) -> None:
        path = self.folder / "etc" / "resolv.conf"
        path.parent.mkdir()
        path.write_text("1")
        self.watching(FileWatch, path)
        await self.until("1")
        path.write_text("2")
        await self.until("2")
        new = self.folder / "new"
        new.write_text("3")
        new.replace(path)
        await self.until("3")
        target = self.folder / "target"
        target.write_text("4")
        path.unlink()
        path.symlink_to(target)
        await self.until("4")
        target.write_text("5")
        await self.until("5")
        self.assertEqual([line for line in self.errors if "No such file" not in line], [])


def inotify_descriptors() -> int:
    """Return how many inotify descriptors this process holds open."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        # The listing's own descriptor is closed by the time it is looked at.
        with contextlib.suppress(FileNotFoundError):
            links.append(descriptor.readlink().name)
    return links.count("anon_inode:inotify")
