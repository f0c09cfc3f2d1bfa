"""All four values of dnsPolicy in a pod."""

from __future__ import annotations

from tests.cluster import questions
from tests.cluster.cluster import Cluster
from tests.cluster.questions import VIP, dig, getent


def test_host_network_with_cluster_dns(cluster: Cluster, installed: str) -> None:
    """ClusterFirstWithHostNet: a pod on the node's network has the cluster's names."""
    found = questions.differences(cluster, questions.BY_SEARCH_PATH, pod="client-host")
    assert found == []


def test_default_policy_asks_the_servers_of_the_node(cluster: Cluster, installed: str) -> None:
    """Default: names outside, and no cluster names."""
    asked = [getent("www.upstream.test", "192.0.2.53"), getent("kubernetes.default")]
    assert questions.differences(cluster, asked, pod="client-default") == []


def test_policy_none_with_own_search_path(cluster: Cluster, installed: str) -> None:
    """None with dnsConfig: the pod's own search path, the cluster's server."""
    asked = [
        getent("web-vip.default", VIP),  # by svc.cluster.local
        getent("www", "192.0.2.53"),  # by upstream.test
        dig(f"web-vip.{questions.FULL} A", f"web-vip.{questions.FULL}. A {VIP}"),
    ]
    assert questions.differences(cluster, asked, pod="client-none") == []
