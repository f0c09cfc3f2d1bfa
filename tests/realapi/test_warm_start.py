"""kube-dns is killed, and back while the API server is away: it answers what it knew."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.pod.test_change_feed import hearing
from tests.realapi.api import Api
from tests.realapi.controlplane import ControlPlane
from tests.realapi.objects import endpoint, headless, new_ip, service, slice_
from tests.realapi.product import KubeDns, reverse
from tests.realapi.relay import Relay
from tests.realapi.waiting import until


@pytest.fixture
def flags(control_plane: ControlPlane, relay: Relay, tmp_path: Path) -> list[str]:
    """Flags of a kube-dns behind the relay, with a snapshot."""
    return [
        f"--kubecfg-file={control_plane.kubeconfig(port=relay.port)}",
        f"--snapshot={tmp_path / 'snapshot'}",
        "--reverse-cidr=10.0.0.0/8",
    ]


def test_a_restart_without_an_api_server_and_what_happened_meanwhile(
    flags: list[str], relay: Relay, api: Api, ns: str, tmp_path: Path
) -> None:
    """Deleted, changed and new: all of it is right again when the lists are read, and told."""
    gone, stays, new = new_ip(), new_ip(), new_ip()
    deleted = service("gone", ns, clusterIP=gone)
    api.create(
        deleted,
        service("stays", ns, clusterIP=stays),
        headless("set", ns),
        slice_("set-a", ns, "set", [endpoint("10.1.12.1")]),
        headless("empty", ns),
        slice_("empty-a", ns, "empty", [endpoint("10.1.12.9")]),
    )
    first = KubeDns(tmp_path, *flags)
    try:
        first.ready().shows(f"set.{ns}.svc", "10.1.12.1")
        until(lambda: first.status()["snapshot"]["writes"] > 0)
    finally:
        first.kill()
    relay.cut()
    api.delete(deleted, slice_("empty-a", ns, "empty", []))
    api.delete(slice_("set-a", ns, "set", []))
    api.create(
        slice_("set-b", ns, "set", [endpoint("10.1.12.2")]), service("new", ns, clusterIP=new)
    )
    with hearing() as heard:
        began = time.monotonic()
        second = KubeDns(tmp_path, *flags, f"--notify=127.0.0.1:{heard.port}")
        try:
            until(lambda: second.page("/readiness")[0] == 200)
            print(f"ready {time.monotonic() - began:.2f} s after the start")
            assert second.page("/readiness")[1].startswith("ok, from a snapshot ")
            assert second.look(f"gone.{ns}.svc") == {gone}
            assert second.look(f"stays.{ns}.svc") == {stays}
            assert second.look(f"set.{ns}.svc") == {"10.1.12.1"}
            assert second.look(f"new.{ns}.svc") == {"SERVFAIL"}
            assert second.look(reverse(gone), "PTR") == {f"gone.{ns}.svc.cluster.local."}
            until(lambda: heard.log)
            relay.mend()
            second.ready().shows(f"new.{ns}.svc", new)
            assert second.look(f"gone.{ns}.svc") == {"NXDOMAIN"}
            assert second.look(f"empty.{ns}.svc") == {"NXDOMAIN"}
            assert second.look(f"stays.{ns}.svc") == {stays}
            assert second.look(f"set.{ns}.svc") == {"10.1.12.2"}
            assert second.look(reverse(gone), "PTR") == {"NXDOMAIN"}
            until(lambda: "all" in heard.log)
            assert second.metric("kubedns_stale") == 0
        finally:
            second.stop()
