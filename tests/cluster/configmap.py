"""The ConfigMap by which operators configure the pod."""

from __future__ import annotations

import json

from tests.cluster.cluster import SYSTEM, Cluster


class ConfigMap:
    """ConfigMap kube-dns in namespace kube-system."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def set(self, data: dict[str, str]) -> None:
        """Give it exactly this data, and leave the rest as it is."""
        patch = [{"op": "add", "path": "/data", "value": data}]
        name = ("patch", "configmap", "kube-dns", "-n", SYSTEM)
        self._cluster.kubectl(*name, "--type=json", "-p", json.dumps(patch))
