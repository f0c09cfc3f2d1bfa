"""
Why a pod is not ready, in a few words: from what the kubelet says of it.

Only facts of the pod's own status: a container that runs, has a readiness probe and is not ready
has one that has not succeeded.
"""

from collections.abc import Iterable

import msgspec

_MOST = 160  # characters of a reason


class _Waiting(msgspec.Struct, gc=False):
    reason: str = ""


class _Terminated(msgspec.Struct, gc=False):
    reason: str = ""
    code: int = msgspec.field(name="exitCode", default=0)


class _ContainerState(msgspec.Struct, gc=False):
    waiting: _Waiting | None = None
    terminated: _Terminated | None = None


class _Container(msgspec.Struct, gc=False):
    name: str = ""
    ready: bool = False
    started: bool | None = None
    state: _ContainerState | None = None


class _Condition(msgspec.Struct, gc=False):
    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None


class _Status(msgspec.Struct, gc=False):
    phase: str | None = None
    reason: str | None = None
    conditions: list[_Condition] | None = None
    init: list[_Container] | None = msgspec.field(name="initContainerStatuses", default=None)
    containers: list[_Container] | None = msgspec.field(name="containerStatuses", default=None)


class _Probed(msgspec.Struct, gc=False):
    name: str = ""
    readiness: dict[str, object] | None = msgspec.field(name="readinessProbe", default=None)


class _Spec(msgspec.Struct, gc=False):
    containers: list[_Probed] | None = None


class _Meta(msgspec.Struct, gc=False):
    deletion: str | None = msgspec.field(name="deletionTimestamp", default=None)


class _Pod(msgspec.Struct, gc=False):
    metadata: _Meta
    spec: _Spec | None = None
    status: _Status | None = None


_pod = msgspec.json.Decoder(_Pod)


def of(octets: bytes) -> str:
    """Return the reason that a pod, as JSON of the API, is not ready; one line."""
    try:
        pod = _pod.decode(octets)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        text = f"a pod that cannot be read: {error}"
    else:
        text = _reason(pod)
    line = " ".join(text.split())
    return line.encode("unicode_escape").decode("ascii")[:_MOST]


def _reason(pod: _Pod) -> str:
    status = pod.status or _Status()
    conditions = {each.type: each for each in status.conditions or ()}
    if pod.metadata.deletion:
        return "it is being deleted"
    if status.phase in ("Succeeded", "Failed"):
        return (
            f"{status.phase}: {status.reason}" if status.reason else f"it has ended: {status.phase}"
        )
    for prefix, containers in (("Init: ", status.init), ("", status.containers)):
        stopped = _stopped(containers or ())
        if stopped:
            pending = status.phase == "Pending" and stopped in _COMING
            return f"Pending: {stopped}" if pending else prefix + stopped
    scheduled = conditions.get("PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        return f"Pending: {scheduled.reason or 'not scheduled'}: {scheduled.message or ''}".rstrip(
            ": "
        )
    if status.phase == "Pending":
        return "Pending: its containers have not been started"
    return _not_ready(pod, status, conditions.get("Ready"))


_COMING = ("ContainerCreating", "PodInitializing")


def _stopped(containers: Iterable[_Container]) -> str:
    """Return why a container does not run: CrashLoopBackOff, ImagePullBackOff, an exit code."""
    for each in containers:
        state = each.state or _ContainerState()
        if state.waiting is not None and state.waiting.reason:
            return state.waiting.reason
        if state.terminated is not None and state.terminated.code:
            reason = state.terminated.reason or "Error"
            return f"container {each.name} ended: {reason}, exit code {state.terminated.code}"
    return ""


def _not_ready(pod: _Pod, status: _Status, ready: _Condition | None) -> str:
    if ready is not None and ready.status == "True":
        return "ready by now"
    probed = {each.name for each in (pod.spec or _Spec()).containers or () if each.readiness}
    for each in status.containers or ():
        if each.ready:
            continue
        if each.started is False:
            return f"startup of container {each.name} is not finished"
        return (
            "readiness probe fails"
            if each.name in probed
            else f"container {each.name} is not ready"
        )
    return ready.reason if ready is not None and ready.reason else "not ready"
