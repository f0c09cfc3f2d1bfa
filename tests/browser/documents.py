"""/status of both neighbours, as they write it, with whatever a test wants to be different."""

from typing import Any


def upstream(server: str, state: str = "up", **other: Any) -> dict[str, Any]:
    """Describe a server as the forwarder does."""
    return {
        "server": server,
        "state": state,
        "srtt_ms": 15.252,
        "rttvar_ms": 7.626,
        "bad": 0.0,
        "losses_in_a_row": 0,
        "sent": 1842,
        "retried": 3,
        "failed": 0,
        "timeouts": 0,
        "edns": "known",
        "case": "mixed",
    } | other


def route(domain: str, kind: str, *upstreams: dict[str, Any]) -> dict[str, Any]:
    """Describe a route as the forwarder does."""
    return {
        "domain": domain,
        "kind": kind,
        "means": "asked of a domain's own servers",
        "policy": "fastest",
        "in_flight": 0,
        "retry_tokens": 25.0,
        "upstreams": list(upstreams),
    }


def source(resource: str, objects: int, **other: Any) -> dict[str, Any]:
    """Describe a resource as kubedns does."""
    return {
        "resource": resource,
        "state": "watching",
        "synced": True,
        "resource_version": "48213",
        "objects": objects,
        "age_s": 2.6,
        "lists": 1,
        "relists": 0,
        "errors": 0,
        "last_error": None,
        "events": 12,
    } | other


def kubedns_status(**other: Any) -> dict[str, Any]:
    """Return a /status of kubedns."""
    return {
        "version": "0.1.0",
        "zone": "cluster.local.",
        "uptime_s": 7265.4,
        "time": "2026-11-21T17:43:39Z",
        "synced": True,
        "waiting_for": [],
        "initial_sync_timed_out": False,
        "draining": False,
        "sources": [
            source("services", 212),
            source("endpointslices", 240, age_s=0.3),
            source("namespaces", 14, age_s=41.0),
        ],
        "objects": {
            "services": 212,
            "endpointslices": 240,
            "endpoints": 0,
            "namespaces": 14,
            "pods": 0,
            "configmaps": 0,
        },
        "object_problems": 0,
        "serial": 1795283020,
        "services": 211,
        "records": 1455,
        "ready_answers": 310,
        "pods": "insecure",
        "exceptions": 0,
        "dropped": {},
        "outside": {"asked": 4, "answered": 4, "failed": 0, "shared": 0, "timeouts": 0},
        "config": {
            "stub_domains": {"corp.example": ["10.20.0.53:53", "10.20.1.53:53"]},
            "upstream_nameservers": ["192.0.2.53:53"],
            "resolv_conf": ["10.255.255.53:53"],
            "errors": {},
        },
    } | other


def forwarder_status(**other: Any) -> dict[str, Any]:
    """Return a /status of the forwarder."""
    return {
        "version": "0.1.0",
        "uptime_s": 7264.9,
        "time": "2026-11-21T17:43:39Z",
        "unready": "",
        "draining": False,
        "listeners": ["10.244.0.7#53"],
        "config": {
            "version": "4f7c1d2b9a0e",
            "stub_domains": {"corp.example": ["10.20.0.53", "10.20.1.53"]},
            "upstream_nameservers": ["192.0.2.53"],
            "errors": [],
            "last_error": None,
            "ignored_servers": [],
        },
        "cache": {
            "entries": 412,
            "max_entries": 1000,
            "bytes": 98120,
            "max_bytes": 16777216,
            "hits": 48211,
            "misses": 9120,
            "hit_rate": 0.8409,
            "stale": 0,
            "prefetched": 188,
            "insertions": 9021,
            "evictions": 0,
            "failures_remembered": 2,
        },
        "load": {
            "in_flight": 3,
            "waiting_clients": 4,
            "tcp_connections": 1,
            "upstream_sockets": 8,
            "upstream_connections": 0,
            "limits": {
                "questions": 2000,
                "questions of one group": 1000,
                "waiters of one question": 500,
                "clients waiting": 10000,
                "tcp connections": 256,
                "tcp connections of one client": 20,
            },
            "limits_reached": {},
        },
        "dropped": {},
        "malformed": {},
        "bad_replies": {},
        "exceptions": 0,
        "log": {"lines_dropped": 0, "problem": "", "queries_suppressed": 0},
        "looping_servers": [],
        "warnings": [{"time": "2026-11-21T15:42:34Z", "text": "no nameserver in /etc/resolv.conf"}],
        "routes": [
            route("cluster.local", "cluster", upstream("127.0.0.1#10053", srtt_ms=0.412)),
            route("in-addr.arpa", "cluster", upstream("127.0.0.1#10053", srtt_ms=0.412)),
            route("ip6.arpa", "cluster", upstream("127.0.0.1#10053", srtt_ms=0.412)),
            route("corp.example", "stub", upstream("10.20.0.53"), upstream("10.20.1.53")),
            route(".", "default", upstream("192.0.2.53", srtt_ms=14.975)),
        ],
    } | other
