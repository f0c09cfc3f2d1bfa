"""The pages: their status, their text, their headers; what hostile names do to them."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from sidecar.app import create_app
from sidecar.health import Health, Round
from sidecar.probe import Probe
from sidecar.state import Neighbour, State
from tests.sidepages import DNSMASQ_PAGE, KUBEDNS_PAGE

OURS = "kube-dns-py 0.1.0"
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}\x1b\n\u2028"


def probed(label: str, error: str = "", version: str | None = OURS) -> Health:
    """Return what a probe knows after one round."""
    known = Health(Probe(label, "127.0.0.1", 53, "x.", 5, "SRV"), since=0.0)
    return known.after(Round(1.0, 0.001, error, replied=True, version=version))


def pod(**health: Health) -> State:
    """Return a pod with both neighbours."""
    pages = {"kubedns": KUBEDNS_PAGE, "dnsmasq": DNSMASQ_PAGE}
    return State(
        began=0.0,
        health=health,
        neighbours={
            name: Neighbour(name, "127.0.0.1:1", 0.0, status=page, at=5.0, error="")
            for name, page in pages.items()
        },
    )


def client(state: State, metrics: Any = lambda: b"x 1.0\n", path: str = "/metrics") -> FlaskClient:
    """Return who asks for pages, at the time 10."""
    return create_app(state, metrics, lambda: 10.0, path).test_client()


def test_healthz_tells_all() -> None:
    """200 and JSON: state, since when, last error, latency, for each probe."""
    reply = client(pod(kubedns=probed("kubedns"))).get("/healthz")
    assert (reply.status_code, reply.content_type) == (200, "application/json")
    told = reply.json
    assert (told["ok"], told["reasons"], told["ready"]) == (True, [], True)
    assert told["probes"]["kubedns"] == {
        "state": "good",
        "since": "1970-01-01T00:00:01Z",
        "alive": True,
        "error": "",
        "last_error": None,
        "last_error_at": None,
        "latency_s": 0.001,
        "rounds": 1,
        "errors": 0,
        "server": "127.0.0.1:53",
        "question": "x. SRV",
        "interval_s": 5,
        "make": "ours",
        "version": OURS,
    }
    assert told["neighbours"]["kubedns"] == {
        "ok": True,
        "troubles": [],
        "ours": True,
        "status_page": "127.0.0.1:1",
        "readable": True,
        "error": "",
        "since": "1970-01-01T00:00:00Z",
        "age_s": 5.0,
        "version": "0.1.0",
    }


def test_healthz_when_something_is_wrong() -> None:
    """503 and why, as JSON and as text."""
    asked = client(pod(kubedns=probed("kubedns", "silence"), dnsmasq=probed("dnsmasq", "x")))
    reply = asked.get("/healthz")
    assert reply.status_code == 503
    assert reply.json["reasons"] == ["probe kubedns: silence", "probe dnsmasq: x"]
    assert reply.json["probes"]["kubedns"]["last_error"] == "silence"
    text = asked.get("/healthz?format=text")
    assert (text.status_code, text.text) == (503, "probe kubedns: silence\nprobe dnsmasq: x\n")


@pytest.mark.parametrize(
    ("path", "accept", "media_type"),
    [
        ("/healthz", None, "application/json"),
        ("/healthz", "*/*", "application/json"),
        ("/healthz", "application/json", "application/json"),
        ("/healthz", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("/healthz", "text/plain", "text/plain; charset=utf-8"),
        ("/healthz", "text/plain, application/json;q=0.5", "text/plain; charset=utf-8"),
        ("/healthz?format=text", "application/json", "text/plain; charset=utf-8"),
        ("/healthz?format=json", "text/plain", "application/json"),
        ("/healthz?format=xml", None, "application/json"),
    ],
)
def test_json_or_text(path: str, accept: str | None, media_type: str) -> None:
    """Text if it is asked for; it starts with ok."""
    headers = {} if accept is None else {"Accept": accept}
    reply = client(pod(kubedns=probed("kubedns"))).get(path, headers=headers)
    assert reply.content_type == media_type
    assert reply.json["ok"] if reply.is_json else reply.text.startswith("ok")


def test_readyz() -> None:
    """200 while the forwarder answers, else 503; text."""
    state = pod(kubedns=probed("kubedns", "silence"), dnsmasq=probed("dnsmasq"))
    reply = client(state).get("/readyz")
    assert (reply.status_code, reply.text) == (200, "ok\n")
    state.draining = True
    reply = client(state).get("/readyz")
    assert (reply.status_code, reply.text) == (503, "sidecar is shutting down\n")


@pytest.mark.parametrize(
    ("health", "status", "told"),
    [
        (probed("a"), 200, {"IsOk": True, "LatencySeconds": 0.001, "Err": ""}),
        (probed("a", "x"), 200, {"IsOk": True, "LatencySeconds": 0.001, "Err": "x"}),
        (probed("a", "x", "dnsmasq"), 503, {"IsOk": False, "LatencySeconds": 0, "Err": "x"}),
    ],
    ids=["good", "ours and bad", "foreign and bad"],
)
def test_healthcheck(health: Health, status: int, told: dict[str, Any]) -> None:
    """For the kubelet: 200 while alive, else 503; the original's JSON."""
    reply = client(pod(a=health)).get("/healthcheck/a")
    assert (reply.status_code, reply.content_type) == (status, "application/json")
    assert json.loads(reply.text) == told
    assert not reply.text.endswith("\n")


