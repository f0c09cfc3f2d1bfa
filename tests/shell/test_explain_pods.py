"""Pods by their addresses: asked late, seldom, and only where that is allowed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from kubedns.cluster.listwatch import ApiError
from kubedns.explain.account import Accounts
from kubedns.explain.pages import Explaining
from kubedns.explain.pods import Pods
from kubedns.serve import http
from tests.explainedcluster import explained, shop
from tests.shell.test_http import Client


class Api:
    """An API server that knows pods by address; notes what it was asked."""

    def __init__(self, **pods: list[dict[str, Any]]) -> None:
        self.clock = Clock()
        self.pods = pods
        self.asked: list[str] = []
        self.error: ApiError | None = None
        self.silent = False
        self.one: dict[str, Any] = {}

    def read(self, path: str, query: dict[str, str]) -> "Deferred[bytes]":
        self.asked.append(query.get("fieldSelector", path))
        if self.silent:
            return Deferred()
        if self.error is not None:
            return fail(self.error)
        if path != "/api/v1/pods":
            return succeed(json.dumps(self.one).encode())
        key = query["fieldSelector"].removeprefix("status.podIP=").replace(".", "_")
        return succeed(json.dumps({"items": self.pods.get(f"at_{key}", [])}).encode())


def _pod(name: str, phase: str = "Running") -> dict[str, Any]:
    return {"metadata": {"namespace": "prod", "name": name}, "status": {"phase": phase}}


def _get(api: Api | None, url: str, pods: Pods | None = None) -> Any:
    clock = Clock() if api is None else api.clock
    served = explained(*shop())
    accounts = Accounts(served.zone, served.pairing, served.sentences)
    pods = Pods(None if api is None else api.read, clock) if pods is None else pods
    client = Client(http.site(Explaining(accounts, pods).pages(), clock))
    client.sends(f"GET {url} HTTP/1.0")
    clock.advance(2.0)
    head, _, body = client.transport.value().partition(b"\r\n\r\n")
    assert body.endswith(b"\n")
    return json.loads(body) if b" 200 " in head.splitlines()[0] else body.decode()


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []

    def note(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(note)
    yield lines
    globalLogPublisher.removeObserver(note)


def test_who_has_an_address() -> None:
    """A pod that has ended does not; nobody does, or several pods on their node's network."""
    api = Api(
        at_10_0_0_1=[_pod("job", "Succeeded"), _pod("web-1")],
        at_10_0_0_2=[_pod("proxy"), _pod("agent")],
    )
    assert _get(api, "/pods?ip=10.0.0.1,10.0.0.2,10.0.0.3") == {
        "pods": {
            "10.0.0.1": {"namespace": "prod", "name": "web-1"},
            "10.0.0.2": None,
            "10.0.0.3": None,
        },
        "allowed": True,
        "problem": "",
    }


def test_an_address_is_not_asked_for_again_within_30_seconds() -> None:
    api = Api(at_10_0_0_1=[_pod("web-1")])
    pods = Pods(api.read, api.clock)
    for _ in range(3):
        _get(api, "/pods?ip=10.0.0.1,10.0.0.1", pods)
    assert len(api.asked) == 1
    api.clock.advance(30)
    _get(api, "/pods?ip=10.0.0.1", pods)
    assert len(api.asked) == 2


def test_what_is_kept_is_bounded() -> None:
    api = Api()
    pods = Pods(api.read, api.clock)
    for i in range(30):
        _get(api, "/pods?ip=" + ",".join(f"10.0.{i}.{j}" for j in range(50)), pods)
    assert len(pods._kept) == 1000


def test_without_the_right_nothing_fails_and_it_is_said_once(said: list[str]) -> None:
    """The role that Kubernetes publishes for kube-dns has no pods; asked again every minute."""
    api = Api()
    api.error = ApiError("HTTP 403 no pods for you", 403)
    pods = Pods(api.read, api.clock)
    for _ in range(3):
        found = _get(api, "/pods?ip=10.0.0.1", pods)
        assert found == {
            "pods": {"10.0.0.1": None}, "allowed": False, "problem": "HTTP 403 no pods for you",
        }  # fmt: skip
    assert len(api.asked) == 1
    api.clock.advance(60)
    _get(api, "/pods?ip=10.0.0.1", pods)
    assert len(api.asked) == 2
    assert len([line for line in said if "pods are not named" in line]) == 1


def test_with_files_there_is_nobody_to_ask() -> None:
    found = _get(None, "/pods?ip=10.0.0.1")
    assert (found["pods"], found["allowed"]) == ({"10.0.0.1": None}, False)


def test_a_silent_api_server_costs_two_seconds() -> None:
    """Five questions are under way at a time; nothing of them stays behind."""
    api = Api()
    api.silent = True
    found = _get(api, "/pods?ip=" + ",".join(f"10.0.0.{i}" for i in range(20)))
    assert set(found["pods"].values()) == {None}
    assert found["problem"] == "the API server did not answer within 2 s"
    assert len(api.asked) == 5
    assert not api.clock.getDelayedCalls()


def test_a_reply_that_makes_no_sense() -> None:
    api = Api(at_10_0_0_1=7)  # type: ignore[arg-type]
    found = _get(api, "/pods?ip=10.0.0.1")
    assert found["pods"] == {"10.0.0.1": None}
    assert found["problem"].startswith("a reply that cannot be read")


def test_why_pods_are_not_ready_is_asked_on_demand() -> None:
    api = Api()
    api.one = {"metadata": {}, "status": {"phase": "Pending"}}
    url = "/explain?name=dead.prod.svc.cluster.local"
    assert _get(api, url)["unready_reasons"] == []
    assert not api.asked
    found = _get(api, f"{url}&pods=1")
    assert [each["pod"] for each in found["unready_reasons"]] == ["dead-0", "dead-1", "dead-2"]
    assert {each["reason"] for each in found["unready_reasons"]} == {
        "Pending: its containers have not been started"
    }
    assert api.asked[0] == "/api/v1/namespaces/prod/pods/dead-0"
    api.error = ApiError("HTTP 404 gone", 404)
    assert _get(api, f"{url}&pods=1")["unready_reasons"] == []


@pytest.mark.parametrize(
    ("url", "parameter"),
    [
        ("/explain", "name"),
        ("/explain?name=", "name"),
        ("/explain?name=a..b", "name"),
        ("/explain?name=" + "x" * 64, "name"),
        ("/explain?name=%c3%a4", "name"),
        ("/explain?name=a&type=NOPE", "type"),
        ("/explain?name=a&type=ANY", "type"),
        ("/explain?name=a&pods=yes", "pods"),
        ("/pods", "ip"),
        ("/pods?ip=", "ip"),
        ("/pods?ip=10.0.0.1,example", "ip"),
        ("/pods?ip=" + ",".join(["10.0.0.1"] * 51), "ip"),
        ("/pods?ip=%0d%0ax", "ip"),
    ],
)
def test_a_wrong_parameter_is_named(url: str, parameter: str) -> None:
    """Status 400 and one line."""
    told = _get(Api(), url)
    assert isinstance(told, str), told
    assert told.startswith(f"{parameter}: ") and told.count("\n") == 1
