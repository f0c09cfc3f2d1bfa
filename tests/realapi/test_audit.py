"""What the watch never said: found by comparing with lists, made up for, counted and named."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from tests.realapi.api import Api, Object
from tests.realapi.censor import Censor
from tests.realapi.conftest import StartKubeDns
from tests.realapi.controlplane import KUBE_DNS_USER, ControlPlane
from tests.realapi.objects import (
    endpoint,
    external_name,
    headless,
    namespace,
    new_ip,
    pod,
    running,
    service,
    slice_,
)
from tests.realapi.product import KubeDns, Steady
from tests.realapi.relay import Relay
from tests.realapi.waiting import until

OFTEN = "--audit-interval=1s"
CROWD = "audited-crowd"
MANY = 5000

_stirs = itertools.count(1)


@pytest.fixture
def censor(control_plane: ControlPlane) -> Iterator[Censor]:
    with Censor(control_plane) as censor:
        yield censor


def _differences(kube_dns: KubeDns, resource: str = "services") -> int:
    return int(kube_dns.status()["audits"].get(resource, {}).get("differences", 0))


def _runs(kube_dns: KubeDns, resource: str = "services") -> int:
    return int(kube_dns.status()["audits"].get(resource, {}).get("runs", 0))


def _stir(api: Api, ns: str) -> None:
    """
    Change something of each kind that the watches do say.

    A watch must get past the version of a list, which without an event takes it until the next
    bookmark: a minute.
    """
    label = {"stirred": str(next(_stirs))}
    for made in (service("said", ns), slice_("said", ns, "", [])):
        metadata = {**made["metadata"], "labels": label}
        api.patch({"apiVersion": made["apiVersion"], "kind": made["kind"], "metadata": metadata})


def _settles(kube_dns: KubeDns, api: Api, ns: str, **differences: int) -> None:
    """Wait until so many differences of these kinds are counted, and no others."""

    def found() -> dict[str, int]:
        _stir(api, ns)
        audits = kube_dns.status()["audits"].items()
        return {kind: report["differences"] for kind, report in audits if report["differences"]}

    until(found, lambda seen: seen == differences, within_s=90, wanted=f"{differences}")


def _more_runs(kube_dns: KubeDns, count: int, resource: str = "services") -> None:
    """Wait for complete audits that began after now."""
    wanted = _runs(kube_dns, resource) + 1 + count
    until(lambda: _runs(kube_dns, resource) >= wanted, within_s=90, wanted=f"{count} audits")


def test_events_that_were_lost_are_made_up_for(
    censor: Censor, start_kube_dns: StartKubeDns, api: Api, ns: str
) -> None:
    """One that would have added, one changed, one deleted; of services and of slices."""
    old, new, steady = new_ip(), new_ip(), new_ip()
    api.create(
        service("lost-deleted", ns, clusterIP=old),
        external_name("lost-moved", ns, "old.example.com"),
        headless("set", ns),
        slice_("lost-slice", ns, "set", [endpoint("10.1.31.1")]),
        service("steady", ns, clusterIP=steady),
    )
    kube_dns = start_kube_dns(f"--kube-master-url={censor.url}", OFTEN).ready()
    _more_runs(kube_dns, 1)
    assert kube_dns.metric("kubedns_audit_differences_total") == 0
    with Steady(kube_dns, f"steady.{ns}.svc", steady):
        censor.hidden = {b'"name":"lost-'}
        api.create(service("lost-added", ns, clusterIP=new))
        api.delete(service("lost-deleted", ns))
        api.patch(external_name("lost-moved", ns, "new.example.com"))
        api.patch(slice_("lost-slice", ns, "set", [endpoint("10.1.31.2")]))
        api.create(service("said", ns), slice_("said", ns, "nobody", []))
        _settles(kube_dns, api, ns, services=3, endpointslices=1)
        kube_dns.shows(f"lost-added.{ns}.svc", new)
        kube_dns.shows(f"lost-deleted.{ns}.svc", "NXDOMAIN")
        kube_dns.shows(f"lost-moved.{ns}.svc", "new.example.com.", rdtype="CNAME")
        kube_dns.shows(f"set.{ns}.svc", "10.1.31.2")
    assert censor.swallowed >= 4
    assert kube_dns.metric('kubedns_audit_differences_total{resource="services"}') == 3
    assert kube_dns.metric('kubedns_audit_differences_total{resource="endpointslices"}') == 1
    assert kube_dns.metric('kubedns_audit_last_timestamp_seconds{resource="services"}') > 1.7e9
    assert f"{ns}/lost-added" in kube_dns.log()
    assert "repaired" in kube_dns.logs("audit: 1 endpointslices were not")
    assert kube_dns.source("services")["relists"] == 0, "the watch goes on all the while"


def test_without_audits_a_lost_event_stays_lost(
    censor: Censor, start_kube_dns: StartKubeDns, api: Api, ns: str
) -> None:
    """That is what the audit is for, and that the tests above prove something."""
    kube_dns = start_kube_dns(f"--kube-master-url={censor.url}", "--audit-interval=0").ready()
    censor.hidden = {b'"name":"lost'}
    api.create(service("lost", ns), service("said", ns, clusterIP=(said := new_ip())))
    kube_dns.shows(f"said.{ns}.svc", said)
    assert kube_dns.look(f"lost.{ns}.svc") == {"NXDOMAIN"}
    assert kube_dns.status()["audits"] == {}


class Crowd:
    """Services that are written into the store, which is many times as fast as the API."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane

    def fill(self) -> None:
        self._control_plane.store_all(
            {
                _key(f"ext-{number}"): _pointing(f"ext-{number}", f"target-{number}.example.com")
                for number in range(MANY)
            }
        )

    def put(self, name: str, target: str) -> None:
        self._control_plane.store(_key(name), _pointing(name, target))

    def drop(self, name: str) -> None:
        self._control_plane.forget(_key(name))

    def empty(self) -> None:
        self._control_plane.forget_all(_key(""))


