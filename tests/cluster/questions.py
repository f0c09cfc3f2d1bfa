"""What every DNS of the cluster must answer: names of world.yaml, as pods ask for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.cluster.cluster import Cluster

VIP = "10.96.7.7"
DNS_IP = "10.96.0.10"
FULL = "default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class Asked:
    """A command in a pod, and what it prints; {web-0} stands for the address of that pod."""

    command: str
    expected: tuple[str, ...] = ()
    rcode: str = "NOERROR"
    also: tuple[str, ...] = field(default=())  # right as well, where a choice was left


def dig(text: str, *records: str, rcode: str = "NOERROR") -> Asked:
    """Ask with dig: records are `owner type data`."""
    return Asked(f"dig {text}", records, rcode)


def nothing(text: str) -> Asked:
    """A name that does not exist."""
    return Asked(f"dig {text}", (), "NXDOMAIN")


def getent(name: str, *addresses: str) -> Asked:
    """Ask with glibc, by the search path of the pod: IPv4 addresses."""
    return Asked(f"getent ahostsv4 {name}", addresses)


BY_SEARCH_PATH = [
    getent("kubernetes", "10.96.0.1"),
    getent("kubernetes.default", "10.96.0.1"),
    getent("kubernetes.default.svc", "10.96.0.1"),
    getent(f"kubernetes.{FULL}", "10.96.0.1"),
    getent("kube-dns.kube-system", DNS_IP),
    getent("web-vip", VIP),
    getent("web", "{web-0}", "{web-1}"),
    getent("web-0.web", "{web-0}"),
    getent("web-1.web.default", "{web-1}"),
    getent("ext", "192.0.2.53"),
    getent("ext-inside", VIP),
    getent("www.upstream.test", "192.0.2.53"),
    getent("nosuch"),
    getent("nosuch.upstream.test", "192.0.2.53"),
    Asked("getent hosts {web-0}", (f"web-0.web.{FULL}",)),
    Asked(f"getent hosts {VIP}", (f"web-vip.{FULL}",)),
]
"""What a pod with the search path of ClusterFirst asks."""

FULL_NAMES = [
    dig(f"kubernetes.{FULL} A", f"kubernetes.{FULL}. A 10.96.0.1"),
    dig(f"+tcp kubernetes.{FULL} A", f"kubernetes.{FULL}. A 10.96.0.1"),
    dig(f"KUBERNETES.{FULL} A", f"KUBERNETES.{FULL}. A 10.96.0.1"),
    dig(f"kubernetes.{FULL} AAAA"),
    dig("kube-dns.kube-system.svc.cluster.local A",
        f"kube-dns.kube-system.svc.cluster.local. A {DNS_IP}"),
    dig(f"web-vip.{FULL} A", f"web-vip.{FULL}. A {VIP}"),
    dig(f"web-vip.{FULL} AAAA", f"web-vip.{FULL}. AAAA {{vip6}}"),
    dig(f"web.{FULL} A", f"web.{FULL}. A {{web-0}}", f"web.{FULL}. A {{web-1}}"),
    dig(f"+tcp web.{FULL} A", f"web.{FULL}. A {{web-0}}", f"web.{FULL}. A {{web-1}}"),
    dig(f"web-0.web.{FULL} A", f"web-0.web.{FULL}. A {{web-0}}"),
    dig(f"_http._tcp.web.{FULL} SRV", f"_http._tcp.web.{FULL}. SRV 10 50 8080 web-0.web.{FULL}.",
        f"_http._tcp.web.{FULL}. SRV 10 50 8080 web-1.web.{FULL}."),
    dig(f"_http._tcp.web-vip.{FULL} SRV",
        f"_http._tcp.web-vip.{FULL}. SRV 10 100 80 web-vip.{FULL}."),
    dig(f"_https._tcp.kubernetes.{FULL} SRV",
        f"_https._tcp.kubernetes.{FULL}. SRV 10 100 443 kubernetes.{FULL}."),
    dig("_dns._udp.kube-dns.kube-system.svc.cluster.local SRV",
        "_dns._udp.kube-dns.kube-system.svc.cluster.local. SRV 10 100 53 "
        "kube-dns.kube-system.svc.cluster.local."),
    dig("-x 10.96.0.1", f"1.0.96.10.in-addr.arpa. PTR kubernetes.{FULL}."),
    dig("-x {web-1}", f"{{web-1 reversed}}. PTR web-1.web.{FULL}."),
    dig("-x {vip6}", f"{{vip6 reversed}}. PTR web-vip.{FULL}."),
    dig("10-244-0-2.default.pod.cluster.local A",
        "10-244-0-2.default.pod.cluster.local. A 10.244.0.2"),
    dig(f"ext.{FULL} A", f"ext.{FULL}. CNAME www.upstream.test.",
        "www.upstream.test. A 192.0.2.53"),
    dig(f"ext-inside.{FULL} A", f"ext-inside.{FULL}. CNAME web-vip.{FULL}.",
        f"web-vip.{FULL}. A {VIP}"),
    dig("www.upstream.test A", "www.upstream.test. A 192.0.2.53"),
    dig("www.upstream.test AAAA", "www.upstream.test. AAAA 2001:db8::53"),
    dig("txt.upstream.test TXT", 'txt.upstream.test. TXT "from-outside"'),
    dig("-x 192.0.2.53", "53.2.0.192.in-addr.arpa. PTR www.upstream.test."),
    nothing(f"nosuch.{FULL} A"),
    nothing("kubernetes.nosuch.svc.cluster.local A"),
    nothing(f"nosuch.web.{FULL} A"),
    nothing(f"empty.{FULL} A"),
    nothing("www.upstream.test.default.svc.cluster.local A"),
    dig("svc.cluster.local A"),
    dig(f"web-vip.{FULL} MX"),
]  # fmt: skip
"""Asked by full name, of any server for cluster.local."""

BOTH_FAMILIES = [
    dig(f"web.{FULL} AAAA", f"web.{FULL}. AAAA {{web-0 6}}", f"web.{FULL}. AAAA {{web-1 6}}"),
    dig(f"web-0.web.{FULL} AAAA", f"web-0.web.{FULL}. AAAA {{web-0 6}}"),
    dig("-x {web-0 6}", f"{{web-0 6 reversed}}. PTR web-0.web.{FULL}."),
]
"""Of headless services, what only EndpointSlices tell."""


def addresses(cluster: Cluster) -> dict[str, str]:
    """Return what the words in braces stand for."""
    import ipaddress

    found: dict[str, str] = {}
    for pod in ("web-0", "web-1"):
        ips = [each["ip"] for each in cluster.get("pod", pod)["status"]["podIPs"]]
        found |= {pod: ips[0], f"{pod} 6": ips[1]}
    found["vip6"] = cluster.get("service", "web-vip")["spec"]["clusterIPs"][1]
    reversed_ = {
        f"{name} reversed": ipaddress.ip_address(text).reverse_pointer
        for name, text in found.items()
    }
    return found | reversed_


def differences(
    cluster: Cluster, asked: Sequence[Asked], pod: str = "client", server: str = ""
) -> list[str]:
    """
    Ask from inside a pod and return what came otherwise than expected, a line each.

    server: for dig, else that of the pod's resolv.conf.
    """
    known = addresses(cluster)
    commands = []
    for each in asked:
        words = each.command.format_map(known).split()
        commands.append([*words, f"@{server}"] if server and words[0] == "dig" else words)
    said = cluster.script("ask.py", json.dumps(commands), pod=pod)
    found = []
    for each, command, got in zip(asked, commands, said, strict=True):
        expected = sorted(text.format_map(known) for text in each.expected)
        if command[0] == "dig":
            seen, right = (got["rcode"], got["records"]), (each.rcode, expected)
        else:
            # getent: an address or name, and more words on the line.
            position = 0 if command[1].startswith("ahosts") else -1
            seen = ("", sorted({line.split()[position] for line in got["words"]}))
            right = ("", expected)
        if seen != right:
            found.append(f"{' '.join(command)}: {seen}, not {right}")
    return found
