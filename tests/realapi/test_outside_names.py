"""Names that lead out of the cluster, and the configuration which says who knows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.rcode
import dns.resolver
import pytest

from tests.realapi.api import Api, Object
from tests.realapi.conftest import StartKubeDns
from tests.realapi.controlplane import ControlPlane
from tests.realapi.mounted import mount
from tests.realapi.objects import external_name, headless, port, service
from tests.realapi.product import NOBODY, KubeDns, reverse
from tests.realapi.upstream import Upstream

PTR = reverse("192.0.2.123")


@pytest.fixture
def other() -> Iterator[Upstream]:
    with Upstream() as other:
        yield other


def test_an_external_name_is_its_alias_and_then_the_address(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, api: Api, ns: str, upstream: Upstream
) -> None:
    upstream.know(
        "www.example.com. 300 IN CNAME real.example.com.",
        "real.example.com. 200 IN A 192.0.2.1",
    )
    kube_dns = _start(start_kube_dns, control_plane, f"--nameservers={upstream.address}")
    api.create(external_name("ext", ns, "www.example.com"))
    kube_dns.shows(f"ext.{ns}.svc", "www.example.com.", rdtype="CNAME")
    for tcp in (False, True):
        response = kube_dns.ask(f"ext.{ns}.svc", tcp=tcp)
        assert response.answer[0].to_text().endswith("IN CNAME www.example.com.")
        assert response.answer[-1][0].to_text() == "192.0.2.1"
    asked = len(upstream.asked)
    bare = kube_dns.ask(f"ext.{ns}.svc", recursion=False)
    assert [rrset[0].to_text() for rrset in bare.answer] == ["www.example.com."]
    assert len(upstream.asked) == asked


def test_an_external_name_that_nobody_knows_keeps_its_alias(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, api: Api, ns: str, upstream: Upstream
) -> None:
    kube_dns = _start(start_kube_dns, control_plane, f"--nameservers={upstream.address}")
    api.create(external_name("ext", ns, "no-such.example.com"))
    kube_dns.shows(f"ext.{ns}.svc", "no-such.example.com.", "NXDOMAIN")


def test_an_external_name_without_a_working_nameserver_is_servfail(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, api: Api, ns: str
) -> None:
    kube_dns = _start(start_kube_dns, control_plane, f"--nameservers={NOBODY}")
    api.create(external_name("ext", ns, "www.example.com"))
    kube_dns.shows(f"ext.{ns}.svc", "www.example.com.", rdtype="CNAME")
    assert "SERVFAIL" in kube_dns.look(f"ext.{ns}.svc")


def test_reverse_names_of_others_follow_the_configuration_without_a_restart(
    control_plane: ControlPlane,
    start_kube_dns: StartKubeDns,
    tmp_path: Path,
    upstream: Upstream,
    other: Upstream,
) -> None:
    other.know(f"{PTR} 0 IN PTR my.test.")
    mount(tmp_path / "config", {"upstreamNameservers": f'["{upstream.address}"]'})
    kube_dns = _start(start_kube_dns, control_plane, *_config_dir(tmp_path))
    kube_dns.shows(PTR, "NXDOMAIN", rdtype="PTR")
    assert kube_dns.ask(PTR, "PTR", recursion=False).rcode() == dns.rcode.REFUSED

    mount(tmp_path / "config", {"upstreamNameservers": f'["{other.address}"]'})
    kube_dns.shows(PTR, "my.test.", rdtype="PTR")
    (answer,) = kube_dns.ask(PTR, "PTR").answer
    assert answer.ttl == 0


def test_stub_domains_come_stay_through_a_bad_change_and_go(
    control_plane: ControlPlane,
    start_kube_dns: StartKubeDns,
    api: Api,
    ns: str,
    tmp_path: Path,
    upstream: Upstream,
    other: Upstream,
) -> None:
    other.know("abc.acme.local. 10 IN A 192.0.2.20", "def.acme.local. 10 IN A 192.0.2.21")
    upstream.know("widget.local. 10 IN A 192.0.2.30")
    api.create(external_name("acme", ns, "abc.acme.local"))
    only_upstream = {"upstreamNameservers": f'["{upstream.address}"]'}
    mount(tmp_path / "config", only_upstream)
    kube_dns = _start(start_kube_dns, control_plane, *_config_dir(tmp_path))
    kube_dns.shows("abc.acme.local.", "NXDOMAIN")

    stubs = {"stubDomains": f'{{"acme.local": ["{other.address}"]}}'}
    mount(tmp_path / "config", {**only_upstream, **stubs})
    kube_dns.shows("abc.acme.local.", "192.0.2.20")
    kube_dns.shows("def.acme.local.", "192.0.2.21")
    kube_dns.shows("widget.local.", "192.0.2.30")
    kube_dns.shows(f"acme.{ns}.svc", "abc.acme.local.", "192.0.2.20")

    mount(tmp_path / "config", {**only_upstream, "stubDomains": "no JSON"})
    kube_dns.logs("stubdomains")
    assert kube_dns.look("abc.acme.local.") == {"192.0.2.20"}, "the last good one stays"

    mount(tmp_path / "config", only_upstream)
    kube_dns.shows("abc.acme.local.", "NXDOMAIN")
    kube_dns.shows("widget.local.", "192.0.2.30")


def test_the_configuration_may_be_read_from_the_api_server(
    control_plane: ControlPlane,
    start_kube_dns: StartKubeDns,
    api: Api,
    ns: str,
    upstream: Upstream,
    other: Upstream,
) -> None:
    upstream.know("abc.acme.local. 10 IN A 192.0.2.20")
    other.know("abc.acme.local. 10 IN A 192.0.2.21")
    first = _config_map("dns", ns, upstreamNameservers=f'["{upstream.address}"]')
    unrelated = _config_map("unrelated", ns, upstreamNameservers=f'["{NOBODY}"]')
    api.create(first)
    kube_dns = _start(
        start_kube_dns, control_plane, "--config-map=dns", f"--config-map-namespace={ns}"
    )
    kube_dns.shows("abc.acme.local.", "192.0.2.20")
    api.create(unrelated)
    api.patch(_config_map("dns", ns, upstreamNameservers=f'["{other.address}"]'))
    kube_dns.shows("abc.acme.local.", "192.0.2.21")
    api.delete(unrelated)
    assert kube_dns.look("abc.acme.local.") == {"192.0.2.21"}


@pytest.mark.parametrize("tcp", [False, True])
def test_short_names_are_found_through_the_search_path_of_a_pod(
    kube_dns: KubeDns, api: Api, ns: str, tcp: bool
) -> None:
    api.create(headless("set", ns), service("web", ns, port("http", 80)))
    address = api.get("Service", "web", ns)["spec"]["clusterIP"]
    kube_dns.shows(f"web.{ns}.svc", address)
    pod = dns.resolver.Resolver(configure=False)
    pod.nameservers, pod.port = ["127.0.0.1"], kube_dns.port
    pod.search = [
        dns.name.from_text(domain)
        for domain in (f"{ns}.svc.cluster.local", "svc.cluster.local", "cluster.local")
    ]
    pod.ndots = 5

    def resolve(name: str, rdtype: str = "A") -> list[str]:
        return [record.to_text() for record in pod.resolve(name, rdtype, tcp=tcp, search=True)]

    for name in ("web", f"web.{ns}", f"web.{ns}.svc"):
        assert resolve(name) == [address]
    for name in ("kubernetes.default", "kubernetes.default.svc"):
        assert resolve(name) == ["10.0.0.1"]
    assert resolve("_http._tcp.web", "SRV") == [f"10 100 80 web.{ns}.svc.cluster.local."]


def _start(start: StartKubeDns, control_plane: ControlPlane, *flags: str | Path) -> KubeDns:
    return start(f"--kubecfg-file={control_plane.kubeconfig()}", *flags).ready()


def _config_dir(folder: Path) -> tuple[str, str]:
    return f"--config-dir={folder / 'config'}", "--config-period=200ms"


def _config_map(name: str, namespace: str, **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }
