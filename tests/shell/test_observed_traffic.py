"""What receivers note by themselves, and what Wireshark makes of it."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from dnsmasq_py.observed import pages, records
from kubedns import batch
from kubedns.batch import Missed, Turning
from kubedns.serve import http, sockets
from tests.absent import unavailable
from tests.observing import Seen

DEADLINE_S = 20.0
QUERY = b"\1\0\0\1\0\0\0\0\0\0\3web\7example\0\0\1\0\1"
REPLY = b"\x81\x80\0\1\0\1\0\0\0\0\3web\7example\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x1e\0\4\x0a\0\0\1"


class Given(Turning):
    """An answer that does not age."""

    def __init__(self) -> None:
        self.turns = (REPLY,)
        self.until = inf
        self.uses = 0


@pytest.fixture(params=["127.0.0.1", "::1"])
def client(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A client of either family."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        made.settimeout(DEADLINE_S)
        made.bind((request.param, 0))
        yield made


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("any_address", [False, True])
@pytest.mark.parametrize("every", [1, 3])
def test_what_a_receiver_answers_is_noted(
    client: socket.socket, any_address: bool, every: int
) -> None:
    """One of so many replies stands in the ring, with query, client and weight."""
    ring: Any = batch.Ring(1000, 1 << 20)
    ring.every = every
    host, port = client.getsockname()[:2]
    with sockets.udp("" if any_address else host, 0) as bound:
        receiver = batch.Batch(bound, any_address=any_address, ring=ring)
        client.connect((host, bound.getsockname()[1]))
        misses: list[Missed] = []
        for number in range(60):
            client.send(number.to_bytes(2) + QUERY)
        client.send(b"\xff\xffunknown")
        receiver.answer({QUERY: Given()}, misses, [])
        assert [missed[0] for missed in misses] == [b"\xff\xffunknown"]
        answered = [client.recv(4096) for _ in range(60)]
    found = list(records.read(ring.read(0, 1000)[1]))
    assert abs(60 - sum(each.weight for each in found)) <= 2 * every
    assert len(found) <= 60 / every
    for each in found:
        assert each.query[2:] == QUERY
        assert each.reply == each.query[:2] + REPLY
        assert each.reply in answered
        assert (records.address_text(each.address), each.port) == (host, port)
        assert (each.took, each.source, each.tcp) == (None, records.READY, False)
    if every == 1 and batch.is_native():
        assert [int.from_bytes(each.query[:2]) for each in found] == list(range(60))


@pytest.mark.usefixtures("both_ways")
def test_a_receiver_without_a_ring_notes_nothing(client: socket.socket) -> None:
    """As in the process that has no recorder."""
    with sockets.udp(client.getsockname()[0], 0) as bound:
        receiver = batch.Batch(bound, any_address=False)
        client.connect(bound.getsockname()[:2])
        client.send(b"ab" + QUERY)
        client.send(b"\xff\xffunknown")
        receiver.answer({QUERY: Given()}, [], [])
        assert client.recv(4096) == b"ab" + REPLY


def test_what_is_no_ring_is_refused() -> None:
    """A fault of the wiring shows at once, not with the first query."""
    if not batch.is_native():
        reason = "the native piece is not built: no compiler when this was installed?"
        unavailable(reason)
    wrong: Any = object()
    with sockets.udp("127.0.0.1", 0) as bound, pytest.raises(TypeError, match="not a ring"):
        batch.Batch(bound, any_address=False, ring=wrong)


class Admin:
    """The pages, as whoever serves them calls them."""

    def __init__(self, seen: Seen) -> None:
        self._pages = pages.pages(seen.observed)

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body."""
        path, _, query = path.partition("?")
        page = self._pages[path]
        made = page.make(dict(parse_qsl(query))) if isinstance(page, http.Asking) else page()
        assert isinstance(made, http.Page)
        body = made.body
        pieces = [body] if isinstance(body, str | bytes) else list(body)
        assert all(len(piece) < 1 << 17 for piece in pieces), "not at once"
        octets = (each.encode() if isinstance(each, str) else each for each in pieces)
        return made.status, b"".join(octets)


