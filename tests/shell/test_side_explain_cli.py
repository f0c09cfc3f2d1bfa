"""kubedns-explain: what it prints, with which exit status, and what it asks of the sidecar."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from sidecar.explain import written
from sidecar.explain.cli import run
from tests.explaining import Cluster, Name, resolving, service

WEB = "web.prod.svc.cluster.local."


class Sidecar(HTTPServer):
    """Says one thing, and keeps what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body = 200, b""
        self.asked: list[tuple[str, dict[str, str], str | None]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Sidecar

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        authorization = self.headers.get("Authorization")
        self.server.asked.append((url.path, dict(parse_qsl(url.query)), authorization))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    """Serve."""
    made = Sidecar()
    yield made
    made.shutdown()
    made.server_close()


def say(sidecar: Sidecar, cluster: Cluster, name: str, **query: str) -> None:
    """Have the sidecar say what it would explain."""
    found = written.explanation(cluster.explain(name, **query))
    sidecar.body = json.dumps(found).encode()


READY = {"ready": 1, "unready": 0, "slices": [{"name": "web-1", "ready": 1, "unready": 0}]}


def test_a_name_that_resolves(sidecar: Sidecar, capsys: pytest.CaptureFixture[str]) -> None:
    """0; the walk as a table, where the answer comes from, the verdict last."""
    say(sidecar, Cluster({WEB: resolving(ours=service("web") | READY)}), "web")
    assert run(["--url", sidecar.url, "--from", "prod", "web"]) == 0
    assert capsys.readouterr().out == (
        "asked    web addresses, from namespace prod\n"
        "resolv   search prod.svc.cluster.local. svc.cluster.local. cluster.local.; ndots:5\n"
        "\n"
        "glibc and musl: answer after 2 questions\n"
        "  web.prod.svc.cluster.local.  A     192.0.2.1       cluster zone cluster.local.\n"
        "  web.prod.svc.cluster.local.  AAAA  no such record  cluster zone cluster.local.\n"
        "\n"
        "web.prod.svc.cluster.local. A, AAAA: cluster\n"
        "  service prod/web (headless)\n"
        "  slice web-1: 1 ready, 0 not\n"
        "hint     that there is no AAAA record is normal: its addresses are IPv4\n"
        "verdict  web resolves to 192.0.2.1\n"
    )


def test_a_name_that_does_not(sidecar: Sidecar, capsys: pytest.CaptureFixture[str]) -> None:
    """1; both walks where they differ."""
    say(sidecar, Cluster({WEB: Name("NOERROR")}), "web", ndots="0")
    assert run(["--url", sidecar.url, "web"]) == 1
    out = capsys.readouterr().out
    assert "\nglibc: not found after 8 questions\n" in out
    assert "\nmusl: not found after 2 questions\n" in out


def test_what_is_asked(sidecar: Sidecar, tmp_path: Path) -> None:
    """Each option becomes a parameter."""
    token = tmp_path / "token"
    token.write_text("secret\n")
    run(
        ["--url", f"{sidecar.url}/prefix/", "--token-file", str(token), "--from", "10.1.2.3",
         "--search", "a.example,b.example", "--ndots", "2", "--try", "web", "SRV"]
    )  # fmt: skip
    query = {
        "name": "web", "type": "SRV", "from": "10.1.2.3", "search": "a.example,b.example",
        "ndots": "2", "try": "1",
    }  # fmt: skip
    assert sidecar.asked == [("/prefix/explain", query, "Bearer secret")]


def test_json(sidecar: Sidecar, capsys: pytest.CaptureFixture[str]) -> None:
    """What the sidecar says."""
    say(sidecar, Cluster({WEB: resolving()}), "web")
    assert run(["--url", sidecar.url, "--json", "web"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(sidecar.body)


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (400, b"name: it is none\n", 2, "kubedns-explain: name: it is none\n"),
        (401, b"for operators\n", 3, "{url}: HTTP status 401: for operators\n"),
        (429, b"\x1b[2Jtoo many\n", 3, "{url}: HTTP status 429: \\x1b[2Jtoo many\n"),
        (200, b"<html>", 3, "{url}: no explanation came\n"),
        (200, b"[]", 3, "{url}: no explanation came\n"),
    ],
)
def test_what_the_sidecar_refuses(
    sidecar: Sidecar,
    capsys: pytest.CaptureFixture[str],
    status: int,
    body: bytes,
    code: int,
    said: str,
) -> None:
    """2: it is the question; 3: there is no explanation. One line, without control characters."""
    sidecar.status, sidecar.body = status, body
    assert run(["--url", sidecar.url, "web"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith(said.format(url=sidecar.url))


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    """3, and why."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert run(["--url", url, "web"]) == 3
    assert capsys.readouterr().err == f"kubedns-explain: cannot ask {url}: Connection refused\n"


@pytest.mark.parametrize(
    "argv",
    [[], ["--nonsense", "web"], ["a", "b", "c"]],
)
def test_usage(argv: list[str]) -> None:
    """2."""
    with pytest.raises(SystemExit) as left:
        run(argv)
    assert left.value.code == 2


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:99999", ""])
def test_urls_that_are_none(url: str) -> None:
    """2."""
    assert run(["--url", url, "web"]) == 2


def test_a_token_file_that_is_none(tmp_path: Path) -> None:
    """2: missing, or empty."""
    (tmp_path / "empty").write_text("")
    for name in ("missing", "empty"):
        assert run(["--token-file", str(tmp_path / name), "web"]) == 2


def test_hostile_names_on_a_terminal(sidecar: Sidecar, capsys: pytest.CaptureFixture[str]) -> None:
    """What others put into it cannot move the cursor."""
    say(sidecar, Cluster({WEB: resolving(ours=service("web\x1b[2J\r\n", "\u202eprod"))}), "web")
    run(["--url", sidecar.url, "web"])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "web\\x1b[2J" in out


@pytest.mark.parametrize("said", [{"verdict": None}, {"verdict": [], "walks": [{}], "client": 3}])
def test_explanations_of_any_shape(sidecar: Sidecar, said: dict[str, object]) -> None:
    """Of another version: what is there is printed."""
    sidecar.body = json.dumps(said).encode()
    assert run(["--url", sidecar.url, "web"]) == 1


def test_it_starts_with_little() -> None:
    """In a pod with little CPU: neither Flask nor Twisted nor dnspython is read."""
    code = (
        "import sys, sidecar.explain.cli; "
        "print([m for m in ('flask', 'twisted', 'dns', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
