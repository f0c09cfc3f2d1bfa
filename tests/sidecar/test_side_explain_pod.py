"""The three processes: names explained by what they know, and who may read it."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.pod.running import ROOT
from tests.realapi.waiting import until
from tests.sidecar.pod import Pod

WEB = "web.shop.svc.cluster.local."


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """Run a pod with a token for operators."""
    folder = tmp_path_factory.mktemp("pod")
    (folder / "token").write_text("secret\n")
    flags = (f"--operator-token-file={folder / 'token'}", "--node-resolv-conf=")
    with Pod(folder, *flags) as made:
        yield made


def get(pod: Pod, path: str, port: int = 0, **headers: str) -> tuple[int, bytes]:
    """Return status and body of a page of the operators' listener, or of another port."""
    url = f"http://127.0.0.1:{port or pod.sidecar.operator}{path}"
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def explain(pod: Pod, name: str, **query: str) -> dict[str, Any]:
    """Explain a name, and wait if there were too many questions just now."""

    def asked() -> dict[str, Any] | None:
        status, body = get(pod, f"/explain?{urlencode({'name': name, **query})}")
        assert status in (200, 429), body
        return json.loads(body) if status == 200 else None

    found: dict[str, Any] = until(asked, wanted=f"an explanation of {name}")
    return found


def test_a_service(pod: Pod) -> None:
    """What both processes know of it stands beside the walk."""
    found = explain(pod, "web", **{"from": "shop"})
    assert found["verdict"]["good"], found
    assert found["walks"][0]["steps"][0]["name"] == WEB
    first = found["questions"][0]
    assert first["authority"]["service"]["name"] == "web"
    assert first["forwarder"]["rule"]["kind"] == "cluster"
    assert found["verdict"]["text"].startswith("web resolves to ")


@pytest.mark.parametrize(
    ("name", "query", "text", "hint"),
    [
        ("wbe", {"from": "shop"}, "there is no service wbe in namespace shop", "did-you-mean"),
        ("web", {"from": "default"},
         "there is no service web in namespace default; there is one in shop", "namespace"),
        ("web.shopp.svc.cluster.local.", {}, "namespace shopp does not exist", "did-you-mean"),
        ("_htp._tcp.web.shop.svc.cluster.local.", {"type": "SRV"},
         "service web in namespace shop has no port named htp for that protocol; it has http "
         "(TCP), metrics (TCP)", "port"),
    ],
)  # fmt: skip
def test_names_that_are_not_there(
    pod: Pod, name: str, query: dict[str, str], text: str, hint: str
) -> None:
    """The sentence, and what to do."""
    verdict = explain(pod, name, **query)["verdict"]
    assert (verdict["good"], verdict["text"]) == (False, text)
    assert hint in [each["id"] for each in verdict["hints"]]


def test_how_long_it_takes(pod: Pod) -> None:
    """A name with six search domains; the figure for a quiet machine stands in README."""
    domains = [f"{each}.svc.cluster.local" for each in ("a", "b", "c", "d", "shop")]
    search = ",".join([*domains, "cluster.local"])
    # With a final dot nothing leaves the cluster's zone, whose servers are here.
    names = [f"nothing.{each}." for each in domains]
    took = [explain(pod, each, search=search)["took_ms"] for each in names]
    took.append(explain(pod, "web", search=search)["took_ms"])
    print(f"took {took} ms")
    assert min(took) < 1000


def test_a_frozen_kubedns(pod: Pod) -> None:
    """It is explained with what is there, and told."""
    pod.kubedns.send(signal.SIGSTOP)
    try:
        found = explain(pod, WEB, type="A")
    finally:
        pod.kubedns.send(signal.SIGCONT)
    pod.well()
    assert "kubedns: no answer within 1.5 s" in found["notes"]
    assert "kubedns-away" in [each["id"] for each in found["verdict"]["hints"]]
    assert found["questions"][0]["forwarder"]["rule"]["kind"] == "cluster"


def test_who_may_read_it(pod: Pod) -> None:
    """Nobody without the token on the port that everybody reaches; no page of another site."""
    open_to_all = pod.sidecar.port
    for path in ("/explain?name=web.", "/top", "/findings", "/recorder"):
        assert get(pod, path, open_to_all)[0] == 401
        assert get(pod, path, open_to_all, Authorization="Bearer wrong")[0] == 401
        assert get(pod, path, Host="evil.example")[0] == 403
    assert get(pod, "/top", open_to_all, Authorization="Bearer secret")[0] == 200
    assert get(pod, "/top")[0] == 200


def test_open_pages_name_no_client(pod: Pod) -> None:
    """Whoever asks, and under whatever name the operators' port is reached."""
    explain(pod, "nobody-else-asks-this", **{"from": "shop"})
    asked = b"nobody-else-asks-this.shop"
    assert asked in get(pod, "/recorder")[1]
    for path in ("/", "/?part=live", "/healthz"):
        assert asked not in get(pod, path, pod.sidecar.port)[1]
        assert asked not in get(pod, path, Host="evil.example")[1]


def test_the_recorder(pod: Pod) -> None:
    """JSON lines and pcap, as the forwarder keeps them."""
    explain(pod, WEB)

    def recorded(form: str) -> bytes | None:
        status, body = get(pod, f"/recorder?format={form}")
        assert status in (200, 429)
        return body if status == 200 else None

    lines = until(lambda: recorded("jsonl"), wanted="the recorder").splitlines()
    assert WEB in [json.loads(line)["name"] for line in lines]
    pcap = until(lambda: recorded("pcap"), wanted="the recorder as pcap")
    assert struct.unpack("<I", pcap[:4])[0] in (0xA1B2C3D4, 0xA1B23C4D)


def test_the_console_script(pod: Pod) -> None:
    """As kubectl exec runs it; exit status 0 and 1."""
    url = f"--url=http://127.0.0.1:{pod.sidecar.operator}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sidecar.explain", url, *argv],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    done = until(lambda: (d := run("--from=shop", "web")).returncode != 3 and d, wanted="0")
    assert done.returncode == 0, done.stderr
    assert "verdict  web resolves to " in done.stdout
    done = until(lambda: (d := run("--from=shop", "wbe")).returncode != 3 and d, wanted="1")
    assert done.returncode == 1, done.stderr


def test_the_forwarder_ends(tmp_path: Path) -> None:
    """What kubedns knows is told, and that nobody gets an answer now."""
    with Pod(tmp_path, "--node-resolv-conf=") as made:
        made.dnsmasq.kill()
        until(lambda: get(made, "/top")[0] == 502, wanted="that it is gone")
        found = explain(made, WEB, type="A")
    assert not found["verdict"]["good"]
    assert found["verdict"]["text"].startswith("the DNS of this pod does not answer: connection ")
    assert f"kubedns knows {WEB}" in found["verdict"]["text"]
