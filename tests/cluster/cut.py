"""A pod of the published manifest whose way to the API server is closed from its start on."""

from __future__ import annotations

import os
import time
from typing import Any

import yaml

from tests.cluster import podtext
from tests.cluster.cluster import LONG_S, Cluster
from tests.realapi.waiting import until

NAME = "kube-dns-cut-off"
DURATION_S = float(os.environ.get("CUT_OFF_S", "300"))
"""How long it must last. 130 s is enough for the published liveness probes to fail and kill."""

_ADDRESSES = "{ 10.96.0.1, 172.30.0.1 }"


class CutOff:
    """The pod; `since`: monotonic seconds of its start."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        # Nobody knows its address before it has one, so for that second the way is closed to all.
        self._closed_for("10.244.0.0/24")
        things = list(yaml.safe_load_all(podtext.with_our_images()))
        cluster.apply(podtext.text([
            # Both are in the published text, and may not be there yet.
            *(thing for thing in things if thing["kind"] == "ServiceAccount"),
            *podtext.beside(things, NAME, "10.96.0.20"),
        ]))  # fmt: skip
        self.address: str = until(self._address, within_s=LONG_S, wanted="an address")
        self._closed_for(self.address)
        self.since = time.monotonic()

    def pod(self) -> dict[str, Any]:
        """Return the pod as it is now."""
        [pod] = self._cluster.pods(f"k8s-app={NAME}")
        return pod

    def _address(self) -> str:
        pods = self._cluster.pods(f"k8s-app={NAME}")
        address: str = pods[0]["status"].get("podIP", "") if pods else ""
        return address

    def _closed_for(self, source: str) -> None:
        rules = f"""
            table inet cut_off
            delete table inet cut_off
            table inet cut_off {{
                chain before_services {{
                    type filter hook prerouting priority -300;
                    ip saddr {source} ip daddr {_ADDRESSES} tcp dport {{ 443, 7443 }} drop
                }}
            }}"""
        self._cluster.on_node("nft", "-f", "-", stdin=rules)
