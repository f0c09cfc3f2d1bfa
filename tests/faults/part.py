"""One process of a pod, which can be killed and paused, and is started again when it ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.realapi.program import Program

ROOT = Path(__file__).parents[2]
_ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    # Compiled modules are kept and used, as those of an image are: a restart takes half as long.
    "PYTHONDONTWRITEBYTECODE": "",
}


class Part:
    """
    A process that is started again, on the same ports, when it ends: as the kubelet does it.

    restarts: how often that was.
    """

    def __init__(
        self, argv: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        self.restarts = 0
        self._argv, self._environment = argv, environment or {}
        self._wanted = True
        self._changed = threading.Condition()
        self._program: Program | None = None
        # A program ends with the thread that started it, so that thread stays.
        self._thread = threading.Thread(target=self._supervise, daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._program is not None, 30)

    @property
    def program(self) -> Program:
        assert self._program is not None
        return self._program

    @property
    def pid(self) -> int:
        return self.program.pid

    def kill(self) -> None:
        """End it as the kernel does when memory is short; it is started again."""
        self.program.send(signal.SIGKILL)

    def pause(self) -> None:
        self.program.send(signal.SIGSTOP)

    def go_on(self) -> None:
        self.program.send(signal.SIGCONT)

    def hold(self) -> None:
        """End it, and leave it so until `start`."""
        with self._changed:
            self._wanted = False
        self.kill()
        self.program.ended(10)

    def start(self) -> None:
        """Start it after `hold`."""
        with self._changed:
            self._wanted = True
            self._changed.notify_all()

    def terminate(self) -> None:
        """Ask it to end in good order; it is not started again."""
        with self._changed:
            self._wanted = False
        self.program.send(signal.SIGTERM)

    def stop(self) -> str:
        """End it for good; return what it wrote."""
        with self._changed:
            self._wanted = False
            self._over = True
            self._changed.notify_all()
        self.program.send(signal.SIGCONT)
        self.program.kill()
        self._thread.join(10)
        return self.text()

    def text(self) -> str:
        """Return what it wrote so far."""
        return self.log.read_text(errors="replace")

    def resident_mib(self) -> float:
        """Return its resident memory, 0 if it has ended."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return 0.0
        found = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return int(next(found, 0)) / 1024

    _over = False

    def _supervise(self) -> None:
        while not self._over:
            started = Program(
                self._argv, log=self.log, environment={**_ENVIRONMENT, **self._environment}
            )
            with self._changed:
                self._program = started
                self._changed.notify_all()
            started._child.wait()
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._over)
                if self._over:
                    return
                self.restarts += 1
