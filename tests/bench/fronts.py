"""
What the pods of a cluster ask: our pod, and what others put into its place.

Without a cluster each is only the forwarder that it is as well.  dnsmasq and unbound know no
cluster and stand in front of a kubedns of their own, which tells them of no changes; dnsmasq keeps
no negative answers: that is the design of kube-dns.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.bench.authorities import kubedns
from tests.bench.process import Server
from tests.bench.programs import found
from tests.bench.systems import (
    COREDNS,
    DNSMASQ,
    FORWARDER,
    KUBEDNS,
    POD,
    POD_PLAIN,
    POD_PUBLISHED,
    UNBOUND,
    Running,
    Setting,
    System,
)
from tests.realapi.mounted import mount
from tests.realapi.ports import free_port

ALL_SERVERS = "dnsmasq --all-servers"

_ZONES = ("cluster.local", "in-addr.arpa", "ip6.arpa")
_DNSMASQ_TCP_QUESTIONS = 100  # then its child process ends: TCP_MAX_QUERIES in its source

_COREFILE = """\
.:{port} {{
    bind 127.0.0.1
    errors
    health 127.0.0.1:{health} {{
        lameduck 5s
    }}
    ready 127.0.0.1:{ready}
{cluster}
    prometheus 127.0.0.1:{metrics}
    forward . {servers} {{
        max_concurrent 1000
{tls}
    }}
    cache {keep_s}{sizes}
    loop
    reload
    loadbalance
}}
"""
_COREFILE_CLUSTER = """\
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
"""
"""The Corefile that clusters get by default, but for addresses, and the size of the cache."""

_UNBOUND_CONF = """\
server:
    do-daemonize: no
    use-syslog: no
    username: ""
    chroot: ""
    pidfile: ""
    directory: "{folder}"
    interface: 127.0.0.1
    port: {port}
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    module-config: "iterator"
    num-threads: 1
    msg-cache-size: {octets}
    rrset-cache-size: {octets}
{tls}
remote-control:
    control-enable: no
{zones}
"""


def pod(setting: Setting) -> Running:
    """Start our forwarder, and kubedns behind it if there is a cluster."""
    port, admin = free_port(), free_port()
    authority = None
    if setting.source:
        authority = kubedns(setting, f"127.0.0.1:{port}" if setting.feed else "off")
    config = setting.scratch / f"config-{port}"
    mount(config, {"extensions": _extensions(setting)} if setting.tls else {})
    argv: list[str | Path] = [
        *(setting.commands.get(FORWARDER) or [sys.executable, "-m", "dnsmasq_py"]),
        f"--configDir={config}",
        f"--admin-address=127.0.0.1:{admin}",
        f"--cache-bytes={setting.octets}",
        f"--kubednsServer=127.0.0.1:{authority.dns_port if authority else free_port()}",
        *([f"--tls-ca={setting.tls.file}"] if setting.tls else []),
        *setting.more,
        "--",
        *_options(port, setting, authority),
    ]
    process = Server(argv, log=setting.scratch / f"dnsmasq_py-{port}.log", cores=setting.cores)
    status = f"http://127.0.0.1:{admin}/status" if authority and setting.feed else ""
    return replace(_in_front(POD, process, port, authority), feed_url=status)


def dnsmasq(setting: Setting, *more: str) -> Running:
    """
    Start dnsmasq.

    Raises:
        UnavailableError: it is not there.
    """
    binary = found("dnsmasq")
    port = free_port()
    authority = kubedns(setting) if setting.source else None
    alone = ["--conf-file=/dev/null", "--pid-file", "--user=root", *more]
    argv: list[str | Path] = [binary, *alone, *_options(port, setting, authority)]
    process = Server(argv, log=setting.scratch / f"dnsmasq-{port}.log", cores=setting.cores)
    one = _in_front(DNSMASQ, process, port, authority)
    return replace(one, per_connection=_DNSMASQ_TCP_QUESTIONS)


def coredns(setting: Setting) -> Running:
    """
    Start CoreDNS with its default Corefile.

    Raises:
        UnavailableError: it is not there.
    """
    binary = found("coredns")
    port, ready = free_port(), free_port()
    half = setting.room // 2
    sizes = f" {{\n        success {half}\n        denial {half}\n    }}"
    scheme = "tls://" if setting.tls else ""
    tls = (
        setting.tls and f"        tls {setting.tls.file}\n        tls_servername {setting.tls.name}"
    )
    corefile = setting.scratch / f"Corefile.{port}"
    corefile.write_text(
        _COREFILE.format(
            port=port,
            health=free_port(),
            ready=ready,
            metrics=free_port(),
            cluster=_COREFILE_CLUSTER.format(kubeconfig=setting.source) if setting.source else "",
            servers=" ".join(scheme + each.written(":") for each in setting.upstreams),
            tls=tls or "",
            keep_s=setting.keep_s,
            sizes=sizes,
        )
    )
    process = Server(
        [binary, "-conf", corefile],
        log=setting.scratch / f"coredns-{port}.log",
        cores=setting.cores,
    )
    return Running(COREDNS, [process], port, f"http://127.0.0.1:{ready}/ready")


def unbound(setting: Setting) -> Running:
    """
    Start unbound.

    Raises:
        UnavailableError: it is not there.
    """
    binary = found("unbound")
    port = free_port()
    authority = kubedns(setting) if setting.source else None
    mark = f"#{setting.tls.name}" if setting.tls else ""
    servers = [each.written("@") + mark for each in setting.upstreams]
    zones = [_forward_zone(".", servers, tls=bool(setting.tls))]
    if authority:
        zones += [_forward_zone(zone, [f"127.0.0.1@{authority.dns_port}"]) for zone in _ZONES]
    conf = setting.scratch / f"unbound-{port}.conf"
    conf.write_text(
        _UNBOUND_CONF.format(
            folder=setting.scratch,
            port=port,
            octets=setting.octets,
            tls=f'    tls-cert-bundle: "{setting.tls.file}"' if setting.tls else "",
            zones="\n".join(zones),
        )
    )
    process = Server(
        [binary, "-d", "-c", conf], log=setting.scratch / f"unbound-{port}.log", cores=setting.cores
    )
    return _in_front(UNBOUND, process, port, authority)


FRONTS = (
    System(POD, pod),
    System(DNSMASQ, dnsmasq),
    System(COREDNS, coredns),
    System(UNBOUND, unbound),
)
"""Ours first."""

WALKED = (FRONTS[0].named(POD, negative=True), FRONTS[0].named(POD_PUBLISHED), *FRONTS[1:])
"""Ours twice: as our manifest has it, and as the published one, which forbids to keep negatives."""

_PYTHON_ALONE = ("env", "KUBE_DNS_NATIVE=0", sys.executable, "-m")

PLAIN = (
    FRONTS[0].named(
        POD_PLAIN,
        commands={
            FORWARDER: (*_PYTHON_ALONE, "dnsmasq_py"),
            KUBEDNS: (*_PYTHON_ALONE, "kubedns"),
        },
    ),
    *FRONTS[1:],
)
"""Ours without its native piece."""

FORWARDERS = (
    *FRONTS,
    System(ALL_SERVERS, lambda s: replace(dnsmasq(s, "--all-servers"), name=ALL_SERVERS)),
)
"""What is measured with several upstreams."""


def _in_front(name: str, process: Server, port: int, authority: Running | None) -> Running:
    if authority is None:
        return Running(name, [process], port)
    return Running(name, [process, *authority.processes], port, authority.ready_url)


def _options(port: int, setting: Setting, authority: Running | None) -> list[str]:
    """Return the options that dnsmasq and ours share."""
    cluster = f"127.0.0.1#{authority.dns_port}" if authority else ""
    return [
        "--keep-in-foreground",
        f"--port={port}",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--no-resolv",
        "--no-hosts",
        *([] if setting.negative else ["--no-negcache"]),
        f"--cache-size={setting.room}",
        *(f"--server=/{zone}/{cluster}" for zone in _ZONES if cluster),
        *(f"--server={each.written('#')}" for each in setting.upstreams if not setting.tls),
    ]


def _extensions(setting: Setting) -> str:
    assert setting.tls
    servers = [f'"tls://{each.written(":")}#{setting.tls.name}"' for each in setting.upstreams]
    return f"upstreamNameservers: [{', '.join(servers)}]\n"


def _forward_zone(name: str, servers: Sequence[str], *, tls: bool = False) -> str:
    lines = ["forward-zone:", f'    name: "{name}"']
    lines += [f"    forward-addr: {server}" for server in servers]
    return "\n".join([*lines, *(["    forward-tls-upstream: yes"] if tls else [])])
