"""The pages as HTTP serves them: many at once, slow clients, both ports, what is not a page."""

import concurrent.futures
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.forwarder.behaviours import silent
from tests.forwarder.scripted import Scripted
from tests.pod.running import control_octets
from tests.realapi.waiting import until
from tests.sidecar.pod import Pod, Sidecar


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """Run a pod."""
    with Pod(tmp_path_factory.mktemp("pod")) as made:
        yield made


def test_24_at_once_while_a_probe_hangs(tmp_path: Path) -> None:
    """All are answered, and none waits for the probe."""
    with Scripted(silent) as server:
        probes = [f"p{n},{server.nameserver},x,5,A" for n in range(3)]
        with Sidecar(tmp_path, probes=probes, statistics=server.port) as sidecar:
            server.wait_for("x.", 3)  # and now they hang for two seconds
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(24) as clients:
                codes = list(clients.map(lambda _: sidecar.get("/healthz")[0], range(24)))
            took_s = time.monotonic() - began
            print(f"24 pages in {took_s:.3f} s")
            assert codes == [503] * 24
            assert sidecar.healthz()["probes"]["p0"]["state"] == "waiting", "it still hangs"


def test_both_ports_have_all_pages(pod: Pod) -> None:
    """That of Prometheus and the kubelet, and the operators' on loopback."""
    for path in ("/", "/healthz", "/readyz", "/healthcheck/kubedns", "/metrics"):
        for port in (pod.sidecar.port, pod.sidecar.operator):
            assert pod.sidecar.get(path, port)[0] == 200, path


def test_metrics_of_all_are_there(pod: Pod) -> None:
    """Readable by Prometheus: ours, the original's, the forwarder's, each family once."""
    until(lambda: pod.sidecar.metrics().get("kubedns_dnsmasq_hits"), wanted="hits")
    text = pod.sidecar.get("/metrics")[1]
    families = [family.name for family in text_string_to_metric_families(text)]
    assert len(families) == len(set(families))
    assert {
        "kubedns_dnsmasq_hits", "kubedns_probe_kubedns_latency_ms", "kubedns_sidecar_ready",
        "kubedns_forwarder_cache_entries", "process_open_fds",
    } <= set(families)  # fmt: skip
    assert not [name for name in families if name.startswith("python_")]


def test_slow_clients_hold_up_nobody(pod: Pod) -> None:
    """Fifty that say nothing, or half a request, or send a large body."""
    clients = [socket.create_connection(("127.0.0.1", pod.sidecar.port)) for _ in range(50)]
    try:
        for number, client in enumerate(clients):
            if number % 3 == 1:
                client.sendall(b"GET /healthz HT")
            elif number % 3 == 2:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\nxx")
        assert pod.sidecar.get("/healthz")[0] == 200
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /healthz/ HTTP/1.1", b"404"),
        (b"GET /%2e%2e/etc/passwd HTTP/1.1", b"404"),
        (b"GET /%ff%fe HTTP/1.1", b"404"),
        (b"GET /healthcheck/%0a HTTP/1.1", b"404"),
        (b"GET http://elsewhere/healthz HTTP/1.1", b""),
        (b"POST /healthz HTTP/1.1", b"405"),
        (b"BREW /healthz HTTP/1.1", b"405"),
        (b"GET /healthz?format=%00%ff&format=x HTTP/1.1", b"200"),
    ],
)
def test_odd_requests(request_line: bytes, status: bytes, pod: Pod) -> None:
    """An answer in text, no redirect, no line in the log."""
    before = pod.sidecar.text()
    with socket.create_connection(("127.0.0.1", pod.sidecar.port), timeout=20) as client:
        client.sendall(request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        reply = b""
        while piece := client.recv(65536):
            reply += piece
    if status:
        assert reply.split()[1] == status
    assert b"\r\nLocation:" not in reply
    assert b"<html" not in reply
    assert pod.sidecar.text() == before


def test_clients_that_go_away(pod: Pod) -> None:
    """A hundred that ask for the largest page and reset the connection: no line in the log."""
    before = pod.sidecar.text()
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", pod.sidecar.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert pod.sidecar.get("/readyz")[0] == 200
    assert pod.sidecar.text() == before


def test_more_connections_than_are_served(pod: Pod) -> None:
    """Idle ones fill the port, and give way to who asks something: the kubelet is never refused."""
    clients = [socket.create_connection(("127.0.0.1", pod.sidecar.port)) for _ in range(140)]
    try:
        for port in (pod.sidecar.port, pod.sidecar.operator):
            assert pod.sidecar.get("/healthz", port)[0] == 200
    finally:
        for client in clients:
            client.close()


def test_the_log_can_be_read(pod: Pod) -> None:
    """Each line in klog's form; no line for a request."""
    text = pod.sidecar.text()
    assert control_octets(text) == []
    assert all(line[0] in "IWE" and "sidecar." in line for line in text.splitlines())
    assert "GET" not in text
