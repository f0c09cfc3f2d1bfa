"""Tokens that are rotated while kube-dns runs, in a kubeconfig and in the pod's own folder."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.absent import unavailable
from tests.realapi.api import Api, Object
from tests.realapi.conftest import StartKubeDns
from tests.realapi.controlplane import ControlPlane
from tests.realapi.mounted import mount
from tests.realapi.objects import new_ip, service
from tests.realapi.product import Steady
from tests.realapi.relay import Relay
from tests.realapi.rights import STOCK_ROLE, Account, binding
from tests.realapi.waiting import becomes

_OWN_MOUNTS = [
    *("unshare", "--mount", "--propagation=private"),
    *([] if os.geteuid() == 0 else ["--map-root-user"]),
]

_IN_A_POD = (
    "mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io && "
    'ln -s "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@"'
)


@pytest.fixture
def in_a_pod(tmp_path: Path) -> tuple[str, ...]:
    """A command that runs another one with ``tmp_path / 'account'`` where a pod has its token."""
    try:
        subprocess.run([*_OWN_MOUNTS, "mount", "-t", "tmpfs", "none", "/run"], check=True)
    except (OSError, subprocess.CalledProcessError):
        unavailable("no right to make a mount namespace")
    return (*_OWN_MOUNTS, "sh", "-c", _IN_A_POD, str(tmp_path / "account"))


def test_a_rotated_token_is_read_again_and_the_old_one_no_longer_used(
    control_plane: ControlPlane,
    start_kube_dns: StartKubeDns,
    in_a_pod: tuple[str, ...],
    relay: Relay,
    api: Api,
    ns: str,
    objects: list[Object],
    tmp_path: Path,
) -> None:
    account = Account(control_plane, ns, "kube-dns")
    stock = binding(STOCK_ROLE, account)
    api.create(stock)
    objects.append(stock)
    old, new = account.token(), account.token()
    files = {"ca.crt": control_plane.authority.read_text(), "namespace": ns, "token": old}
    mount(tmp_path / "account", files)
    api.create(service("steady", ns, clusterIP=(steady := new_ip())))

    config = control_plane.write_kubeconfig(
        {"tokenFile": str(tmp_path / "account" / "token")}, port=relay.port
    )
    with_kubeconfig = start_kube_dns(f"--kubecfg-file={config}").ready()
    in_cluster = start_kube_dns(
        wrapper=in_a_pod,
        environment={
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(relay.port),
        },
    ).ready()
    both = (with_kubeconfig, in_cluster)
    for kube_dns in both:
        kube_dns.shows(f"steady.{ns}.svc", steady)

    with Steady(with_kubeconfig, f"steady.{ns}.svc", steady):
        mount(tmp_path / "account", {**files, "token": new})
        account.revoke(old)
        becomes(lambda: control_plane.accepts(old), False)
        relay.reset()  # else the open streams, which were begun with the old token, go on
        api.create(service("created", ns, clusterIP=(created := new_ip())))
        for kube_dns in both:
            kube_dns.shows(f"created.{ns}.svc", created)


def test_a_kubeconfig_that_holds_its_certificates_is_used(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, tmp_path: Path
) -> None:
    """As kubeadm's admin.conf: everything in one file."""
    certificate, key = control_plane.client_certificate("someone", "system:masters")
    user = {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}
    config = json.loads(control_plane.write_kubeconfig(user).read_text())
    cluster = config["clusters"][0]["cluster"]
    del cluster["certificate-authority"]
    cluster["certificate-authority-data"] = _base64(control_plane.authority.read_text())
    (tmp_path / "admin.conf").write_text(json.dumps(config))
    kube_dns = start_kube_dns(f"--kubecfg-file={tmp_path / 'admin.conf'}").ready()
    kube_dns.shows("kubernetes.default.svc", "10.0.0.1")


def test_a_wrong_token_is_said_and_a_right_one_taken_when_it_comes(
    control_plane: ControlPlane,
    start_kube_dns: StartKubeDns,
    api: Api,
    ns: str,
    objects: list[Object],
    tmp_path: Path,
) -> None:
    account = Account(control_plane, ns, "kube-dns")
    stock = binding(STOCK_ROLE, account)
    api.create(stock)
    objects.append(stock)
    token = tmp_path / "token"
    token.write_text("wrong")
    config = control_plane.write_kubeconfig({"tokenFile": str(token)})
    kube_dns = start_kube_dns(f"--kubecfg-file={config}")
    kube_dns.logs("401")
    assert kube_dns.page("/readiness")[0] == 503
    assert "wrong" not in kube_dns.log(), "a token must never be logged"
    token.write_text(account.token())
    kube_dns.ready().shows("kubernetes.default.svc", "10.0.0.1")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
