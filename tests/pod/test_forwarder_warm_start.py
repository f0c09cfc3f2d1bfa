"""A forwarder that is killed beside its kubedns: what pods ask for most is in its cache again."""

import signal
from collections.abc import Callable
from pathlib import Path

from dnsmasq_py import hotlist
from tests.forwarder.program import NO_LOCAL_FILES, Forwarder
from tests.pod.running import Running, free_port, until

N = "shop.svc.cluster.local"
HOT = [f"web.{N}.", f"stock.{N}.", f"www.example.com.{N}.", "www.example.com.svc.cluster.local."]


def _start(folder: Path, kubedns: Running, port: int) -> Forwarder:
    here = f"127.0.0.1#{kubedns.dns_port}"
    return Forwarder(
        folder, *NO_LOCAL_FILES, "--no-negcache", f"--server=/cluster.local/{here}",
        nanny=[f"-kubednsServer=127.0.0.1:{kubedns.dns_port}", f"--hot-file={folder}/hot"],
        port=port,
    ).ready()  # fmt: skip


def _told(forwarder: Forwarder) -> Callable[[], bool]:
    return lambda: bool(forwarder.status()["feed"]["alive"])


def _kept(path: Path) -> int:
    return len(hotlist.decode(path.read_bytes()).questions) if path.exists() else 0


def _misses(forwarder: Forwarder) -> float:
    return forwarder.metric("kubedns_forwarder_misses_total")


def test_names_of_the_cluster_are_in_the_cache_before_anybody_asks(tmp_path: Path) -> None:
    """
    What exists and what is missing, once kubedns tells of changes again.

    They are asked for after its first word: what was heard before that is not trusted any more.
    """
    port, hot = free_port(), tmp_path / "hot"
    with Running(tmp_path / "log", f"--notify=127.0.0.1:{port}") as kubedns:
        kubedns.ready()
        first = _start(tmp_path, kubedns, port)
        try:
            until(_told(first), "no feed")
            answers = {name: first.look(name) for _ in range(4) for name in HOT}
            assert answers[HOT[0]] == {"10.96.20.1"}
            assert answers[HOT[2]] == {"NXDOMAIN"}
            until(lambda: _kept(hot) == len(HOT), "not written", 60.0)
            first.send_signal(signal.SIGKILL)
            first.ended()
        finally:
            first.kill()
        second = _start(tmp_path, kubedns, port)
        try:
            second.logs(f"asked again: {len(HOT)} questions, 0 failed")
            assert second.status()["feed"]["alive"]
            asked = _misses(second)
            assert {name: second.look(name) for name in HOT} == answers
            assert _misses(second) == asked, "nobody had to be asked"
            second.stop()
        finally:
            print(second.log())
            second.kill()
        assert kubedns.end() == 0
