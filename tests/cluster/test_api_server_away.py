"""An API server that no DNS pod has ever reached: liveness must not make it worse."""

from __future__ import annotations

import time

from tests.cluster import cut
from tests.cluster.cluster import Cluster, is_ready, restarts
from tests.cluster.cut import CutOff
from tests.cluster.report import Report


def test_nobody_is_restarted_and_names_outside_resolve(
    cluster: Cluster, cut_off: CutOff, report: Report
) -> None:
    """For minutes: the published liveness probes restart no container, outside names resolve."""
    time.sleep(max(0.0, cut_off.since + cut.DURATION_S - time.monotonic()))
    pod = cut_off.pod()
    lasted = time.monotonic() - cut_off.since
    report.row("API server away", for_s=round(lasted), restarts=restarts(pod), ready=is_ready(pod))
    assert restarts(pod) == {"kubedns": 0, "dnsmasq": 0, "sidecar": 0}
    assert not is_ready(pod)
    asked = ("+short", "+time=5", f"@{cut_off.address}", "away.upstream.test")
    assert cluster.pod_exec("client", "dig", *asked).stdout == "192.0.2.53\n"
    inside = ("+time=5", f"@{cut_off.address}", "kubernetes.default.svc.cluster.local")
    assert "status: SERVFAIL" in cluster.pod_exec("client", "dig", *inside).stdout
    pages = [
        f"http://{cut_off.address}:10054/{path}" for path in ("healthz", "healthcheck/kubedns")
    ]
    assert list(cluster.script_on_node("pages.py", *pages).values()) == [503, 200]