def _key(name: str) -> str:
    return f"services/specs/{CROWD}/{name}"


def _pointing(name: str, target: str) -> Object:
    return external_name(name, CROWD, target)


@pytest.fixture
def crowd(api: Api, control_plane: ControlPlane) -> Iterator[Crowd]:
    """A namespace with a great many services."""
    api.create(namespace(CROWD))
    crowd = Crowd(control_plane)
    crowd.fill()
    yield crowd
    crowd.empty()
    api.delete(namespace(CROWD))


def test_five_thousand_services_while_things_change_between_the_pages(
    censor: Censor, crowd: Crowd, start_kube_dns: StartKubeDns, api: Api, ns: str
) -> None:
    """What is deleted, changed and made during an audit is no difference, nor is it undone."""
    steady = new_ip()
    api.create(service("steady", ns, clusterIP=steady))
    kube_dns = start_kube_dns(f"--kube-master-url={censor.url}", "--audit-interval=2s").ready()
    pages: list[str] = []
    changed = threading.Event()

    def between(path: str) -> None:
        if "/services?" not in path:
            return
        pages.append(path)
        if "continue" in path and len(pages) > 4 and not changed.is_set():
            # Names sort before and behind the page that is being asked for.
            for number in (1, 10, 2500, 4000, 4999):
                crowd.drop(f"ext-{number}")
            for number in (2, 2600, 4998):
                crowd.put(f"ext-{number}", "moved.example.com")
            for name in ("a-new", "z-new"):
                crowd.put(name, "new.example.com")
            changed.set()

    censor.before_page = between
    with Steady(kube_dns, f"steady.{ns}.svc", steady):
        until(changed.is_set, within_s=60, wanted="changes between two pages")
        _more_runs(kube_dns, 1)
        assert _differences(kube_dns) == 0
        for number in (1, 10, 2500, 4000, 4999):
            assert kube_dns.look(f"ext-{number}.{CROWD}.svc", "CNAME") == {"NXDOMAIN"}
        for number in (2, 2600, 4998):
            assert kube_dns.look(f"ext-{number}.{CROWD}.svc", "CNAME") == {"moved.example.com."}
        for name in ("a-new", "z-new"):
            assert kube_dns.look(f"{name}.{CROWD}.svc", "CNAME") == {"new.example.com."}

        censor.hidden = {f'"name":"ext-{number}"'.encode() for number in range(3000, 3012)}
        for number in range(3000, 3012):
            crowd.drop(f"ext-{number}")
        api.create(service("said", ns), slice_("said", ns, "nobody", []))
        _settles(kube_dns, api, ns, services=12)
        for number in range(3000, 3012):
            kube_dns.shows(f"ext-{number}.{CROWD}.svc", "NXDOMAIN", rdtype="CNAME")
    assert "more; repaired" in kube_dns.logs("audit: ")
    assert kube_dns.source("services")["relists"] == 0
    assert kube_dns.metric("kubedns_reader_restarts_total") == 0
    for number in (0, 200, 2999, 3012, 4997):
        target = f"target-{number}.example.com."
        assert kube_dns.look(f"ext-{number}.{CROWD}.svc", "CNAME") == {target}


