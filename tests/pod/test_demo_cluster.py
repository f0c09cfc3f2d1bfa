"""
Every kind of record of the demo cluster, asked with dig and kdig over UDP and TCP.

Of kubedns itself, and of the forwarder that `make run` puts in front of it.
"""

import json
import re
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from tests.pod.running import COMMANDS, MadeRun, Running, control_octets, until

N = "shop.svc.cluster.local"
QUESTIONS = [
    ("kubernetes.default.svc.cluster.local A", ["10.96.0.1"]),
    (f"dual.{N} A", ["10.96.20.3"]),
    (f"dual.{N} AAAA", ["fd00:10:96::2003"]),
    (f"six.{N} AAAA", ["fd00:10:96::6"]),
    (f"six.{N} A", []),
    (f"_http._tcp.web.{N} SRV", [f"10 100 80 web.{N}."]),
    (f"web.{N} SRV", [f"10 100 80 web.{N}.", f"10 100 9090 web.{N}."]),
    (f"stock.{N} A", ["10.244.1.10", "10.244.2.10"]),
    (f"stock-1.stock.{N} A", ["10.244.2.10"]),
    (f"stock-2.stock.{N} A", []),
    (f"_mysql._tcp.stock.{N} SRV", [f"10 50 3306 stock-{i}.stock.{N}." for i in (0, 1)]),
    (f"search.{N} AAAA", ["fd00:10:244:1::20", "fd00:10:244:2::20"]),
    (f"10-244-1-20.search.{N} A", ["10.244.1.20"]),
    (f"primary.legacy.{N} A", ["198.51.100.90"]),
    (f"idle.{N} A", []),
    (f"payments.{N} A", ["www.example.com."]),
    ("1-2-3-4.shop.pod.cluster.local A", ["1.2.3.4"]),
    ("fd00--1.shop.pod.cluster.local AAAA", ["fd00::1"]),
    ("dns-version.cluster.local TXT", ['"1.1.0"']),
    ("ns.dns.cluster.local A", ["10.96.0.10"]),
    ("cluster.local NS", ["ns.dns.cluster.local."]),
    ("10.1.244.10.in-addr.arpa PTR", [f"stock-0.stock.{N}."]),
    ("1.0.96.10.in-addr.arpa PTR", ["kubernetes.default.svc.cluster.local."]),
]


@pytest.mark.parametrize("program", ["dig", "kdig"])
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
@pytest.mark.parametrize(("question", "answer"), QUESTIONS, ids=[q for q, _ in QUESTIONS])
def test_a_record(
    demo: Running, program: str, transport: str, question: str, answer: list[str]
) -> None:
    """Two clients that share no code with us, nor with each other."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    assert demo.short(*question.split(), transport, program=program) == answer


THROUGH_THE_FORWARDER = [
    (question, ["192.0.2.80", *answer] if "payments" in question else answer)
    for question, answer in QUESTIONS
]


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
@pytest.mark.parametrize(
    ("question", "answer"), THROUGH_THE_FORWARDER, ids=[q for q, _ in QUESTIONS]
)
def test_a_record_through_the_forwarder(
    made_run: MadeRun, transport: str, question: str, answer: list[str]
) -> None:
    """The same, and again from its cache; an alias that leads outside is completed."""
    if shutil.which("dig") is None:
        pytest.skip("dig is not installed")
    for _ in range(2):
        assert made_run.short(*question.split(), transport) == answer


@pytest.mark.parametrize("program", ["dig", "kdig"])
def test_no_client_warns(demo: Running, program: str) -> None:
    """Header, OPT, a missing name, an unknown version of EDNS, a cut answer: nothing is odd."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    for args in (
        [f"web.{N}"], [f"nope.{N}"], ["+edns=0", f"web.{N}"], ["+dnssec", f"web.{N}"],
        ["+bufsize=512", f"_mysql._tcp.stock.{N}", "SRV"], ["cluster.local", "SOA"],
        ["+noedns", f"stock.{N}"], ["+tcp", f"web.{N}"], ["+cookie=0123456789abcdef", f"web.{N}"],
    ):  # fmt: skip
        printed = demo.dig(*args, program=program)
        # dig says of any name in .local that it belongs to multicast DNS.
        assert "WARNING" not in printed.replace("WARNING: .local", "").upper()
        assert re.search(r"flags: qr aa ra|Flags: qr aa ra", printed)
    if program == "dig":
        assert "BADVERS" in demo.dig("+edns=1", "+noednsneg", f"web.{N}")
        assert "TCP KEEPALIVE: 10.0" in demo.dig("+tcp", "+keepalive", f"web.{N}").upper()


