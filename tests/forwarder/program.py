"""
The forwarder as a process: flags, options and a ConfigMap in; answers, pages and a log out.

With FORWARDER=dnsmasq in the environment the same tests are put to the original instead, which
shows what they are worth: it fails those that are about its faults.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import pytest

from tests.forwarder.client import Client
from tests.realapi.mounted import mount
from tests.realapi.ports import free_port
from tests.realapi.program import Program
from tests.realapi.waiting import until

ROOT = Path(__file__).parents[2]
ORIGINAL = os.environ.get("FORWARDER") == "dnsmasq"
NO_LOCAL_FILES = ("--no-hosts", "--no-resolv")
"""For `options`, unless a test brings files of its own: nothing leaves the machine."""


def ours(port: int, options: Sequence[str], nanny: Sequence[str] = ()) -> list[str]:
    """Return the command line of our forwarder on 127.0.0.1, unless the options say otherwise."""
    return [
        sys.executable, "-m", "dnsmasq_py", *nanny, "--", "-k", "--conf-file=/dev/null",
        f"--port={port}", "--log-facility=-", *_listen(options), *options,
    ]  # fmt: skip


def dnsmasq(port: int, options: Sequence[str]) -> list[str]:
    """Return the command line of the original's dnsmasq with the same options."""
    return [
        "dnsmasq", "-k", "--conf-file=/dev/null", "--pid-file", "--user=root", f"--port={port}",
        "--log-facility=-", *_listen(options), *options,
    ]  # fmt: skip


def _listen(options: Sequence[str]) -> list[str]:
    if any(each.startswith("--listen-address") for each in options):
        return []
    return ["--listen-address=127.0.0.1", "--bind-interfaces"]


class Forwarder(Client):
    """
    One running forwarder.

    config: the keys of its ConfigMap. wrapper: a command that runs the rest of the command line.
    When it is stopped it must exit with status 0, and its log must be free of tracebacks.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        nanny: Sequence[str] = (),
        config: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        wrapper: Sequence[str] = (),
    ) -> None:
        super().__init__(address, port or free_port())
        self._config = folder / f"config-{self.port}"
        self._admin = free_port()
        self.told_to_end = False
        if ORIGINAL and (config is not None or any("-kubednsServer" not in n for n in nanny)):
            pytest.skip("dnsmasq alone has neither a ConfigMap nor our flags")
        self.configure(config or {})
        flags = [
            f"-configDir={self._config}", "-syncInterval=1s", "-restartDnsmasq",
            f"--admin-address=127.0.0.1:{self._admin}", "--drain=0s", *nanny,
        ]  # fmt: skip
        command = dnsmasq(self.port, options) if ORIGINAL else ours(self.port, options, flags)
        self._program = Program(
            [*wrapper, *command],
            log=folder / f"forwarder-{self.port}.log",
            environment={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.pid = self._program.pid

    def __enter__(self) -> Forwarder:
        return self.ready()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.stop()
        finally:
            self.kill()

    def ready(self) -> Forwarder:
        """Wait until it answers."""
        until(self._answers, wanted="an answer")
        return self

    def _answers(self) -> bool:
        assert self._program.alive(), f"the forwarder ended:\n{self._program.last_words()}"
        return self.listens()

    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self._program.alive()

    def ended(self, within_s: float = 20.0) -> int:
        """Wait for the end of the process, and return its exit status."""
        return self._program.ended(within_s)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self.told_to_end |= number == signal.SIGTERM
        self._program.send(number)

    def stop(self) -> None:
        """
        End the process in good order.

        Raises:
            AssertionError: it did not end well, or an error went through unforeseen.
        """
        assert self._program.alive(), f"the forwarder had ended:\n{self._program.last_words()}"
        status = self._program.stop(15.0)
        assert status == 0, f"exit status {status}:\n{self._program.last_words()}"
        assert "Traceback" not in self.log(), self.log()

    def kill(self) -> None:
        """End the process at once, in whatever state it is."""
        self._program.kill()

    def configure(self, config: Mapping[str, str]) -> None:
        """Replace the ConfigMap, as the kubelet does it."""
        mount(self._config, config)

    def log(self) -> str:
        """Return the log so far."""
        return self._program.output()

    def logs(self, text: str, count: int = 1) -> list[str]:
        """Wait for lines of the log which hold a text, whatever its case; return them."""

        def lines() -> list[str]:
            return [line for line in self.log().splitlines() if text.lower() in line.lower()]

        wanted = f"{count} lines with {text!r} in\n{self._program.last_words()}"
        return until(lines, lambda found: len(found) >= count, wanted=wanted)

    def page(self, path: str) -> tuple[int, str]:
        """Return status and text of a page of the admin address; status 0: nobody listens."""
        if ORIGINAL:
            pytest.skip("dnsmasq has no pages")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._admin}{path}", timeout=10) as got:
                return got.status, got.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def status(self) -> dict[str, Any]:
        """Return /status."""
        code, text = self.page("/status")
        assert code == 200, text
        found: dict[str, Any] = json.loads(text)
        return found

    def metric(self, series: str) -> float:
        """Return the value of a metric, or the sum of all its series if no labels are given."""
        code, text = self.page("/metrics")
        assert code == 200, text
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        found = [float(value) for name, _, value in lines if series in (name, name.split("{")[0])]
        assert found, f"no metric {series} in\n{text}"
        return sum(found)

    def resident_mib(self) -> float:
        """Return the resident memory in MiB."""
        resident: int = psutil.Process(self.pid).memory_info().rss
        return resident / (1 << 20)


def run(*options: str, nanny: Sequence[str] = (), port: int = 0) -> tuple[int, list[str]]:
    """Run a forwarder that is expected to end by itself: exit status and lines of output."""
    flags = ["-configDir=/nonexistent", "--admin-address=127.0.0.1:0", *nanny]
    port = port or free_port()
    done = subprocess.run(
        dnsmasq(port, options) if ORIGINAL else ours(port, options, flags),
        cwd=ROOT, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    return done.returncode, [*done.stdout.splitlines(), *done.stderr.splitlines()]
