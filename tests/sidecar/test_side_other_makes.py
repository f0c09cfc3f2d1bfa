"""Neighbours that are not ours: a real dnsmasq, the original's answers, and who lies."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import dns.message
import dns.query
import pytest

from tests.absent import unavailable
from tests.forwarder.behaviours import reply
from tests.forwarder.scripted import Act, Asked, Play, Scripted
from tests.realapi.ports import free_port
from tests.realapi.program import Program
from tests.realapi.waiting import until
from tests.sidecar.pod import Sidecar

HOSTILE = "<script>alert(1)</script>\"'&"


def make(version: str, *answer: str, rcode: int = 0) -> Play:
    """Play a server that tells its version, and gives these records for all else."""

    def play(asked: Asked) -> Sequence[Act]:
        if asked.name == "version.bind.":
            text = version.replace('"', '\\"')
            return [Act(reply(asked, f'@ 0 CH TXT "{text}"'))]
        return [Act(reply(asked, *answer, rcode=rcode))]

    return play


@pytest.fixture
def dnsmasq(tmp_path: Path) -> Iterator[int]:
    """Run a real dnsmasq, as the original's own test does, on this port."""
    program = shutil.which("dnsmasq", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        unavailable("dnsmasq is not installed")
    port = free_port()
    running = Program(
        [program, "-k", "--conf-file=/dev/null", "--pid-file", "--user=root", "--no-resolv",
         "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={port}",
         "--cache-size=1337", "--address=/ok.local/1.2.3.4", "--address=/nxdomain.local/"],
        log=tmp_path / "dnsmasq.log",
    )  # fmt: skip
    yield port
    running.kill()


def test_a_real_dnsmasq(dnsmasq: int, tmp_path: Path) -> None:
    """The original's end-to-end case: hits, cache size, errors of the two bad probes only."""
    probes = [
        f"ok,127.0.0.1:{dnsmasq},ok.local,1,A",
        f"nxdomain,127.0.0.1:{dnsmasq},nx.local,1,A",
        f"notpresent,127.0.0.1:{free_port()},notpresent.local,1,A",
    ]
    with Sidecar(tmp_path, probes=probes, statistics=dnsmasq) as sidecar:
        sidecar.until(lambda told: told["probes"]["ok"]["state"] == "good", "a good probe")
        for _ in range(100):
            dns.query.udp(dns.message.make_query("ok.local", "A"), "127.0.0.1", port=dnsmasq,
                          timeout=10)  # fmt: skip
        five = ("nxdomain_errors", "notpresent_errors", "ok_latency_ms_count")
        found = until(
            sidecar.metrics,
            lambda series: (
                min(series[f"kubedns_probe_{each}"] for each in five) >= 5
                and series["kubedns_dnsmasq_hits"] > 100
            ),
            wanted="five rounds of each probe, all hits",
        )
        assert found["kubedns_dnsmasq_max_size"] == 1337
        assert found["kubedns_dnsmasq_errors"] == 0
        assert found["kubedns_probe_ok_errors"] == 0
        assert found["kubedns_probe_notpresent_latency_ms_count"] == 0
        told = sidecar.healthz()
        assert not told["ok"]
        assert told["probes"]["ok"]["make"] == "foreign"
        assert told["probes"]["ok"]["version"].startswith("dnsmasq-")
        assert [sidecar.check(label)[0] for label in ("ok", "nxdomain", "notpresent")] == [
            200, 503, 503,
        ]  # fmt: skip
        assert sidecar.check("nxdomain")[1]["Err"].startswith('no RRs for domain "nx.local."')


def test_the_original_in_our_place(tmp_path: Path) -> None:
    """No page, another version: well by its answers, with a remark; liveness as the original."""
    with Scripted(make("2.5.3a", "@ 30 IN SRV 10 100 443 x.")) as server:
        probe = f"kubedns,{server.nameserver},x,1,SRV"
        flags = [f"--kubedns-status=127.0.0.1:{free_port()}"]
        with Sidecar(tmp_path, *flags, probes=[probe]) as sidecar:
            told = sidecar.well()
            until(sidecar.healthz, lambda told: told["remarks"], wanted="a remark")
            told = sidecar.healthz()
            assert told["remarks"] == [
                "kubedns is of another make (2.5.3a): only its answers are looked at"
            ]
            assert told["neighbours"]["kubedns"]["ok"]
            assert not told["neighbours"]["kubedns"]["ours"]
            server.play = make("2.5.3a", rcode=2)
            sidecar.until(lambda told: not told["ok"], "a bad probe")
            code, check = sidecar.check("kubedns")
            assert (code, check["IsOk"]) == (503, False)
            assert check["Err"] == 'no RRs for domain "x." (SERVFAIL)'


def test_a_server_that_lies(tmp_path: Path) -> None:
    """What it says is escaped wherever it is shown."""
    with (
        Scripted(make(HOSTILE, "@ 30 IN A 192.0.2.1")) as server,
        Sidecar(tmp_path, probes=[f"kubedns,{server.nameserver},x,1,A"]) as sidecar,
    ):
        told = sidecar.until(lambda told: told["probes"]["kubedns"]["version"], "a version")
        assert told["probes"]["kubedns"]["version"] == HOSTILE
        assert "<script>alert" not in sidecar.get("/")[1]
        assert "<script>alert" not in sidecar.get("/?part=live")[1]
        escaped = HOSTILE.replace('"', '\\"')
        assert any(f'version="{escaped}"' in series for series in sidecar.metrics())
