"""Is the pod well, is it ready, what should an operator know: sentences, and nothing cascades."""

import copy
from typing import Any

import pytest

from sidecar import verdict
from sidecar.health import Health, Round
from sidecar.probe import Probe
from sidecar.state import Neighbour, State
from tests.sidepages import DNSMASQ_PAGE, KUBEDNS_PAGE

OURS = "kube-dns-py 0.1.0"
FOREIGN = "dnsmasq-2.90"


def probed(label: str, error: str = "", version: str | None = OURS, rounds: int = 1) -> Health:
    """Return what a probe knows after some equal rounds."""
    known = Health(Probe(label, "127.0.0.1", 53, "x.", 5, "SRV"), since=0.0)
    for at in range(rounds):
        known = known.after(Round(float(at), 0.001, error, replied=True, version=version))
    return known


def page(original: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a page with changes; those of `sources` and `routes` change each item."""
    made = copy.deepcopy(original)
    for key, value in changes.items():
        if key in ("sources", "routes"):
            for item in made[key]:
                item.update(value)
        else:
            made[key] = value
    return made


def kubedns(error: str = "", **changes: Any) -> Neighbour:
    """Return kubedns as it tells of itself."""
    status = page(KUBEDNS_PAGE, **changes)
    return Neighbour("kubedns", "127.0.0.1:10057", 0.0, status=status, at=1.0, error=error)


def dnsmasq(error: str = "", metrics: str = "", **changes: Any) -> Neighbour:
    """Return the forwarder as it tells of itself."""
    status = page(DNSMASQ_PAGE, **changes)
    return Neighbour(
        "dnsmasq", "127.0.0.1:10056", 0.0, status=status, at=1.0, error=error, metrics=metrics
    )


def away(name: str, address: str = "127.0.0.1:10057") -> Neighbour:
    """Return a neighbour that never told anything."""
    return Neighbour(name, address, 0.0, error="connection refused", refused=True)


def pod(*neighbours: Neighbour, **health: Health) -> State:
    """Return what is known of a pod; a probe that is not named is good."""
    known = {label: health.get(label, probed(label)) for label in ("kubedns", "dnsmasq")}
    both = {"kubedns": kubedns(), "dnsmasq": dnsmasq()} | {each.name: each for each in neighbours}
    return State(began=0.0, health=known, neighbours=both)


def test_all_is_well() -> None:
    """No reasons, no remarks."""
    state = pod()
    assert verdict.healthz(state).well
    assert verdict.readyz(state).well
    assert verdict.remarks(state) == ()


SYNC = {"synced": False, "waiting_for": ["services"]}
REFUSED = {"state": "waiting", "last_error": "connection refused"}


@pytest.mark.parametrize(
    ("state", "reasons"),
    [
        pytest.param(
            pod(kubedns=probed("kubedns", "no reply from 127.0.0.1:53 within 2 s")),
            ["probe kubedns: no reply from 127.0.0.1:53 within 2 s"],
            id="a probe is bad",
        ),
        pytest.param(
            pod(dnsmasq=probed("dnsmasq", rounds=0)),
            ["probe dnsmasq: waiting for first probe"],
            id="a probe has not been asked yet",
        ),
        pytest.param(
            pod(kubedns(**SYNC, sources=REFUSED)),
            ["kubedns is not in sync with the cluster, it waits for services (connection refused)"],
            id="the API server is away from the start",
        ),
        pytest.param(
            pod(kubedns(sources=REFUSED | {"age_s": 300.0})),
            [
                f"kubedns has heard nothing of {kind} for 300 s, its answers may be old "
                "(connection refused)"
                for kind in ("services", "endpointslices", "namespaces")
            ],
            id="the API server went away five minutes ago",
        ),
        pytest.param(
            pod(kubedns(error="no answer within 2 s")),
            ["kubedns: /status cannot be read any more: no answer within 2 s"],
            id="kubedns is frozen",
        ),
        pytest.param(
            pod(dnsmasq(error="connection refused")),
            ["dnsmasq: /status cannot be read any more: connection refused"],
            id="the forwarder is dead",
        ),
        pytest.param(pod(kubedns(draining=True)), ["kubedns is shutting down"], id="kubedns ends"),
        pytest.param(
            pod(dnsmasq(draining=True, unready="shutting down")),
            ["dnsmasq is shutting down"],
            id="the forwarder ends",
        ),
        pytest.param(
            pod(dnsmasq(unready="not listening")),
            ["dnsmasq is not ready: not listening"],
            id="the forwarder has no socket",
        ),
    ],
)
def test_unwell(state: State, reasons: list[str]) -> None:
    """Each reason is a sentence."""
    assert list(verdict.healthz(state).reasons) == reasons


@pytest.mark.parametrize(
    ("state", "remarks"),
    [
        pytest.param(
            pod(kubedns(sources=REFUSED | {"age_s": 30.0})),
            [f"kubedns cannot read {kind} now (connection refused)"
             for kind in ("services", "endpointslices", "namespaces")],
            id="the API server went away a moment ago",
        ),
        pytest.param(
            pod(kubedns(sources={"state": "forbidden", "age_s": 9999.0})),
            [f"kubedns may not read {kind}"
             for kind in ("services", "endpointslices", "namespaces")],
            id="rights are missing, and something stands in",
        ),
        pytest.param(
            pod(kubedns(config={"errors": {"stubDomains": "it is no JSON"}})),
            ["kubedns keeps its last good configuration of stubDomains: it is no JSON"],
            id="kubedns refused a key",
        ),
        pytest.param(
            pod(dnsmasq(config={"errors": [{"key": "stubDomains", "position": "line 1",
                                            "reason": "it is no JSON"}]})),
            ["dnsmasq keeps its last good configuration of stubDomains line 1: it is no JSON"],
            id="the forwarder refused a key",
        ),
        pytest.param(
            pod(dnsmasq(routes={"domain": "acme.local", "upstreams": [
                {"server": "192.0.2.1", "state": "down"}, {"server": "192.0.2.2", "state": "down"},
            ]})),
            ["dnsmasq: no server of acme.local answers (192.0.2.1, 192.0.2.2)"] * 2,
            id="all servers of a route are down",
        ),
        pytest.param(
            pod(dnsmasq(routes={"upstreams": [
                {"server": "192.0.2.1", "state": "down"}, {"server": "192.0.2.2", "state": "up"},
            ]})),
            [],
            id="one of two servers is down",
        ),
        pytest.param(pod(dnsmasq(routes={"upstreams": []})), [], id="a route without servers"),
        pytest.param(
            pod(dnsmasq(looping_servers=["10.0.0.10#53"])),
            ["dnsmasq does not ask 10.0.0.10#53: it leads back to us"],
            id="a loop",
        ),
        pytest.param(
            pod(dnsmasq(metrics="kubedns_forwarder_event_loop_stalls_total 3.0\n")),
            ["dnsmasq was busy for more than 250 ms 3 times since it started"],
            id="the event loop stalled",
        ),
        pytest.param(
            pod(kubedns(exceptions=2)),
            ["kubedns met 2 faults of its own, its log tells more"],
            id="faults of ours",
        ),
        pytest.param(
            pod(away("dnsmasq"), dnsmasq=probed("dnsmasq", version=FOREIGN)),
            ["dnsmasq is of another make (dnsmasq-2.90): only its answers are looked at"],
            id="the real dnsmasq",
        ),
        pytest.param(
            pod(kubedns(error="connection refused"), kubedns=probed("kubedns", version="")),
            ["kubedns is of another make: only its answers are looked at"],
            id="the original has taken the place of ours",
        ),
        pytest.param(
            pod(away("kubedns")),
            ["kubedns: 127.0.0.1:10057/status cannot be read: connection refused"],
            id="ours, its page is somewhere else",
        ),
        pytest.param(
            pod(away("kubedns"), kubedns=probed("kubedns", version=None)),
            ["kubedns: nothing is known but its answers (connection refused)"],
            id="a make that nobody knows",
        ),
        pytest.param(pod(away("kubedns", "")), [], id="its page is not to be read"),
    ],
)  # fmt: skip
def test_well_with_a_remark(state: State, remarks: list[str]) -> None:
    """What an operator should know does not make the pod unwell."""
    assert verdict.healthz(state).well
    assert list(verdict.remarks(state)) == remarks


def test_objects_from_files_grow_old_without_harm() -> None:
    """They are read again when they change, which may be never."""
    source = {"resource": "files", "state": "watching", "synced": True, "age_s": 1e6}
    assert verdict.healthz(pod(kubedns(sources=source))).well


@pytest.mark.parametrize(
    ("state", "ready"),
    [
        pytest.param(pod(kubedns=probed("kubedns", rounds=0)), False, id="a probe is waiting"),
        pytest.param(
            pod(kubedns=probed("kubedns", "x"), dnsmasq=probed("dnsmasq", "x")), False,
            id="no probe is good",
        ),
        pytest.param(pod(kubedns=probed("kubedns", "x")), True, id="the forwarder answers"),
        pytest.param(pod(dnsmasq=probed("dnsmasq", "x")), False, id="it does not"),
        pytest.param(
            pod(kubedns(sources=REFUSED | {"age_s": 300.0})), True, id="the API server is away"
        ),
        pytest.param(
            pod(kubedns("no answer within 2 s")), True, id="a page is away, answers come"
        ),
        pytest.param(State(began=0.0), True, id="nothing to look at"),
    ],
)  # fmt: skip
def test_ready(state: State, ready: bool) -> None:
    """As long as there are answers: all replicas would go at once for what they share."""
    assert verdict.readyz(state).well is ready


def test_answers_from_a_snapshot() -> None:
    """How old what is told is, beside what is waited for."""
    snapshot = {"stale": True, "age_s": 40.2}
    state = pod(kubedns(synced=False, waiting_for=["services"], snapshot=snapshot))
    (reason,) = verdict.healthz(state).reasons
    assert reason.startswith("kubedns is not in sync with the cluster, it waits for services")
    assert reason.endswith("; known names are answered as 40 s ago")


@pytest.mark.parametrize(
    ("begun", "alive", "said"),
    [(0, False, 0), (1, True, 0), (1, False, 1)],
    ids=["kubedns of another make", "told", "no longer told"],
)
def test_changes_are_not_told_any_more(begun: int, alive: bool, said: int) -> None:
    """A remark: answers live for their TTL then, as in any other cache."""
    state = pod(dnsmasq(feed={"begun": begun, "alive": alive, "purged": 0}))
    assert verdict.healthz(state).well
    remarks = [each for each in verdict.remarks(state) if "told of changes" in each]
    assert len(remarks) == said


def test_no_server_for_names_outside() -> None:
    """Trouble, unlike a stub domain's: half of what pods ask gets no answer. Still ready."""
    servers = [
        {"server": "192.0.2.1", "state": "down"},
        {"server": "192.0.2.2", "state": "looping"},
    ]
    state = pod(dnsmasq(routes={"domain": ".", "upstreams": servers}))
    assert verdict.healthz(state).reasons == (
        "dnsmasq: no server for names outside the cluster answers (192.0.2.1, 192.0.2.2)",
        "dnsmasq: no server for names outside the cluster answers (192.0.2.1, 192.0.2.2)",
    )
    assert verdict.readyz(state).well


def test_shutting_down() -> None:
    """Neither well nor ready, whatever else there is."""
    state = pod()
    state.draining = True
    assert verdict.healthz(state).reasons == ("sidecar is shutting down",)
    assert verdict.readyz(state).reasons == ("sidecar is shutting down",)
