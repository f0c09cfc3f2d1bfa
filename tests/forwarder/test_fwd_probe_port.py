"""The port for the kubelet's probes: open to the node, and telling nothing but yes or no."""

from __future__ import annotations

import signal
import socket
import urllib.error
import urllib.request

import pytest

from tests.forwarder.behaviours import GOOD, silent
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.program import run
from tests.realapi.ports import free_port
from tests.realapi.waiting import becomes

pytestmark = pytest.mark.usefixtures("ours_only")


def page(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    """Return status and text; status 0: nobody listens."""
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as got:
            return got.status, got.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "[::1]"])
def test_every_address_of_both_families_answers(start: Start, host: str) -> None:
    """The kubelet asks at the pod's address, whichever family that is of."""
    port = free_port()
    start(nanny=[f"--healthz-port={port}"])
    assert page(port, "/healthz", host) == (200, "ok\n")
    assert page(port, "/readyz", host) == (200, "ok\n")


@pytest.mark.parametrize("path", ["/", "/metrics", "/status", "/healthz/", "/debug"])
def test_other_pages_stay_on_loopback(start: Start, path: str) -> None:
    """Any pod can reach this port."""
    port = free_port()
    start(nanny=[f"--healthz-port={port}"])
    assert page(port, path)[0] == 404


def test_draining_is_unready_and_alive(start: Start, server: StartServer) -> None:
    """Killed now, it would lose the questions of those who have not heard of it yet."""
    port = free_port()
    nanny = ["--drain=5s", f"--healthz-port={port}"]
    forwarder = start(f"--server={server().server}", nanny=nanny)
    forwarder.send_signal(signal.SIGTERM)
    becomes(lambda: page(port, "/readyz"), (503, "shutting down\n"))
    assert page(port, "/healthz") == (200, "ok\n")
    assert forwarder.look("hit.example.") == {GOOD}
    assert forwarder.ended() == 0
    assert page(port, "/healthz") == (0, "")


def test_no_server_answers_and_yet_it_is_alive(start: Start, server: StartServer) -> None:
    """A restart would mend nothing, and empty the cache."""
    port = free_port()
    nanny = [f"--healthz-port={port}", "--client-deadline=100ms"]
    forwarder = start(f"--server={server(silent).server}", nanny=nanny)
    for number in range(5):
        forwarder.look(f"n{number}.example.")
        assert page(port, "/healthz") == (200, "ok\n")
        assert page(port, "/readyz") == (200, "ok\n")


def test_the_port_in_use_ends_the_start_with_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, lines = run("--no-resolv", nanny=[f"--healthz-port={port}"])
    assert status > 0
    assert any(str(port) in line and "in use" in line for line in lines), lines
    assert not any("Traceback" in line for line in lines)
