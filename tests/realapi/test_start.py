"""What kube-dns does when, at its start, it cannot reach or not even find the API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.realapi.conftest import StartKubeDns
from tests.realapi.controlplane import ControlPlane
from tests.realapi.product import ROOT
from tests.realapi.relay import Relay
from tests.realapi.waiting import until


def test_an_api_server_that_comes_late_is_waited_for(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, relay: Relay
) -> None:
    relay.cut()
    kube_dns = start_kube_dns(
        f"--kubecfg-file={control_plane.kubeconfig(port=relay.port)}",
        "--initial-sync-timeout=500ms",
    )
    kube_dns.logs(f"127.0.0.1:{relay.port}")
    until(lambda: kube_dns.source("services").get("errors", 0) >= 5)
    assert kube_dns.page("/readiness")[0] == 503
    assert kube_dns.look("kubernetes.default.svc") == {"SERVFAIL"}
    assert kube_dns.look("no-such.default.svc") == {"SERVFAIL"}, "who knows what does not exist?"
    said = [line for line in kube_dns.log().splitlines() if f"127.0.0.1:{relay.port}" in line]
    assert len(said) < kube_dns.source("services")["errors"], "not one line for each attempt"
    relay.mend()
    kube_dns.ready().shows("kubernetes.default.svc", "10.0.0.1")
    assert kube_dns.look("no-such.default.svc") == {"NXDOMAIN"}


def test_a_server_that_says_nothing_is_waited_for(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, relay: Relay
) -> None:
    relay.freeze()
    kube_dns = start_kube_dns(f"--kubecfg-file={control_plane.kubeconfig(port=relay.port)}")
    kube_dns.logs(f"127.0.0.1:{relay.port}")
    assert kube_dns.page("/readiness")[0] == 503
    assert kube_dns.look("kubernetes.default.svc") == {"SERVFAIL"}
    relay.mend()
    kube_dns.ready().shows("kubernetes.default.svc", "10.0.0.1")


def test_a_server_with_a_certificate_of_someone_else_is_not_believed(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, tmp_path: Path
) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other"),
            *("-keyout", tmp_path / "other.key", "-out", tmp_path / "other.crt"),
        ],
        check=True,
        capture_output=True,
    )
    config = json.loads(control_plane.kubeconfig().read_text())
    config["clusters"][0]["cluster"]["certificate-authority"] = str(tmp_path / "other.crt")
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    kube_dns = start_kube_dns(f"--kubecfg-file={tmp_path / 'kubeconfig'}")
    kube_dns.logs("certificate")
    assert kube_dns.page("/readiness")[0] == 503


def test_the_url_of_the_command_line_replaces_that_of_the_kubeconfig(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns
) -> None:
    kube_dns = start_kube_dns(
        f"--kubecfg-file={control_plane.kubeconfig(port=9)}",
        "--kube-master-url=https://$API_HOST:$API_PORT",
        environment={"API_HOST": "127.0.0.1", "API_PORT": str(control_plane.port)},
    )
    kube_dns.ready().shows("kubernetes.default.svc", "10.0.0.1")


def _no_file(path: Path) -> None:
    pass


def _a_folder(path: Path) -> None:
    path.mkdir()


def _no_yaml(path: Path) -> None:
    path.write_text("clusters: [}")


def _not_a_mapping(path: Path) -> None:
    path.write_text("- a\n- b\n")


def _empty(path: Path) -> None:
    path.write_text("")


def _no_such_context(path: Path) -> None:
    path.write_text(json.dumps({"current-context": "here", "contexts": [], "clusters": []}))


def _no_authority(path: Path) -> None:
    context = {"cluster": "c", "user": "u"}
    cluster = {"server": "https://127.0.0.1:9", "certificate-authority": "/nowhere/ca.crt"}
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": context}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    "write",
    [_no_file, _a_folder, _no_yaml, _not_a_mapping, _empty, _no_such_context, _no_authority],
)
def test_a_kubeconfig_that_cannot_be_used_is_named_in_one_line(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    config = tmp_path / "kubeconfig"
    write(config)
    ended = _start(f"--kubecfg-file={config}")
    assert ended.returncode == 255
    assert "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if str(config) in line]
    assert "--kubecfg-file" in line


def test_outside_a_cluster_and_without_a_kubeconfig_the_line_says_what_is_missing() -> None:
    ended = _start()
    assert ended.returncode == 255
    assert "Traceback" not in ended.stderr
    assert "KUBERNETES_SERVICE_HOST" in ended.stderr or "--kubecfg-file" in ended.stderr


def _start(*flags: str) -> subprocess.CompletedProcess[str]:
    """Run kube-dns, which must end by itself."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("KUBERNETES_")}
    return subprocess.run(
        [
            *(sys.executable, "-m", "kubedns", "--dns-port=0", "--healthz-port=0"),
            *("--dns-bind-address=127.0.0.1", "--status-address=", *flags),
        ],
        env={**inherited, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
