"""A neighbour is killed, frozen or ended: the truth is told, the others go on, and it heals."""

import signal
import time
from collections.abc import Iterator

import pytest

from tests.sidecar.pod import SOON_S, Pod


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """Run a pod that each test finds well and leaves to be healed."""
    with Pod(tmp_path_factory.mktemp("pod")) as made:
        yield made


@pytest.fixture
def well(pod: Pod) -> Iterator[Pod]:
    """Heal whatever the last test did."""
    pod.well()
    yield pod
    for process in pod.all:
        process.heal()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
@pytest.mark.parametrize("name", ["kubedns", "dnsmasq"])
def test_a_neighbour_ends(name: str, number: signal.Signals, well: Pod) -> None:
    """/healthz and liveness say so, about the right one; all pages are there; then it heals."""
    sidecar = well.sidecar
    ended = {"kubedns": well.kubedns, "dnsmasq": well.dnsmasq}[name]
    other = {"kubedns": "dnsmasq", "dnsmasq": "kubedns"}[name]
    told_before = sidecar.text().count(f"probe {name} is bad")
    began = time.monotonic()
    ended.send(number)
    told = sidecar.until(
        lambda told: not told["probes"][name]["alive"], f"{name} is not alive", SOON_S
    )
    print(f"{number.name} to {name}: known after {time.monotonic() - began:.2f} s")
    assert any(name in reason for reason in told["reasons"])
    assert told["probes"][name]["error"]
    code, check = sidecar.check(name)
    assert (code, check["IsOk"], check["LatencySeconds"]) == (503, False, 0)
    assert sidecar.check(other)[0] == 200, "the other one is alive"
    assert sidecar.get("/")[0] == 200
    assert sidecar.metrics()[f'kubedns_sidecar_probe_alive{{probe="{name}"}}'] == 0
    page = sidecar.until(lambda told: told["neighbours"][name]["troubles"], "its page", SOON_S)
    assert any(f"{name}: /status cannot be read" in reason for reason in page["reasons"])
    if name == "dnsmasq":
        forwarder = [each for each in sidecar.metrics() if each.startswith("kubedns_forwarder_")]
        assert forwarder == [], "nothing of it is shown while it cannot be read"
    ended.heal()
    healed = well.well()
    assert healed["probes"][name]["last_error"]
    assert sidecar.check(name)[0] == 200
    assert sidecar.text().count(f"probe {name} is bad") == told_before + 1, "said once"
    assert "Traceback" not in sidecar.text()


def test_the_sidecar_ends_and_takes_nobody_along(well: Pod) -> None:
    """Killed, it is back with the truth as soon as it is started."""
    well.sidecar.kill()
    assert well.kubedns.program.alive()
    assert well.dnsmasq.program.alive()
    well.sidecar.start()
    well.sidecar.get("/healthz")
