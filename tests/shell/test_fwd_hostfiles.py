"""Hosts files: which are read, when they are read again, and what cannot be read."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from dnsmasq_py import hostfiles
from dnsmasq_py.hostfiles import HostFiles, HostsFile, parse
from dnsmasq_py.local import HostLine
from dnsmasq_py.options import Options
from kubedns.wire import name as names
from kubedns.zone import address


@pytest.fixture
def log() -> Iterator[list[str]]:
    """The lines that hostfiles logs."""
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        if event["log_namespace"] == hostfiles.__name__:
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


class Heard:
    """What was passed on, as `NAME ADDRESS` words; the last time is `now`."""

    def __init__(self) -> None:
        self.times: list[list[str]] = []

    def __call__(self, lines: Sequence[HostLine]) -> None:
        self.times.append(
            [
                f"{names.to_text(name)[:-1]} {address.unpack(line.address)}"
                for line in lines
                for name in line.names
            ]
        )

    @property
    def now(self) -> list[str]:
        return self.times[-1]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n10.0.0.9 pod\n")
    return path


def start(clock: Clock, heard: Heard, etc: Path, **options: Any) -> HostFiles:
    files = HostFiles(Options(**options), clock, heard, etc_hosts=str(etc))
    files.start()
    return files


# What is read


def test_the_systems_hosts_are_read_first_and_then_the_others_in_order(
    clock: Clock, heard: Heard, etc: Path, tmp_path: Path, log: list[str]
) -> None:
    (tmp_path / "b").write_text("10.0.0.2 b bb\n")
    (tmp_path / "a").write_text("10.0.0.1 a\n")
    start(clock, heard, etc, addn_hosts=(str(tmp_path / "b"), str(tmp_path / "a")))
    assert heard.times == [
        ["localhost 127.0.0.1", "pod 10.0.0.9", "b 10.0.0.2", "bb 10.0.0.2", "a 10.0.0.1"]
    ]
    assert log == [
        f"read {etc} - 2 names",
        f"read {tmp_path}/b - 2 names",
        f"read {tmp_path}/a - 1 names",
    ]


def test_no_hosts_leaves_out_the_systems_hosts_only(
    clock: Clock, heard: Heard, etc: Path, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("10.0.0.1 a\n")
    start(clock, heard, etc, no_hosts=True, addn_hosts=(str(tmp_path / "a"),))
    assert heard.now == ["a 10.0.0.1"]


@pytest.mark.parametrize("option", ["addn_hosts", "hostsdirs"])
def test_of_a_folder_visible_files_are_read_by_name(
    clock: Clock, heard: Heard, etc: Path, tmp_path: Path, option: str
) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("b", "a", ".hidden", "old~", "#lock#", "sub/file")):
        (folder / name).write_text(f"10.0.0.{number} n{number}\n")
    start(clock, heard, etc, no_hosts=True, **{option: (str(folder),)})
    assert heard.now == ["n1 10.0.0.1", "n0 10.0.0.0"]


def test_a_mounted_configmap_is_a_folder_like_any_other(
    clock: Clock, heard: Heard, etc: Path, tmp_path: Path
) -> None:
    dated = tmp_path / "mount" / "..2024_01_01"
    dated.mkdir(parents=True)
    (dated / "hosts").write_text("10.0.0.1 a\n")
    (tmp_path / "mount" / "..data").symlink_to(dated.name)
    (tmp_path / "mount" / "hosts").symlink_to("..data/hosts")
    start(clock, heard, etc, no_hosts=True, hostsdirs=(str(tmp_path / "mount"),))
    assert heard.now == ["a 10.0.0.1"]


# What cannot be read


def test_what_cannot_be_read_costs_one_line_and_the_rest_is_served(
    clock: Clock, heard: Heard, etc: Path, tmp_path: Path, log: list[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "dangling").symlink_to("gone")
    (folder / "good").write_text("10.0.0.1 a\n")
    os.mkfifo(folder / "pipe")
    (folder / "large").write_bytes(b"#" * (hostfiles.MAX_BYTES + 1))
    etc.unlink()
    start(clock, heard, etc, addn_hosts=(str(tmp_path / "missing"), str(folder)))
    assert heard.now == ["a 10.0.0.1"]
    assert log == [
        f"failed to load names from {etc}: No such file or directory",
        f"failed to load names from {tmp_path}/missing: No such file or directory",
        f"failed to load names from {folder}/dangling: No such file or directory",
        f"read {folder}/good - 1 names",
        f"failed to load names from {folder}/large: larger than {hostfiles.MAX_BYTES} bytes",
        f"failed to load names from {folder}/pipe: not a regular file",
    ]


def test_all_files_together_are_bounded(
    clock: Clock, heard: Heard, etc: Path, tmp_path: Path, log: list[str]
) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"#" * hostfiles.MAX_BYTES)
    paths = tuple(str(tmp_path / name) for name in "abc")
    start(clock, heard, etc, no_hosts=True, addn_hosts=paths)
    assert log[2] == f"failed to load names from {tmp_path}/c: more than 16777216 bytes in all"


def test_a_missing_folder_is_served_when_it_appears(
    clock: Clock, heard: Heard, etc: Path, tmp_path: Path, log: list[str]
) -> None:
    folder = tmp_path / "folder"
    start(clock, heard, etc, no_hosts=True, hostsdirs=(str(folder),))
    assert heard.times == [[]]
    assert f"failed to load names from {folder}: not a folder" in log
    folder.mkdir()
    (folder / "a").write_text("10.0.0.1 a\n")
    clock.advance(10)
    assert heard.now == ["a 10.0.0.1"]


# Changes


def test_files_are_read_again_on_reload_and_not_before(
    clock: Clock, heard: Heard, etc: Path, log: list[str]
) -> None:
    files = start(clock, heard, etc)
    etc.write_text("10.0.0.9 other\n")
    clock.pump([10, 10])
    assert len(heard.times) == 1
    log.clear()
    files.reload()
    assert heard.now == ["other 10.0.0.9"]
    assert log == [f"read {etc} - 1 names"]
    etc.unlink()
    files.reload()
    assert heard.now == []


def test_a_hostsdir_is_followed_and_only_what_is_new_is_logged(
    clock: Clock, heard: Heard, etc: Path, tmp_path: Path, log: list[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("10.0.0.1 a\n")
    files = start(clock, heard, etc, hostsdirs=(str(folder),))
    etc.write_text("10.0.0.9 not-before-sighup\n")
    log.clear()
    (folder / "b").write_text("10.0.0.2 b\n")
    clock.advance(10)
    assert heard.now == ["localhost 127.0.0.1", "pod 10.0.0.9", "a 10.0.0.1", "b 10.0.0.2"]
    assert log == [f"read {folder}/b - 1 names"]
    (folder / "a").unlink()
    clock.advance(10)
    assert heard.now == ["localhost 127.0.0.1", "pod 10.0.0.9", "b 10.0.0.2"]
    assert len(heard.times) == 3
    files.stop()
    assert clock.getDelayedCalls() == []


def test_reload_logs_what_folders_have_too(
    clock: Clock, heard: Heard, etc: Path, tmp_path: Path, log: list[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("10.0.0.1 a\n")
    files = start(clock, heard, etc, hostsdirs=(str(folder),))
    log.clear()
    files.reload()
    assert log == [f"read {etc} - 2 names", f"read {folder}/a - 1 names"]


# Lines


def read(text: bytes, domain: str = ".") -> tuple[list[str], list[str]]:
    lines, problems = parse(HostsFile("F", text), names.from_text(domain))
    heard = Heard()
    heard(lines)
    return heard.now, problems


def test_comments_tabs_and_line_ends_of_any_kind_are_understood() -> None:
    text = b"# all\n10.0.0.1\ta  b#c d\r\n\n10.0.0.2 # nobody\n::1 six\n10.0.0.3 A_b. -c *.d"
    assert read(text) == (
        ["a 10.0.0.1", "b 10.0.0.1", "six ::1", "A_b 10.0.0.3", "-c 10.0.0.3", "*.d 10.0.0.3"],
        [],
    )


def test_what_is_no_address_or_no_name_is_told_with_its_line() -> None:
    text = b"garbage line\n300.1.1.1 a\nfe80::1%eth0 b\n10.0.0.1 a..b c " + b"x" * 64 + b" \xff .\n"
    found, problems = read(text)
    assert found == ["c 10.0.0.1"]
    assert [problem.partition(":")[0] for problem in problems] == [
        "bad address at F line 1",
        "bad address at F line 2",
        "bad address at F line 3",
        *["bad name at F line 4"] * 4,
    ]
    assert all(problem.isascii() and problem.isprintable() for problem in problems)


def test_a_binary_file_is_harmless(clock: Clock, heard: Heard, etc: Path, log: list[str]) -> None:
    etc.write_bytes(bytes(range(256)) * 100)
    start(clock, heard, etc)
    assert heard.now == []
    assert len(log) <= 12


def test_plain_names_get_the_domain_in_front() -> None:
    found, problems = read(b"10.0.0.1 a a.b\n", "corp.test.")
    assert found == ["a.corp.test 10.0.0.1", "a 10.0.0.1", "a.b 10.0.0.1"]
    assert problems == []