def test_audits_while_the_api_server_is_restarted(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, api: Api, ns: str
) -> None:
    """They fail or do not, and are made again; nothing that changed meanwhile is a difference."""
    steady, gone, made = new_ip(), new_ip(), new_ip()
    api.create(service("steady", ns, clusterIP=steady), service("gone", ns, clusterIP=gone))
    kube_dns = start_kube_dns(
        f"--kubecfg-file={control_plane.kubeconfig()}", "--audit-interval=200ms"
    ).ready()
    _more_runs(kube_dns, 2)
    with Steady(kube_dns, f"steady.{ns}.svc", steady):
        for _ in range(2):
            control_plane.kill_apiserver()
            control_plane.forget(f"services/specs/{ns}/gone")
            assert kube_dns.page("/readiness") == (200, "ok\n")
            control_plane.start_apiserver()
        api.create(service("made", ns, clusterIP=made))
        kube_dns.shows(f"made.{ns}.svc", made)
        kube_dns.shows(f"gone.{ns}.svc", "NXDOMAIN")
        _more_runs(kube_dns, 3)
    assert kube_dns.metric("kubedns_audit_differences_total") == 0
    assert kube_dns.metric("kubedns_reader_restarts_total") == 0


def test_a_list_that_expires_between_its_pages_is_read_again(
    control_plane: ControlPlane,
    censor: Censor,
    start_kube_dns: StartKubeDns,
    ns: str,
) -> None:
    """The store was compacted: 410 for the next page, unless the API server still has it."""
    many = [external_name(f"ext-{number}", ns, "target.example.com") for number in range(150)]
    control_plane.store_all({f"services/specs/{ns}/{one['metadata']['name']}": one for one in many})
    kube_dns = start_kube_dns(f"--kube-master-url={censor.url}", OFTEN).ready()
    compactions = []

    def between(path: str) -> None:
        if "/services?" in path and "continue" in path and len(compactions) < 3:
            control_plane.store(
                f"services/specs/{ns}/ext-1", external_name("ext-1", ns, "moved.example.com")
            )
            compactions.append(control_plane.compact())

    censor.before_page = between
    until(lambda: len(compactions) == 3, within_s=60, wanted="lists that expired")
    _more_runs(kube_dns, 1)
    assert kube_dns.metric("kubedns_audit_differences_total") == 0
    assert kube_dns.source("services")["errors"] == 0
    kube_dns.shows(f"ext-1.{ns}.svc", "moved.example.com.", rdtype="CNAME")


def test_what_may_not_be_read_is_not_audited_and_its_stand_in_is(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns
) -> None:
    """With the rights of the stock role: services and endpoints."""
    kube_dns = start_kube_dns(
        f"--kubecfg-file={control_plane.kubeconfig(KUBE_DNS_USER)}", "--audit-interval=300ms"
    ).ready()
    for resource in ("services", "endpoints", "zone"):
        _more_runs(kube_dns, 1, resource)
    audits = kube_dns.status()["audits"]
    assert all(report["failures"] == report["differences"] == 0 for report in audits.values())
    assert not {"endpointslices", "namespaces"} & {k for k, v in audits.items() if v["runs"]}


@pytest.mark.parametrize("user", ["admin", KUBE_DNS_USER])
def test_a_watch_that_falls_silent_is_torn_down_whatever_it_watches(
    user: str,
    control_plane: ControlPlane,
    start_kube_dns: StartKubeDns,
    relay: Relay,
    api: Api,
    ns: str,
) -> None:
    """Streams that are open and forgotten, of every kind, with and without all rights."""
    stood = running(pod("web-0", ns, "web"), "10.1.33.1")
    api.create(
        pod("web-0", ns, "web"), headless("set", ns, selector=None),
        slice_("set-a", ns, "set", [endpoint("10.1.33.2")]),
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {},
         "metadata": {"name": "kube-dns", "namespace": ns}},
    )  # fmt: skip
    api.patch(stood, subresource="/status")
    admin = user == "admin"
    more = ("--pods=verified", "--config-map=kube-dns", f"--config-map-namespace={ns}")
    kube_dns = start_kube_dns(
        f"--kubecfg-file={control_plane.kubeconfig(user, port=relay.port)}",
        "--watch-silence=2s",
        *(more if admin else ()),
    ).ready()
    kinds = {"services", "endpointslices", "namespaces", "pods", "configmaps"}
    watched = kinds if admin else {"services", "endpoints"}

    def errors() -> dict[str, int]:
        return {kind: int(kube_dns.source(kind)["errors"]) for kind in watched}

    until(lambda: all(kube_dns.source(k)["state"] == "watching" for k in watched))
    before = errors()
    relay.silence()
    until(lambda: all(count > before[kind] for kind, count in errors().items()), within_s=60)
    until(
        lambda: all(
            kube_dns.source(kind)["state"] == "watching" and kube_dns.source(kind)["age_s"] < 5
            for kind in watched
        ),
        within_s=60,
        wanted="all watched again",
    )
    api.create(service("made", ns, clusterIP=(made := new_ip())))
    kube_dns.shows(f"made.{ns}.svc", made)
