"""A pod with the rights of the stock role, to which one thing happens after the other."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.realapi.controlplane import KUBE_DNS_USER, ControlPlane
from tests.realapi.explained.around import Around
from tests.realapi.explained.pod import Pod
from tests.realapi.explained.situation import check_all
from tests.realapi.explained.troubles import (
    API_AWAY,
    KUBEDNS_AWAY,
    NOT_SYNCED,
    OPTIONS,
    STUB_SILENT,
    WELL,
)
from tests.realapi.relay import Relay
from tests.realapi.waiting import until

_SHORT = ("--ttl=1", "--negative-ttl=1")
_KNOWN = "cart.prod.svc.cluster.local."


def test_a_bad_day(shop: ControlPlane, around: Around, relay: Relay, tmp_path: Path) -> None:
    """No API server, then one, then none again, a silent stub domain, no kubedns, no DNS at all."""
    config = {"stubDomains": {"corp.example": [around.corp.nameserver]}}
    kubeconfig = shop.kubeconfig(KUBE_DNS_USER, port=relay.port)
    relay.cut()
    with Pod(tmp_path, kubeconfig, config, flags=_SHORT, options=OPTIONS) as pod:
        check_all(pod.up(), NOT_SYNCED)
        relay.mend()
        check_all(pod.synced(), WELL)
        relay.cut()
        until(lambda: pod.authority(_KNOWN)["api_away_s"], wanted="to miss the API server")
        check_all(pod, API_AWAY)
        around.corp.program.send(signal.SIGSTOP)
        try:
            for each in STUB_SILENT:
                each.check_once_seen(pod)
        finally:
            around.corp.program.send(signal.SIGCONT)
        pod.kubedns.kill()
        for each in KUBEDNS_AWAY:
            each.check_once_seen(pod)
        pod.forwarder.kill()
        assert pod.explain("cart")["verdict"]["text"].startswith("the DNS of this pod")
        status, text = pod.console("cart")
        assert (status, "verdict  the DNS of this pod" in text) == (1, True), text
        pod.sidecar.kill()
        status, text = pod.console("cart")
        assert (status, "cannot ask" in text) == (3, True), text
