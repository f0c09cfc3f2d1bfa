"""Changes told over real sockets: from which address, to whom, and what others make of it."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from kubedns.wire import name as names
from kubedns.wire import notify
from tests.builders import namespace, service
from tests.forwarder.peers import Peer, named, original, unbound
from tests.listening import Listener
from tests.pod.running import Running, until
from tests.realapi.ports import free_port

N = "shop.svc.cluster.local"
ZONE = "@ 60 SOA ns.example.com. root.example.com. 1 60 60 60 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n"


class Heard(Listener):
    """A listener behind a socket; where: the addresses that spoke to it."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self.where: set[tuple[str, int]] = set()
        self.socket = socket.socket(
            socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM
        )
        self.socket.bind((host, 0))
        self.port: int = self.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                message, client = self.socket.recvfrom(notify.MAX_MESSAGE)
                if not message:
                    return
                self.where.add(client[:2])
                self.socket.sendto(self.takes(message), client)

    def close(self) -> None:
        """Hear no more."""
        self.socket.close()


@contextlib.contextmanager
def hearing(host: str = "127.0.0.1") -> Iterator[Heard]:
    """Listen on a free port."""
    heard = Heard(host)
    try:
        yield heard
    finally:
        heard.close()


def _write(path: Path, *values: object) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(yaml.safe_dump_all(values))
    fresh.replace(path)


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0", "::", "::1"])
def test_changes_come_from_where_queries_are_answered(tmp_path: Path, bound: str) -> None:
    """The forwarder checks address and port; a change of the objects reaches it in no time."""
    path = tmp_path / "objects.yaml"
    _write(path, namespace("shop"), service("web", ip="10.0.0.7"))
    host = "::1" if bound == "::1" else "127.0.0.1"
    with hearing(host) as heard:
        to = f"[{host}]" if ":" in host else host
        with Running(
            tmp_path / "log", f"--notify={to}:{heard.port}", host=bound, objects=path
        ) as running:
            running.ready()
            until(lambda: heard.log, "no session")
            assert heard.where == {(host, running.dns_port)}
            _write(path, namespace("shop"), service("web", ip="10.0.0.8"))
            web = names.from_text(f"web.{N}")
            until(lambda: web in heard.told, "the change was not told")
            assert running.short(f"web.{N}", server=host) == ["10.0.0.8"]
            (status,) = running.status()["notify"]
            assert status["state"] == "told"
            until(lambda: running.status()["serial"] == heard.serial, "not in step")
            code, text = running.page("/metrics")
            assert code == 200
            assert f'kubedns_notify_up{{to="{to}:{heard.port}"}} 1.0' in text
            assert f"telling changes to {to}:{heard.port}" in running.text()


@pytest.mark.parametrize("make", [original, unbound, named], ids=lambda make: make.__name__)
def test_another_make_is_left_alone(
    tmp_path: Path, make: Callable[..., contextlib.AbstractContextManager[Peer]]
) -> None:
    """dnsmasq, unbound, BIND: one line says so, and it is asked again in a minute."""
    with make(tmp_path, "--no-resolv" if make is original else {"example.com": ZONE}) as peer:
        target = f"{peer.address}:{peer.port}"
        with Running(tmp_path / "log", f"--notify={target}") as running:
            running.ready()
            until(lambda: running.status()["notify"][0]["state"] == "off", "not off")
            assert f"{target} answers what is no receipt" in running.text()
            assert running.status()["notify"][0]["counts"]["hello"] == 1
            assert running.short(f"web.{N}") == ["10.96.20.1"]


def test_told_to_itself(tmp_path: Path) -> None:
    """Where kubedns itself has the port that it tells to, it notices."""
    port = free_port()
    with Running(tmp_path / "log", f"--notify=127.0.0.1:{port}", f"--dns-port={port}") as running:
        running.dns_port = port
        running.ready()
        until(lambda: running.status()["notify"][0]["state"] == "off", "not off")
        assert running.short(f"web.{N}") == ["10.96.20.1"]


def test_a_stranger_is_not_heard(tmp_path: Path) -> None:
    """NOTIFY to kubedns is NOTIMP; a receipt from elsewhere, or of nothing, is dropped."""
    with (
        Running(tmp_path / "log", "--notify=off") as running,
        socket.socket(type=socket.SOCK_DGRAM) as stranger,
    ):
        running.ready()
        stranger.connect(("127.0.0.1", running.dns_port))
        stranger.settimeout(10)
        hello = notify.Notice(
            b"\1\2", notify.Kind.HELLO, names.from_text("cluster.local"), bytes(8), 1, 1
        )
        stranger.send(hello.encode())
        reply = stranger.recv(512)
        assert (reply[:2], reply[2] & 0x80, reply[3] & 15) == (b"\1\2", 0x80, 4)
        welcome = notify.Notice(b"\1\3", notify.Kind.WELCOME, hello.zone, bytes(8), 1, 1, b"k" * 16)
        stranger.send(welcome.encode())
        stranger.send(hello.encode())
        assert stranger.recv(512) == reply
        assert running.status()["notify"] == []
