"""kubedns and the forwarder together: what changes in the cluster is what clients get next."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.builders import namespace, service
from tests.forwarder.client import Client, query
from tests.forwarder.conftest import Start
from tests.forwarder.program import Forwarder
from tests.pod.running import Running
from tests.realapi.ports import free_port
from tests.realapi.waiting import becomes, until

pytestmark = pytest.mark.usefixtures("ours_only")

DOMAIN = "svc.cluster.local."
CHANGES = 200
AT_ONCE = 20
WARM = 3  # questions, after which receivers have the answer


class Cluster:
    """Objects in a file, kubedns in front of them, a forwarder in front of that."""

    def __init__(self, folder: Path, start: Start) -> None:
        self.folder = folder
        self._path = folder / "objects.yaml"
        self._services: dict[tuple[str, str], dict[str, object]] = {}
        self.write()
        port = free_port()
        self._notify = f"--notify=127.0.0.1:{port}"
        self.kubedns = self.run()
        self.direct = Client("127.0.0.1", self.kubedns.dns_port)
        teller = f"127.0.0.1#{self.kubedns.dns_port}"
        self.forwarder: Forwarder = start(
            f"--server=/cluster.local/{teller}",
            f"--server=/in-addr.arpa/{teller}",
            "--cache-size=1000",
            "--no-negcache",
            port=port,
            nanny=[f"-kubednsServer=127.0.0.1:{self.kubedns.dns_port}"],
        )
        until(lambda: self.feed()["alive"], wanted="a feed")

    def run(self, *args: str) -> Running:
        """Start kubedns."""
        log = self.folder / "kubedns.log"
        return Running(log, self._notify, *args, objects=self._path).ready()

    def feed(self) -> dict[str, object]:
        """Return what the forwarder says of the feed."""
        found: dict[str, object] = self.forwarder.status()["feed"]
        return found

    def put(self, name: str, ip: str | None, space: str = "shop") -> None:
        """Make a service, change its address, or take it away."""
        self.set(name, ip, space)
        self.write()

    def set(self, name: str, ip: str | None, space: str = "shop") -> None:
        """Do it with the next `write`."""
        if ip is None:
            del self._services[space, name]
        else:
            self._services[space, name] = service(name, namespace=space, ip=ip)

    def write(self) -> None:
        """Bring the objects before kubedns, which looks once a second."""
        spaces = {space for space, _ in self._services} | {"shop"}
        values = [*map(namespace, sorted(spaces)), *self._services.values()]
        fresh = self._path.with_name(".new")
        fresh.write_text(yaml.safe_dump_all(values))
        fresh.replace(self._path)


@pytest.fixture
def cluster(tmp_path: Path, start: Start) -> Iterator[Cluster]:
    made = Cluster(tmp_path, start)
    with made.kubedns:
        yield made


def test_two_hundred_changes_through_a_warm_cache(cluster: Cluster) -> None:
    """Services come, change and go; the figures are for the reader, only `never` is a failure."""
    forwarder = cluster.forwarder
    took: list[float] = []
    for batch in range(CHANGES // AT_ONCE):
        after: dict[str, str | None] = {}
        for number in range(AT_ONCE):
            question = f"web-{number}.shop.{DOMAIN}"
            for _ in range(WARM):
                before = forwarder.look(question)
            gone = (batch + number) % 4 == 3 and before != {"NXDOMAIN"}
            ip = after[question] = None if gone else f"10.0.{batch}.{number + 1}"
            cluster.set(f"web-{number}", ip)
        watches = [Watch(each, after) for each in (cluster.direct, forwarder)]
        cluster.write()
        known, seen = (watch.wait() for watch in watches)
        took += [max(0.0, at - known[question]) for question, at in seen.items()]
        for question, ip in after.items():
            assert forwarder.look(question) == {ip or "NXDOMAIN"}
    took.sort()
    text = ", ".join(
        f"{name} {1000 * took[at]:.1f}"
        for name, at in (("median", CHANGES // 2), ("p99", CHANGES - 3), ("most", CHANGES - 1))
    )
    print(f"\nfrom kubedns' first answer to the forwarder's, in ms: {text}")
    feed = cluster.feed()
    assert feed["out_of_step"] == 0
    assert feed["refused"] == {}


class Watch(threading.Thread):
    """Asks a server in turn for names until each has its new address, None: is missing."""

    def __init__(self, server: Client, wanted: dict[str, str | None]) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._wanted = {
            question: (query(question).to_wire(), ip and socket.inet_aton(ip))
            for question, ip in wanted.items()
        }
        self._found: dict[str, float] = {}
        self.start()

    def wait(self) -> dict[str, float]:
        """Return when each was there, in monotonic seconds."""
        self.join(60)
        lacking = self._wanted.keys() - self._found.keys()
        assert not lacking, f"{len(lacking)} names are still the old"
        return self._found

    def run(self) -> None:
        deadline = time.monotonic() + 50
        with self._server.open() as sock:
            sock.settimeout(20)
            while time.monotonic() < deadline and len(self._found) < len(self._wanted):
                for question, (octets, packed) in self._wanted.items():
                    if question not in self._found:
                        sock.send(octets)
                        reply = sock.recv(4096)
                        if packed in reply if packed else reply[3] & 15 == 3:
                            self._found[question] = time.monotonic()


def test_the_first_service_of_a_namespace(cluster: Cluster) -> None:
    """Its namespace was missing a moment ago, and everything below it was known to be."""
    forwarder = cluster.forwarder
    for number in range(10):
        space = f"space-{number}"
        for name in (f"{space}.{DOMAIN}", f"web.{space}.{DOMAIN}", f"_x._tcp.web.{space}.{DOMAIN}"):
            for rtype in ("A", "AAAA", "SRV"):
                assert forwarder.look(name, rtype) == {"NXDOMAIN"}
        cluster.put("web", f"10.1.0.{number + 1}", space)
        becomes(lambda q=f"web.{space}.{DOMAIN}": forwarder.look(q), {f"10.1.0.{number + 1}"})
        assert forwarder.look(f"{space}.{DOMAIN}") == {"NODATA"}


def test_kubedns_started_anew_brings_the_feed_back_and_what_changed_meanwhile(
    cluster: Cluster,
) -> None:
    forwarder = cluster.forwarder
    question = f"web.shop.{DOMAIN}"
    cluster.put("web", "10.0.0.1")
    becomes(lambda: forwarder.look(question), {"10.0.0.1"})
    cluster.kubedns.end()
    cluster.put("web", "10.0.0.2")  # while nobody looks
    for _ in range(WARM):
        assert forwarder.look(question) == {"10.0.0.1"}, "the cache carries it"
    with cluster.run(f"--dns-port={cluster.kubedns.dns_port}"):
        seen = set[str]()
        while "10.0.0.2" not in seen:
            seen |= forwarder.look(question)
        assert seen <= {"10.0.0.1", "10.0.0.2"}
        becomes(lambda: cluster.feed()["alive"], True)
        for _ in range(WARM):
            assert forwarder.look(question) == {"10.0.0.2"}
