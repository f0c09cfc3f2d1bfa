"""How the sidecar starts and ends: last of the three, or at once; statuses and last words."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pod.running import ROOT
from tests.realapi.waiting import until
from tests.sidecar.pod import Pod, Sidecar


def run(*flags: str) -> tuple[int, str, str]:
    """Run a sidecar that is expected to end by itself: exit status, output, errors."""
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", *flags],
        cwd=ROOT, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_it_goes_last(tmp_path: Path) -> None:
    """SIGTERM to all three: unready at once, pages until the others have ended, status 0."""
    with Pod(tmp_path, "--drain=1h", lame_duck="4s", drain="3s") as pod:
        sidecar = pod.sidecar
        for process in pod.all:
            process.send(signal.SIGTERM)
        until(lambda: sidecar.get("/readyz"), lambda got: got[0] == 503, wanted="unready")
        assert pod.kubedns.program.alive()
        assert sidecar.get("/readyz") == (503, "sidecar is shutting down\n")
        assert "sidecar is shutting down" in sidecar.get("/healthz?format=text")[1]
        assert pod.dnsmasq.program.ended(20.0) == 0
        assert pod.kubedns.program.ended(20.0) == 0
        assert sidecar.program.ended(20.0) == 0
        assert "both neighbours have ended" in sidecar.text()
        assert "Traceback" not in sidecar.text()


def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    """The neighbours stay: it ends when its time is up."""
    with Pod(tmp_path, "--drain=1s") as pod:
        pod.sidecar.send(signal.SIGTERM)
        assert pod.sidecar.program.ended(20.0) == 0
        assert "both neighbours have ended" not in pod.sidecar.text()
        assert pod.kubedns.program.alive()
        assert pod.dnsmasq.program.alive()


@pytest.mark.parametrize(
    "numbers", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]], ids=["Ctrl-C", "twice"]
)
def test_at_once(numbers: list[signal.Signals], tmp_path: Path) -> None:
    """A neighbour is there, and it ends all the same."""
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with Sidecar(tmp_path, "--drain=60s", statistics=silent.getsockname()[1]) as sidecar:
            for number in numbers[:-1]:
                sidecar.send(number)
                until(lambda: "draining" in sidecar.text(), wanted="draining")
            sidecar.send(numbers[-1])
            assert sidecar.program.ended(20.0) == 0
            assert sidecar.text().rstrip().endswith("stopped")


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--probe=kubedns,127.0.0.1", "invalid format to --probe"),
        ("--probe=kubedns,127.0.0.1,x,0", "invalid syntax"),
        ("--probe=kubedns,127.0.0.1,x,5,MX", "invalid type for DNS"),
        ("--prometheus-port=x", "must be a whole number"),
    ],
)
def test_a_bad_command_line(flag: str, words: str) -> None:
    """Status 2, usage, and one line that says what is wrong."""
    status, output, errors = run(flag)
    assert (status, output) == (2, "")
    assert errors.startswith("usage: sidecar [flags]")
    assert errors.splitlines()[-1].startswith("sidecar: ")
    assert words in errors.splitlines()[-1]


def test_a_port_in_use() -> None:
    """Status 255, and the last line says which."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for flags in (
            ["--prometheus-addr=127.0.0.1", f"--prometheus-port={port}", "--operator-address=off"],
            [f"--operator-address=127.0.0.1:{port}", "--prometheus-port=0"],
        ):
            status, _, errors = run(*flags)
            assert status == 255
            assert errors.splitlines()[-1] == (
                f"sidecar: cannot listen on tcp 127.0.0.1:{port}: Address already in use"
            )
            assert "Traceback" not in errors


def test_what_is_asked_for_and_no_error() -> None:
    """--version and --help."""
    assert run("--version")[:2] == (0, "sidecar 0.1.0\n")
    assert run("--help")[1].startswith("usage: sidecar [flags]")