def test_an_alias_inside_the_cluster(demo: Running) -> None:
    """CNAME first, then the address."""
    printed = demo.dig("+noall", "+answer", f"store.{N}").split()
    assert printed.index("CNAME") < printed.index("10.96.20.1")


def test_the_status_page(demo: Running) -> None:
    """What an operator and the tests of others read."""
    status = demo.status()
    assert status["synced"] is True
    assert status["exceptions"] == 0
    (source,) = status["sources"]
    assert source["state"] == "watching"
    assert {"resource", "synced", "resource_version", "age_s", "relists", "errors", "last_error",
            "objects"} <= source.keys()  # fmt: skip
    assert status["serial"] > 0
    assert status["services"] >= 11
    assert status["records"] > status["services"]


def test_the_other_pages(demo: Running) -> None:
    """Readiness, the dump, metrics with their old names; anything else is 404."""
    assert demo.page("/readiness") == (200, "ok\n")
    code, text = demo.page("/cache")
    assert code == 200
    namespaces = json.loads(text)["ChildNodes"]["local"]["ChildNodes"]["cluster"]["ChildNodes"]
    assert "web" in namespaces["svc"]["ChildNodes"]["shop"]["ChildNodes"]
    demo.dig(f"web.{N}")
    code, text = demo.page("/metrics")
    assert code == 200
    assert 'skydns_skydns_dns_request_count_total{system="auth"}' in text
    assert "kubedns_synced 1.0" in text
    assert demo.page("/nope")[0] == 404


def test_the_log_is_fit_for_a_terminal(demo: Running) -> None:
    """Whatever was asked."""
    demo.dig("a\\010b\\027[31m.example.com", "+tcp")
    assert control_octets(demo.text()) == []


def test_make_run_ends_with_ctrl_c(tmp_path: Path) -> None:
    """All processes end in good order, and their ports are free again."""
    for _ in range(2):
        with MadeRun(tmp_path) as running:
            children = running.ready().children()
            assert sorted(children) == list(COMMANDS)
            beside = psutil.Process(running.process.pid).children(recursive=True)
            running.process.send_signal(signal.SIGINT)
            assert running.process.wait(20) == 0
            until(lambda all=beside: not any(map(psutil.Process.is_running, all)), "left behind")
            assert running.text().count("stopped") == 3
            assert "Traceback" not in running.text()


def test_each_line_of_the_log_begins_with_its_process(made_run: MadeRun) -> None:
    """And holds nothing that would colour a terminal."""
    lines = [line for line in made_run.text().splitlines() if "] " in line]
    assert {line.partition(" | ")[0] for line in lines} == {"kubedns", "dnsmasq", "sidecar"}
    assert control_octets(made_run.text()) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_make_run_ends_when_one_dies(tmp_path: Path, name: str) -> None:
    """With the status of the one that died; the others end in good order."""
    with MadeRun(tmp_path) as running:
        children = running.ready().children()
        children[name].kill()
        assert running.process.wait(20) == 128 + signal.SIGKILL
        assert not any(map(psutil.Process.is_running, children.values()))


def test_make_run_starts_with_the_configuration_that_it_was_told(tmp_path: Path) -> None:
    """What is left of the last time is gone, and nothing but the demo's resolver is asked."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "stubDomains").write_text("{")
    with MadeRun(tmp_path) as running:
        running.ready()
        assert [path.name for path in running.config.iterdir()] == ["upstreamNameservers"]
        until(lambda: running.text().count("1 upstream nameservers") == 2, "not read by both")
