"""Where log lines go: whatever is at the other end, nobody who writes one waits."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dnsmasq_py import logs
from dnsmasq_py.logs import Lines

PREFIX = f"dnsmasq[{os.getpid()}]: "
NOON = 1795262400.0  # Nov 21 2026, 12:00 UTC


class Pipe:
    """A pipe in place of standard error."""

    def __init__(self) -> None:
        reader, self.fd = os.pipe()
        self.reader = os.fdopen(reader, "rb", buffering=0)

    def lines(self) -> list[str]:
        return self.reader.read(65536).decode().splitlines()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    made = Pipe()
    monkeypatch.setattr(logs, "_STDERR", made.fd)
    yield made
    made.reader.close()
    os.close(made.fd)


def test_lines_have_dnsmasqs_prefix(pipe: Pipe) -> None:
    """The container runtime adds the time."""
    lines = Lines()
    lines.write("cleared cache")
    lines.write("query[A] a.t from 10.1.2.3")
    lines.close()
    assert pipe.lines() == [PREFIX + "cleared cache", PREFIX + "query[A] a.t from 10.1.2.3"]


def test_a_file_has_time_stamps_and_is_appended_to(tmp_path: Path) -> None:
    """As dnsmasq's, but UTC."""
    path = tmp_path / "dns.log"
    path.write_text("before\n")
    lines = Lines(str(path), lambda: NOON)
    lines.write("cleared cache")
    lines.close()
    assert path.read_text() == f"before\nNov 21 12:00:00 {PREFIX}cleared cache\n"


def test_a_rotated_file_is_opened_anew(tmp_path: Path) -> None:
    """SIGUSR2."""
    path, moved = tmp_path / "dns.log", tmp_path / "dns.log.1"
    lines = Lines(str(path), lambda: NOON)
    lines.write("first")
    wait_for(lambda: path.read_text().endswith("first\n"))
    path.rename(moved)
    lines.reopen()
    wait_for(path.exists)
    lines.write("second")
    lines.close()
    assert "first" in moved.read_text()
    assert "second" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o640 & ~umask()


def test_a_file_that_cannot_be_opened_anew_leaves_the_old_one(tmp_path: Path) -> None:
    """No line is lost for it, and the reason can be read."""
    folder = tmp_path / "logs"
    folder.mkdir()
    lines = Lines(str(folder / "dns.log"), lambda: NOON)
    folder.rename(tmp_path / "moved")
    lines.reopen()
    wait_for(lambda: lines.problem)
    lines.write("still here")
    lines.close()
    assert re.match("cannot open log .*: No such file", lines.problem)
    assert "still here" in (tmp_path / "moved" / "dns.log").read_text()


def test_a_file_that_cannot_be_opened_at_start_is_an_error(tmp_path: Path) -> None:
    """One that the caller can tell in one line; a pipe that nobody reads as well."""
    with pytest.raises(FileNotFoundError):
        Lines(str(tmp_path / "missing" / "dns.log"))
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="No such device"):
        Lines(str(tmp_path / "fifo"))


def test_nobody_waits_for_a_reader_that_has_stopped(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full pipe: lines are dropped and counted, and shutting down does not hang either."""
    monkeypatch.setattr(logs, "_MAX_WAITING", 100)
    lines = Lines()
    for _ in range(10_000):
        lines.write("x" * 100)
    assert lines.dropped > 10_000 - 100 - 65536 // 100 - 100
    lines.close(timeout_s=0.1)
    pipe.reader.close()  # lets its thread go


def test_a_reader_that_has_gone_does_not_end_us(pipe: Pipe) -> None:
    """Broken pipe."""
    pipe.reader.close()
    lines = Lines()
    lines.write("one")
    wait_for(lambda: lines.dropped)
    lines.write("two")
    lines.close()
    assert lines.dropped == 2
    assert lines.problem == "cannot write the log: Broken pipe"


def test_a_line_is_one_line(pipe: Pipe) -> None:
    """Even with the path of a file that somebody named oddly."""
    lines = Lines()
    lines.write("read /etc/ho\nsts\udcff\u00e9 - 1 names")
    lines.close()
    (line,) = pipe.lines()
    assert line == PREFIX + r"read /etc/ho\010sts\udcff\195\169 - 1 names"


def test_long_logs_go_out_in_pieces_of_whole_lines(pipe: Pipe) -> None:
    """So that lines of the rest of the process do not cut them."""
    lines = Lines()
    for n in range(500):
        lines.write(f"line {n}")
    lines.close()
    assert pipe.lines() == [f"{PREFIX}line {n}" for n in range(500)]


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def wait_for(condition: object) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.005)
    raise AssertionError("nothing happened for ten seconds")
