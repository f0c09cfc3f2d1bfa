"""States of the sidecar for its page: well, unwell, of many routes, of hostile names."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sidecar.health import Health, Make, Round
from sidecar.probe import Probe
from sidecar.state import Neighbour, Sample, State, Statistics, Warned
from tests.browser.documents import (
    forwarder_status,
    kubedns_status,
    route,
    source,
    upstream,
)

NOW = 1_795_283_019.0  # 2026-11-21T17:43:39Z
OURS = "kube-dns-py 0.1.0"


def health(label: str, port: int, *, since: float = NOW - 7200, **other: Any) -> Health:
    """Return what a probe knows after it was answered for two hours."""
    name = "kubernetes.default.svc.cluster.local."
    return Health(
        **{
            "probe": Probe(label, "127.0.0.1", port, name, 5, "ANY"),
            "since": since,
            "make": Make.OURS,
            "version": OURS,
            "last": Round(NOW - 1.2, 0.0013, "", replied=True),
            "rounds": 1440,
            "errors": 2,
        }
        | other
    )


def failing(label: str, port: int, error: str, *, alive: bool = False) -> Health:
    """Return what a probe knows that has failed for half a minute."""
    last = Round(NOW - 1.2, None, error, replied=alive)
    return health(label, port, since=NOW - 31, last=last, errors=8)


def samples(count: int = 180, span_s: float = 5.0) -> tuple[Sample, ...]:
    """Return a quarter of an hour of counters, with a minute in which nobody asked."""
    made = []
    for number in range(count):
        asked = 0 if 60 <= number < 72 else 40 + 25 * ((number * 7) % 11) // 3
        hits = int(asked * (0.7 + 0.25 * ((number * 5) % 13) / 13))
        at = NOW - (count - 1 - number) * span_s
        made.append(Sample(at, span_s, hits, asked - hits))
    return tuple(made)


def well(
    kubedns: object = None,
    forwarder: object = None,
    *,
    warned: Sequence[Warned] = (),
    now: float = NOW,
) -> State:
    """Return a state in which all is well; kubedns, forwarder: other documents for /status."""
    return State(
        began=now - 7260,
        health={"kubedns": health("kubedns", 10053), "dnsmasq": health("dnsmasq", 53)},
        neighbours={
            "kubedns": neighbour("kubedns", kubedns_status() if kubedns is None else kubedns),
            "dnsmasq": neighbour("dnsmasq", forwarder_status() if forwarder is None else forwarder),
        },
        statistics=Statistics(48211, 9120, 0, 9021, 1000, 0, "", now - 2),
        samples=samples(),
        warned=tuple(warned),
    )


def neighbour(name: str, status: Any, error: str = "") -> Neighbour:
    """Return a neighbour that was read a moment ago."""
    port = {"kubedns": 10057}.get(name, 10056)
    return Neighbour(name, f"127.0.0.1:{port}", NOW - 7200, status, NOW - 2, error)


def unwell() -> State:
    """Return a state with a dead kubedns, a bad configuration, and upstreams that are down."""
    late = "lists of services failed: 403 services is forbidden: User cannot list resource"
    kubedns = kubedns_status(
        synced=False,
        waiting_for=["services"],
        initial_sync_timed_out=True,
        sources=[
            source("services", 0, state="forbidden", synced=False, age_s=None, last_error=late),
            source("endpointslices", 240, state="waiting", age_s=322.0, errors=7,
                   last_error="no answer from https://10.96.0.1:443: timed out"),
            source("namespaces", 14, age_s=4.0),
        ],
    )  # fmt: skip
    problem = {
        "file": "/etc/k8s/dns/dnsmasq-nanny/stubDomains",
        "key": "stubDomains",
        "position": "corp.example[1]",
        "reason": "10.20.0.300 is no IP address",
        "time": "2026-11-21T17:31:02Z",
    }
    status = forwarder_status()
    forwarder = status | {
        "config": status["config"]
        | {
            "errors": [problem],
            "last_error": problem,
            "ignored_servers": ["ignoring nameserver 127.0.0.1 - local interface"],
        },
        "load": status["load"] | {"in_flight": 1720, "limits_reached": {"questions": 14}},
        "dropped": {"no room": 31},
        "bad_replies": {"wrong id": 4},
        "routes": [
            *status["routes"][:3],
            route(
                "corp.example",
                "stub",
                upstream("10.20.0.53", "down", losses_in_a_row=12, failed=44, timeouts=40),
                upstream("10.20.1.53", losses_in_a_row=4, srtt_ms=412.3, timeouts=9),
            ),
            route(".", "default", upstream("192.0.2.53", "looping", srtt_ms=None)),
        ],
        "warnings": [
            {"time": f"2026-11-21T17:{minute:02}:11Z", "text": text}
            for minute, text in (
                (31, "configuration: stubDomains stays as it was: 10.20.0.300 is no IP address"),
                (40, "NOT using nameserver 192.0.2.53#53 - query loop detected"),
                (43, "Maximum number of concurrent DNS queries reached (max: 2000)"),
            )
        ],
    }
    state = well(
        kubedns,
        forwarder,
        warned=[Warned(NOW - 31, "sidecar", "probe kubedns: no answer within 2 s")],
    )
    state.health = {
        "kubedns": failing("kubedns", 10053, "read udp 127.0.0.1:10053: i/o timeout"),
        "dnsmasq": failing("dnsmasq", 53, "SERVFAIL", alive=True),
    }
    return state


def aged() -> State:
    """Return a state whose neighbours have not been read for minutes, although they answer."""
    state = unwell()
    state.health = well().health
    state.neighbours = {
        name: replace(each, error="connection refused", at=NOW - 200)
        for name, each in state.neighbours.items()
    }
    return state


def crowded(count: int = 1000) -> State:
    """Return a state with so many stub domains, two of them with trouble."""
    made = [
        route(f"team-{number}.corp.example", "stub", upstream(f"10.20.{number // 250}.53"))
        for number in range(count)
    ]
    made[count // 2]["upstreams"][0]["state"] = "down"
    made[-1]["upstreams"] += [upstream(f"10.30.0.{n}", srtt_ms=None) for n in range(20)]
    made[-1]["upstreams"][5]["state"] = "down"
    return well(forwarder=forwarder_status(routes=made))


def foreign() -> State:
    """Return a state whose neighbours are the original's programs."""
    state = well()
    why = "no page there: connection refused"
    state.health = {
        "kubedns": health("kubedns", 10053, make=Make.FOREIGN, version=""),
        "dnsmasq": health("dnsmasq", 53, make=Make.FOREIGN, version="dnsmasq-2.90"),
    }
    state.neighbours = {
        "kubedns": Neighbour("kubedns", "127.0.0.1:10057", NOW - 90, error=why),
        "dnsmasq": Neighbour("dnsmasq", "127.0.0.1:10056", NOW - 90, error=why),
    }
    return state


HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</td></table><script>alert(2)</script>",
    '"><svg onload=alert(3)>',
    "' autofocus onfocus='alert(4)",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;",
    "a" * 5000,
    "line\r\nof\x00two\x1b[31m",
    "\u202eevil\u2066rtl \u05e9\u05dc\u05d5\u05dd",
    "z\u0335\u0336\u0337\u0338" * 40,
    "half \ud800 of one",
    "\U000e0041\ufeff\u2028",
)


def hostile() -> State:
    """Return a state in which every text was chosen by an enemy."""
    names = list(HOSTILE)
    problem = dict.fromkeys(("file", "key", "position", "reason", "time"), names[1])
    kubedns = kubedns_status(
        version=names[0],
        zone=names[2],
        synced=False,
        waiting_for=names,
        sources=[source(name, 1, state=name, last_error=name) for name in names],
        objects=dict.fromkeys(names, 3),
        config={
            "stub_domains": dict.fromkeys(names, names),
            "upstream_nameservers": names,
            "resolv_conf": names,
            "errors": dict(zip(names, names, strict=True)),
        },
    )
    forwarder = forwarder_status(
        unready=names[1],
        config={
            "version": names[0],
            "stub_domains": dict.fromkeys(names, names),
            "upstream_nameservers": names,
            "errors": [problem],
            "last_error": problem,
            "ignored_servers": names,
        },
        load={"limits": dict.fromkeys(names, 1), "limits_reached": dict.fromkeys(names, 1)},
        dropped=dict.fromkeys(names, 2),
        looping_servers=names,
        warnings=[{"time": name, "text": name} for name in names],
        routes=[route(name, name, upstream(name, name)) for name in names],
    )
    state = well(kubedns, forwarder, warned=[Warned(NOW - 3, name, name) for name in names])
    state.health = {
        **state.health,
        **{name: failing(name, 53, name) for name in names},
        "kubedns": health("kubedns", 53, make=Make.FOREIGN, version=names[2]),
    }
    return state