@pytest.fixture
def tshark() -> str:
    """Wireshark's reader."""
    found = shutil.which("tshark")
    if found is None:
        reason = "tshark is missing (Debian: tshark)"
        unavailable(reason)
    return found


def test_wireshark_reads_what_was_recorded(tshark: str, tmp_path: Path) -> None:
    """Each transaction is a query and a response of DNS with right checksums, of both families."""
    seen = Seen()
    for number in range(250):
        seen.asks(f"name{number}.example.", number=number)
    seen.asks("gone.example.", "AAAA", "NXDOMAIN", client="2001:db8::5", took=0.25, number=7777)
    seen.asks("tcp.example.", tcp=True, number=8888)
    long = b"\x12\x34\x81\x80" + REPLY[2:] + bytes(1000)
    seen.recorder.note(b"\x12\x34" + QUERY, long, ("10.0.0.8", 9), 3, 0.0, 0, tcp=False)
    status, octets = Admin(seen).get("/recorder?format=pcap")
    assert status == 200
    path = tmp_path / "recorded.pcap"
    path.write_bytes(octets)
    fields = ("ip.src", "ipv6.src", "udp.srcport", "dns.id", "dns.flags.response", "dns.qry.name",
              "ip.checksum.status", "udp.checksum.status", "frame.len", "frame.cap_len",
              "_ws.malformed")  # fmt: skip
    checks = ("-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE")
    command = [tshark, "-r", str(path), *checks, "-T", "fields"]
    for field in fields:
        command += ("-e", field)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(rows) == 506
    good = "1"
    for number in range(250):
        asked, told = rows[2 * number : 2 * number + 2]
        name = f"name{number}.example"
        assert asked[0:8] == [
            "10.0.0.1", "", "40000", f"0x{number:04x}", asked[4], name, good, good,
        ]  # fmt: skip
        assert told[0:8] == [
            "127.0.0.1", "", "53", f"0x{number:04x}", told[4], name, good, good,
        ]  # fmt: skip
        assert asked[4] in ("0", "False")
        assert told[4] in ("1", "True")
    six = rows[500:502]
    assert [row[1] for row in six] == ["2001:db8::5", "::1"]
    assert [row[7] for row in six] == [good, good]
    assert rows[502][5] == "tcp.example"
    cut = rows[505]
    assert int(cut[8]) == 28 + len(long)
    assert int(cut[9]) == 28 + 512
    assert not any(row[10] for row in rows[:505])


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/top?n=0", "n: must be 1 to 100"),
        ("/top?n=101", "n: must be 1 to 100"),
        ("/top?n=%C2%B2", "n: must be 1 to 100"),
        ("/recorder?format=xml", "format: must be one of jsonl, pcap, summary"),
        ("/recorder?which=last", "which: must be one of live, burst"),
    ],
)
def test_a_wrong_parameter_is_named(path: str, line: str) -> None:
    """The reply says in one line what is wrong."""
    assert Admin(Seen()).get(path) == (400, f"{line}\n".encode())


def test_the_pages_are_there() -> None:
    """As JSON, with the burst when there was one."""
    seen = Seen()
    admin = Admin(seen)
    assert admin.get("/recorder?which=burst") == (404, b"there was no burst\n")
    assert admin.get("/recorder") == (200, b"")
    seen.asks("bad.example.", rcode="SERVFAIL", times=230)
    for path in ("/recorder", "/recorder?which=burst&format=jsonl"):
        seen.time_passes(3)
        status, body = admin.get(path)
        assert (status, body.count(b"\n")) == (200, 230)
    assert b'"held": 230' in admin.get("/recorder?format=summary")[1]
    assert b'"bad.example."' in admin.get("/top?n=1")[1]
    seen.time_passes(5)
    assert b'"id": "burst"' in admin.get("/findings")[1]
