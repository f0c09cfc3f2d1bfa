"""What happens to the pod, by the names of kinds.py."""

from __future__ import annotations

from tests.soak import acts_floods, acts_pod, acts_servers
from tests.soak.act import Act

ACTS: dict[str, Act] = {
    "API away": acts_servers.gate(lambda scene, rng: scene.gate.away()),
    "API killed": acts_servers.api_killed,
    "API late": acts_servers.gate(lambda scene, rng: scene.gate.slow(rng.uniform(2.0, 10.0))),
    "API 500": acts_servers.gate(lambda scene, rng: scene.gate.refuse(500)),
    "API 429": acts_servers.gate(lambda scene, rng: scene.gate.refuse(429)),
    "API compacted": acts_servers.compacted,
    "kubedns KILL": acts_pod.kubedns_killed,
    "kubedns STOP": acts_pod.kubedns_stopped,
    "forwarder KILL": acts_pod.forwarder_killed,
    "pod rolled": acts_pod.rolled,
    "sidecar KILL": acts_pod.sidecar_killed,
    "one upstream dead": acts_servers.weather(0, dead=True),
    "upstreams dead": acts_servers.weather(0, 1, dead=True),
    "upstreams flap": acts_servers.flapping,
    "10 % lost": acts_servers.weather(0, 1, loss=0.1),
    "30 % lost": acts_servers.weather(0, 1, loss=0.3),
    "upstreams late": acts_servers.weather(0, 1, delay_s=2.0),
    "ConfigMap": acts_servers.config_changed,
    "churn": acts_floods.churn,
    "unique names": acts_floods.unique_names,
    "one client": acts_floods.one_client,
    "TCP idle": acts_floods.connected(400, lambda scene, number: b""),
    "TCP half-open": acts_floods.connected(300, acts_floods.half),
    "TCP not read": acts_floods.connected(40, acts_floods.lots),
    "disk full": acts_pod.disk_full,
    "disk read-only": acts_pod.disk_read_only,
    "clock stepped": acts_pod.clock_stepped,
    "NOTIFY forged": acts_floods.forged,
    "NOTIFY replayed": acts_floods.replayed,
    "NOTIFY flooded": acts_floods.flooded,
    "NOTIFY lost": acts_floods.lost,
}
