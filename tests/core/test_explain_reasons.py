"""Why a pod is not ready, by what the kubelet says."""

import json
from typing import Any

import pytest

from kubedns.explain import reasons


def _pod(
    *containers: dict[str, Any], phase: str = "Running", probed: bool = True, **rest: Any
) -> bytes:
    spec = {"containers": [{"name": "app"} | ({"readinessProbe": {}} if probed else {})]}
    status: dict[str, Any] = {"phase": phase, "containerStatuses": list(containers)}
    if probed:
        spec["containers"][0]["readinessProbe"] = {"httpGet": {"port": 80}}
    status |= rest.pop("status", {})
    return json.dumps({"metadata": rest, "spec": spec, "status": status}).encode()


def _container(state: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"name": "app", "ready": False, "state": state} | rest


RUNNING: dict[str, Any] = {"running": {}}
SCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
             "message": "0/3 nodes are available:\n insufficient cpu."}  # fmt: skip


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (_pod(_container(RUNNING)), "readiness probe fails"),
        (_pod(_container(RUNNING), probed=False), "container app is not ready"),
        (_pod(_container(RUNNING, started=False)), "startup of container app is not finished"),
        (_pod(_container({"waiting": {"reason": "CrashLoopBackOff"}})), "CrashLoopBackOff"),
        (
            _pod(_container({"waiting": {"reason": "ImagePullBackOff"}}), phase="Pending"),
            "ImagePullBackOff",
        ),
        (
            _pod(_container({"waiting": {"reason": "ContainerCreating"}}), phase="Pending"),
            "Pending: ContainerCreating",
        ),
        (
            _pod(phase="Pending", status={"conditions": [SCHEDULED]}),
            "Pending: Unschedulable: 0/3 nodes are available: insufficient cpu.",
        ),
        (_pod(phase="Pending"), "Pending: its containers have not been started"),
        (
            _pod(_container({"terminated": {"reason": "OOMKilled", "exitCode": 137}})),
            "container app ended: OOMKilled, exit code 137",
        ),
        (
            _pod(status={"initContainerStatuses": [
                _container({"waiting": {"reason": "CrashLoopBackOff"}})]}),
            "Init: CrashLoopBackOff",
        ),
        (_pod(phase="Failed", status={"reason": "Evicted"}), "Failed: Evicted"),
        (_pod(deletionTimestamp="2026-01-01T00:00:00Z"), "it is being deleted"),
        (_pod(status={"conditions": [{"type": "Ready", "status": "True"}]}), "ready by now"),
        (
            _pod(_container(RUNNING, ready=True), status={"conditions": [
                {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady"}]}),
            "ReadinessGatesNotReady",
        ),
        (b'{"metadata": {}}', "not ready"),
    ],
)  # fmt: skip
def test_the_reason(pod: bytes, reason: str) -> None:
    assert reasons.of(pod) == reason


def test_what_is_no_pod() -> None:
    """One line, and no fault."""
    for octets in (b"", b"[]", b'{"metadata": 7}', b"\xff"):
        assert "\n" not in reasons.of(octets)
