"""A program that a test starts, and that never outlives the test run."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class Program:
    """
    A running process with its output, both streams, in a file.

    It ends at the latest when the thread that started it does, also if that is killed: the kernel
    sends SIGKILL then.  It has a session of its own, so Ctrl-C reaches the tests alone and they
    stop it in good order.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if environment is None else {**os.environ, **environment},
                start_new_session=True,
            )
        self.pid = self._child.pid

    def alive(self) -> bool:
        return self._child.poll() is None

    def send(self, number: signal.Signals) -> None:
        if self.alive():
            self._child.send_signal(number)

    def ended(self, within_s: float) -> int:
        """
        Return the exit status (negative: the signal) once the process has ended.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        return self._child.wait(within_s)

    def stop(self, within_s: float = 10.0) -> int:
        """Ask the process to end, insist after ``within_s``; return its exit status."""
        self.send(signal.SIGTERM)
        try:
            return self._child.wait(within_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End the process at once."""
        self.send(signal.SIGKILL)
        return self._child.wait()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def last_words(self) -> str:
        """Return the last lines of the output, for an error message."""
        return "\n".join(self.output().splitlines()[-15:])