def test_metrics_are_where_the_flag_says() -> None:
    """And nowhere else."""
    asked = client(pod(), path="/some/where.txt")
    reply = asked.get("/some/where.txt")
    assert (reply.status_code, reply.text) == (200, "x 1.0\n")
    assert reply.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert asked.get("/metrics").status_code == 404


def test_the_status_page() -> None:
    """The whole page, or what of it changes."""
    asked = client(pod(kubedns=probed("kubedns")))
    whole, live = asked.get("/"), asked.get("/?part=live")
    assert (whole.status_code, whole.content_type) == (200, "text/html; charset=utf-8")
    assert "<html" in whole.text
    assert "<html" not in live.text


@pytest.mark.parametrize(
    "path",
    ["/x", "/healthcheck/", "/healthcheck/a", "/healthcheck/a/b", "/healthz/", "/healthcheck//a",
     "/%00", "/..", "/healthcheck/%3Cscript%3E", "/static/x"],
)  # fmt: skip
def test_no_such_page(path: str) -> None:
    """404 as text, without what was asked for."""
    reply = client(pod()).get(path)
    assert (reply.status_code, reply.text) == (404, "404 page not found\n")
    assert reply.content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/healthcheck/a"])
def test_pages_are_only_read(path: str, method: str) -> None:
    """405 as text."""
    reply = client(pod(a=probed("a"))).open(path, method=method)
    assert (reply.status_code, reply.text, reply.headers["Allow"]) == (
        405,
        "only GET\n",
        "GET, HEAD",
    )


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/healthcheck/a", "/metrics", "/x"])
def test_headers(path: str) -> None:
    """Nothing is kept, guessed, embedded or loaded from elsewhere; HEAD has no body."""
    asked = client(pod(a=probed("a")))
    headers = asked.get(path).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "Server" not in headers
    assert asked.head(path).data == b""


def test_a_fault_of_ours_is_told_to_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    """500 as text."""

    def broken() -> bytes:
        raise ValueError("secret")

    reply = client(pod(), broken).get("/metrics")
    assert (reply.status_code, reply.text) == (500, "internal error, see the log\n")
    assert "secret" in caplog.text


def test_hostile_names_everywhere() -> None:
    """From replies and from the neighbours' pages: escaped in HTML and in JSON."""
    state = pod(a=probed("a", HOSTILE, HOSTILE))
    status = dict(KUBEDNS_PAGE, synced=False, waiting_for=[HOSTILE], version=HOSTILE, zone=HOSTILE)
    status["config"] = {"errors": {HOSTILE: HOSTILE}, "stub_domains": {HOSTILE: [HOSTILE]}}
    route = dict(DNSMASQ_PAGE["routes"][0], domain=HOSTILE)
    route["upstreams"] = [dict(route["upstreams"][0], server=HOSTILE, state="down")]
    forwarder = dict(DNSMASQ_PAGE, routes=[route], looping_servers=[HOSTILE], unready=HOSTILE)
    forwarder["warnings"] = [{"time": HOSTILE, "text": HOSTILE}]
    for name, page in (("kubedns", status), ("dnsmasq", forwarder)):
        state.neighbours = {
            **state.neighbours,
            name: Neighbour(name, "127.0.0.1:1", 0.0, status=page, at=5.0, error=""),
        }
    asked = client(state)
    for path in ("/", "/?part=live"):
        text = asked.get(path).text
        assert "<script>alert" not in text
        assert "{{7*7}}" in text
    told = asked.get("/healthz")
    assert told.json["probes"]["a"]["error"] == HOSTILE
    assert "\x1b" not in told.text
    assert "<script>" not in asked.get("/healthcheck/a").text
