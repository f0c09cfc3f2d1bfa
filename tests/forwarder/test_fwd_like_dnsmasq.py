"""
The same questions, the same command line, through dnsmasq 2.90 and through us.

Behind both stand BIND, unbound and another unbound in the place of the cluster's own server. Each
question is asked twice, so that the second answer may come from a cache. Compared field by field:
rcode, flags, the question's spelling, EDNS, the sections as sets with their TTLs. A difference
that `reasons.py` does not name is a fault of one of the two.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.forwarder.peers import Peer, named, original, unbound
from tests.forwarder.program import NO_LOCAL_FILES, ORIGINAL, Forwarder
from tests.forwarder.reasons import REASONS, Case, reason
from tests.forwarder.seen import ask, differences
from tests.forwarder.zones import KUBEDNS, NAMED, UNBOUND, questions

pytestmark = pytest.mark.usefixtures("tools")

HOSTS = "198.18.0.101 hosted hosted.zone.example h2.example\n2001:2::101 hosted.zone.example\n"


LOCAL_NAMES = """
    hosted. hosted.zone.example. h2.example. 101.0.18.198.in-addr.arpa. rec.zone.example.
    rec2.zone.example. REC2.zone.example. 102.0.18.198.in-addr.arpa. ttl.zone.example.
    c1.zone.example. c2.zone.example. c3.zone.example. txt.zone.example.
    _ldap._tcp.zone.example. 103.0.18.198.in-addr.arpa. _http._tcp.zone.example. addr.example.
    x.y.addr.example. xaddr.example. none.example. x.none.example. zero.example. here.example.
    x.here.example. known.here.example. there.example. www.deep.stub.example. deep.stub.example.
    below.rec.zone.example.
"""
FILTERED_NAMES = """
    single. localhost. x.hole.stub.example. hole.stub.example. 1.1.168.192.in-addr.arpa.
    1.1.16.172.in-addr.arpa. 1.2.254.169.in-addr.arpa. 1.1.64.100.in-addr.arpa.
    1.0.0.10.in-addr.arpa. b.e.f.ip6.arpa. wildcard.example. www.wildcard.example.
"""


@dataclass(frozen=True)
class Servers:
    """What stands behind the forwarders."""

    default: Peer
    stub: Peer
    cluster: Peer

    def options(self) -> list[str]:
        """Options for all of them, the cluster with its own reverse zone only."""
        return [
            f"--server={self.default.server}",
            f"--server=/stub.example/{self.stub.server}",
            f"--server=/cluster.local/10.in-addr.arpa/{self.cluster.server}",
        ]


def plain(servers: Servers, folder: Path) -> tuple[list[str], list[str]]:
    return [*servers.options(), "--cache-size=1000"], []


def manifest(servers: Servers, folder: Path) -> tuple[list[str], list[str]]:
    """The command line of the published Deployment, and a stub domain as the nanny adds it."""
    zones = ("cluster.local", "in-addr.arpa", "ip6.arpa")
    return [
        "--cache-size=1000", "--no-negcache", "--dns-loop-detect",
        *(f"--server=/{zone}/{servers.cluster.server}" for zone in zones),
        "--server", f"/stub.example/{servers.stub.server}",
        "--server", servers.default.server,
    ], []  # fmt: skip


def local_data(servers: Servers, folder: Path) -> tuple[list[str], list[str]]:
    hosts = folder / "hosts"
    hosts.write_text(HOSTS)
    options = [
        *servers.options(), "--local-ttl=77", f"--addn-hosts={hosts}",
        "--host-record=rec.zone.example,rec2.zone.example,198.18.0.102,2001:2::102",
        "--host-record=ttl.zone.example,198.18.0.103,55",
        "--cname=c1.zone.example,c2.zone.example,rec.zone.example",
        "--cname=c3.zone.example,www.other.example",
        "--txt-record=txt.zone.example,one,two three",
        "--srv-host=_ldap._tcp.zone.example,rec.zone.example,389,1,2",
        "--ptr-record=103.0.18.198.in-addr.arpa,ttl.zone.example",
        "--ptr-record=_http._tcp.zone.example,service.zone.example",
        "--address=/addr.example/198.18.0.104", "--address=/addr.example/2001:2::104",
        "--address=/none.example/", "--address=/zero.example/#",
        "--local=/here.example/", "--server=/there.example/",
        "--host-record=known.here.example,198.18.0.105",
        f"--server=/deep.stub.example/{servers.default.server}",
    ]  # fmt: skip
    return options, LOCAL_NAMES.split()


def filters(servers: Servers, folder: Path) -> tuple[list[str], list[str]]:
    options = [
        *servers.options(), "--bogus-priv", "--domain-needed", "--filter-AAAA", "--max-ttl=100",
        f"--server=//{servers.stub.server}", "--server=/hole.stub.example/#",
        f"--rev-server=192.168.0.0/16,{servers.stub.server}", "--no-ident",
        f"--server=/*ldcard.example/{servers.stub.server}",
    ]  # fmt: skip
    return options, FILTERED_NAMES.split()


def rebind(servers: Servers, folder: Path) -> tuple[list[str], list[str]]:
    return [
        *servers.options(), "--stop-dns-rebind", "--rebind-localhost-ok",
        "--rebind-domain-ok=/cluster.local/",
    ], []  # fmt: skip


def ttls(servers: Servers, folder: Path) -> tuple[list[str], list[str]]:
    return [
        *servers.options(), "--min-cache-ttl=60", "--max-cache-ttl=900", "--neg-ttl=30",
        "--filter-A", "--no-round-robin", "--proxy-dnssec",
    ], []  # fmt: skip


CONFIGURATIONS: dict[str, Callable[[Servers, Path], tuple[list[str], list[str]]]] = {
    each.__name__: each for each in (plain, manifest, local_data, filters, rebind, ttls)
}
used: Counter[str] = Counter()
"""How often a reason was needed, over all configurations."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("servers")
    with (
        named(folder, NAMED) as default,
        unbound(folder, UNBOUND) as stub,
        unbound(folder, KUBEDNS, address="127.0.0.4") as cluster,
    ):
        yield Servers(default, stub, cluster)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_difference_from_dnsmasq_has_a_reason(
    servers: Servers, tmp_path: Path, name: str
) -> None:
    options, names = CONFIGURATIONS[name](servers, tmp_path)
    nanny = [] if ORIGINAL else [f"-kubednsServer={servers.cluster.nameserver}"]
    bare, count = [], 0
    with (
        original(tmp_path, *NO_LOCAL_FILES, *options) as theirs,
        Forwarder(tmp_path, *NO_LOCAL_FILES, *options, nanny=nanny) as ours,
    ):
        began = time.monotonic()
        for asked in questions(*names):
            for again in (False, True):
                count += 1
                one, two = ask(ours, asked), ask(theirs, asked)
                for what in differences(one, two, time.monotonic() - began):
                    why = reason(Case(name, asked, again, what, one, two))
                    used[why or ""] += 1
                    if why is None:
                        bare.append(f"{what}: {asked}, again: {again}\n  {one}\n  {two}")
    print(f"{count} questions, differences: {dict(used)}")
    assert not bare, f"{len(bare)} without a reason\n" + "\n".join(bare)


def test_no_reason_is_left_over(request: pytest.FixtureRequest) -> None:
    """What is no longer a difference needs none."""
    ran = {item.name for item in request.session.items}
    if ORIGINAL or not all(f"[{name}]" in str(ran) for name in CONFIGURATIONS):
        pytest.skip("not all configurations were compared")
    left = [text for text in REASONS if text not in used]
    assert not left, left
