"""A forwarder that is killed and started anew: it goes on with what its clients ask for most."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dnsmasq_py import hotlist
from tests.absent import unavailable
from tests.forwarder.behaviours import GOOD, SERVFAIL, answers, fails, silent
from tests.forwarder.client import data, ede, query
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.program import Forwarder
from tests.forwarder.scripted import Scripted
from tests.realapi.waiting import until

pytestmark = pytest.mark.usefixtures("ours_only")

TWO = "192.0.2.2"
WEB = "web.shop.svc.cluster.local."
STALE = 3


def _kept(path: Path) -> set[bytes]:
    """Return the questions in a file whose answers are there."""
    if not path.exists():
        return set()
    return {each.key for each in hotlist.decode(path.read_bytes()).questions if each.answer}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hot"


@pytest.fixture
def life(
    start: Start, server: StartServer, path: Path
) -> Callable[..., tuple[Forwarder, Scripted, Scripted]]:
    """Start a forwarder with a server for the cluster's names and one for all others."""
    cluster, outside = server(), server()

    def life(*options: str) -> tuple[Forwarder, Scripted, Scripted]:
        forwarder = start(
            f"--server={outside.server}", f"--server=/cluster.local/{cluster.server}", *options,
            nanny=[f"-kubednsServer={cluster.nameserver}", f"--hot-file={path}"],
        )  # fmt: skip
        return forwarder, cluster, outside

    return life


Life = Callable[..., tuple[Forwarder, Scripted, Scripted]]


def _used(forwarder: Forwarder) -> None:
    for _ in range(5):
        assert forwarder.look("www.example.") == {GOOD}
        assert forwarder.look(WEB) == {GOOD}


def _killed(forwarder: Forwarder, path: Path) -> None:
    """Wait until the file has both names, as it must without a word of ours, and kill it."""
    until(lambda: len(_kept(path)) >= 2, within_s=60.0, wanted="a file with both names")
    forwarder.told_to_end = True
    forwarder.send_signal(signal.SIGKILL)
    forwarder.ended()


def test_after_sigkill_hot_names_are_known_before_anybody_asks(life: Life, path: Path) -> None:
    """They are asked again at the start; then a client's question goes to nobody."""
    forwarder, cluster, outside = life()
    _used(forwarder)
    _killed(forwarder, path)
    assert path.stat().st_mode & 0o777 == 0o600
    cluster.play = outside.play = answers(f"@ 300 IN A {TWO}")
    forwarder, *_ = life()
    forwarder.logs("asking again for 2 questions of ")
    forwarder.logs("asked again: 2 questions, 0 failed")
    asked = len(cluster.questions(WEB)), len(outside.questions("www.example."))
    assert forwarder.look("www.example.") == forwarder.look(WEB) == {TWO}
    assert (len(cluster.questions(WEB)), len(outside.questions("www.example."))) == asked
    status = forwarder.status()["hot_file"]
    assert status["at_start"]["refreshed"] == 2
    assert status["errors"] == 0
    assert forwarder.metric("kubedns_forwarder_warm_refreshed_total") == 2
    assert forwarder.metric("kubedns_forwarder_hot_file_age_seconds") < 3600


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("play", [silent, fails(SERVFAIL)], ids=["silent", "SERVFAIL"])
def test_started_while_no_server_answers_it_still_knows_its_names(
    life: Life, path: Path, number: signal.Signals, play: Callable[..., object]
) -> None:
    """Stale, and it says so; and with what the servers say as soon as they say something."""
    forwarder, cluster, outside = life()
    _used(forwarder)
    if number == signal.SIGKILL:
        _killed(forwarder, path)
    else:
        forwarder.stop()
        forwarder.told_to_end = True
    cluster.play = outside.play = play  # type: ignore[assignment]
    forwarder, *_ = life()
    for name, ttl in ((WEB, 5), ("www.example.", 30)):
        reply = forwarder.ask(name)
        assert data(reply) == {GOOD}
        assert ede(reply) == [STALE]
        assert reply.answer[0].ttl == ttl
    cluster.play = outside.play = answers(f"@ 300 IN A {TWO}")
    until(lambda: forwarder.look(WEB) == {TWO}, wanted="what is true now")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda octets: octets[:-1], "damaged or cut short"),
        (lambda octets: octets[:50] + b"\0" + octets[51:], "damaged or cut short"),
        (lambda octets: octets.replace(b"hot-file 1", b"hot-file 2", 1), "its version is 2, not 1"),
        (lambda _: b"", "it is empty"),
    ],
    ids=["cut short", "damaged", "a later version", "empty"],
)
def test_a_file_that_cannot_be_used(
    life: Life, path: Path, damage: Callable[[bytes], bytes], reason: str
) -> None:
    """One clear line, and a start as without one; then it is written anew."""
    forwarder, *_ = life()
    _used(forwarder)
    forwarder.stop()
    forwarder.told_to_end = True
    path.write_bytes(damage(path.read_bytes()))
    forwarder, *_ = life()
    (line,) = forwarder.logs("hot-file")
    assert reason in line
    assert forwarder.metric("kubedns_forwarder_hot_file_errors_total") == 1
    _used(forwarder)
    forwarder.stop()
    forwarder.told_to_end = True
    assert len(_kept(path)) == 2


def test_a_full_disk_is_said_once_and_in_nobodys_way(
    start: Start, server: StartServer, tmp_path: Path
) -> None:
    """All else goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    full = (
        "unshare", "-m", "sh", "-c",
        f'mount -t tmpfs -o size=64k none {disk} && {{ head -c 1M /dev/zero >{disk}/other; '
        f'exec "$@"; }}', "sh",
    )  # fmt: skip
    if subprocess.run([*full, "true"], capture_output=True).returncode:
        unavailable("no namespace of mounts can be made here")
    forwarder = start(f"--server={server().server}", nanny=[f"--hot-file={disk}/hot"], wrapper=full)
    for _ in range(5):
        assert forwarder.look("www.example.") == {GOOD}
    (line,) = forwarder.logs("cannot write the hot-file")
    assert "No space left" in line
    assert forwarder.look("www.example.") == {GOOD}
    forwarder.stop()
    forwarder.told_to_end = True
    assert forwarder.log().count("cannot write the hot-file") == 1


def test_what_is_asked_again_comes_after_what_clients_ask(life: Life, path: Path) -> None:
    """A thousand questions of before: a client's own goes out at once, and so many at a time."""
    forwarder, _, outside = life("--cache-size=2000")
    for number in range(1000):
        for _ in range(2):
            forwarder.look(f"n{number}.example.")
    forwarder.stop()
    forwarder.told_to_end = True
    assert len(_kept(path)) == hotlist.MOST
    before = len(outside.asked)
    outside.play = silent
    forwarder, *_ = life("--cache-size=2000")
    until(lambda: len(outside.asked) > before, wanted="a question of before")
    with forwarder.volley([query("new.example.").to_wire()]):
        outside.wait_for("new.example.")
    again = {each.name for each in outside.asked[before:]} - {"new.example."}
    assert len(again) <= 16, "the servers are silent"
    assert json.dumps(forwarder.status()["hot_file"])
