"""The API server or an upstream is away: told by /healthz, and no reason to restart anybody."""

from pathlib import Path

from tests.forwarder.behaviours import silent
from tests.forwarder.scripted import Scripted
from tests.realapi.ports import free_port
from tests.sidecar.pod import NAME, Dnsmasq, Kubedns, Sidecar


def test_the_api_server_is_away_from_the_start(tmp_path: Path) -> None:
    """Both are alive, with the reason; /healthz is 503 and tells what is waited for."""
    kubedns = Kubedns(tmp_path, f"--kube-master-url=http://127.0.0.1:{free_port()}")
    dnsmasq = Dnsmasq(tmp_path, kubedns.port)
    sidecar = Sidecar(
        tmp_path,
        probes=[
            f"kubedns,127.0.0.1:{kubedns.port},{NAME},1,SRV",
            f"dnsmasq,127.0.0.1:{dnsmasq.port},{NAME},1,SRV",
        ],
        kubedns=kubedns.status,
        dnsmasq=dnsmasq.status,
        statistics=dnsmasq.port,
    )
    try:
        kubedns.start()
        dnsmasq.start()
        with sidecar:
            told = sidecar.until(
                lambda told: (
                    all(each["alive"] for each in told["probes"].values())
                    and any("onnect" in reason for reason in told["reasons"])
                ),
                "both alive, and why they have no answer",
            )
            assert not told["ok"]
            for label in ("kubedns", "dnsmasq"):
                code, check = sidecar.check(label)
                assert (code, check["IsOk"]) == (200, True)
                assert check["Err"] == f'no RRs for domain "{NAME}." (SERVFAIL)'
            assert sidecar.get("/readyz")[0] == 503, "nobody gets an answer here"
            (reason,) = [each for each in told["reasons"] if "not in sync" in each]
            assert "services" in reason
            assert "onnect" in reason, "and why"
    finally:
        kubedns.kill()
        dnsmasq.kill()


def test_an_upstream_is_down_and_the_probe_asks_for_a_name_outside(tmp_path: Path) -> None:
    """The forwarder is alive: it says who it is, whatever its upstream does."""
    with Scripted(silent) as upstream:
        dnsmasq = Dnsmasq(tmp_path, free_port(), f"--server={upstream.server}")
        sidecar = Sidecar(
            tmp_path,
            probes=[f"dnsmasq,127.0.0.1:{dnsmasq.port},www.example.com,1,A"],
            dnsmasq=dnsmasq.status,
            statistics=dnsmasq.port,
        )
        try:
            dnsmasq.start()
            with sidecar:
                told = sidecar.until(
                    lambda told: (
                        told["probes"]["dnsmasq"]["alive"]
                        and told["probes"]["dnsmasq"]["rounds"] >= 3
                    ),
                    "alive",
                )
                assert not told["ok"]
                code, check = sidecar.check("dnsmasq")
                assert (code, check["IsOk"]) == (200, True)
                assert check["Err"]
        finally:
            dnsmasq.kill()
