"""What the pages of both neighbours look like when all is well."""

from typing import Any

KUBEDNS_PAGE: dict[str, Any] = {
    "version": "0.1.0",
    "zone": "cluster.local.",
    "uptime_s": 2.654,
    "time": "2026-11-21T17:43:39Z",
    "synced": True,
    "waiting_for": [],
    "initial_sync_timed_out": False,
    "draining": False,
    "sources": [
        {
            "resource": kind,
            "state": "watching",
            "synced": True,
            "resource_version": "1",
            "objects": 20,
            "age_s": 2.63,
            "lists": 1,
            "relists": 0,
            "errors": 0,
            "last_error": None,
            "events": 0,
        }
        for kind in ("services", "endpointslices", "namespaces")
    ],
    "objects": {"services": 12, "endpointslices": 3},
    "object_problems": 0,
    "serial": 1795283020,
    "services": 11,
    "records": 55,
    "ready_answers": 0,
    "pods": "insecure",
    "exceptions": 0,
    "dropped": {},
    "outside": {"asked": 0, "answered": 0},
    "config": {
        "stub_domains": {"acme.local": ["192.0.2.53:53"]},
        "upstream_nameservers": [],
        "resolv_conf": ["192.0.2.1:53"],
        "errors": {},
    },
}

DNSMASQ_PAGE: dict[str, Any] = {
    "version": "0.1.0",
    "uptime_s": 2.635,
    "time": "2026-11-21T17:43:39Z",
    "unready": "",
    "draining": False,
    "listeners": ["127.0.0.1#1053"],
    "config": {
        "version": "",
        "stub_domains": {},
        "upstream_nameservers": [],
        "errors": [],
        "last_error": None,
        "ignored_servers": [],
    },
    "cache": {"entries": 0, "max_entries": 1000, "hits": 0, "misses": 0, "hit_rate": None},
    "load": {"in_flight": 0, "limits": {"questions": 2000}, "limits_reached": {}},
    "dropped": {},
    "malformed": {},
    "bad_replies": {},
    "exceptions": 0,
    "log": {"lines_dropped": 0, "problem": "", "queries_suppressed": 0},
    "looping_servers": [],
    "warnings": [{"time": "2026-11-21T17:43:39Z", "text": "something"}],
    "routes": [
        {
            "domain": domain,
            "kind": kind,
            "means": "asked of the servers without a domain",
            "policy": "fastest",
            "in_flight": 0,
            "retry_tokens": 25.0,
            "upstreams": [
                {
                    "server": server,
                    "state": "up",
                    "srtt_ms": 14.975,
                    "rttvar_ms": 7.487,
                    "bad": 0.0,
                    "losses_in_a_row": 0,
                    "sent": 1,
                    "retried": 0,
                    "failed": 0,
                    "timeouts": 0,
                    "edns": "known",
                    "case": "mixed",
                }
                for server in servers
            ],
        }
        for domain, kind, servers in (
            ("cluster.local", "cluster", ["127.0.0.1#10053"]),
            (".", "default", ["192.0.2.1", "192.0.2.2"]),
        )
    ],
}
