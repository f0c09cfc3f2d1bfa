"""Alert rules and dashboard: every series they name is one that running processes have."""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from collections.abc import Iterator

import pytest
import yaml

from tests.absent import unavailable
from tests.forwarder.program import Forwarder
from tests.manifests.kustomized import MANIFESTS, ROOT
from tests.pod.running import Running
from tests.realapi.ports import free_port
from tests.realapi.program import Program
from tests.realapi.waiting import until

FOLDER = MANIFESTS / "components" / "monitoring"
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "prometheusrule.yaml").read_text())["spec"]["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = [
    (panel["title"], target["expr"])
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]  # fmt: skip
EXPRESSIONS = [*((rule["alert"], rule["expr"]) for rule in RULES), *PANELS]
SERIES = re.compile(r"\b(?:kubedns|skydns|process|python)_\w+")
PROBED = "kubernetes.default.svc.cluster.local"


def series(exposition: str) -> set[str]:
    """Return the names of all series that an exposition has, or would have."""
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", exposition, re.M):
        names |= {f"{name}{end}" for end in _ENDS.get(kind, ("",))}
    return names


_ENDS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """What Prometheus finds at the two ports of a pod, 10055 and 10054, under their arguments."""
    folder = tmp_path_factory.mktemp("pod")
    status, port = free_port(), free_port()
    with Running(folder / "kubedns.log") as kubedns:
        kubedns.ready()
        cluster = f"127.0.0.1#{kubedns.dns_port}"
        forwarder = Forwarder(
            folder, f"--server=/cluster.local/{cluster}", "--no-resolv", "--no-hosts",
            nanny=[f"-kubednsServer={cluster.replace('#', ':')}",
                   f"--admin-address=127.0.0.1:{status}"],
        )  # fmt: skip
        with forwarder:
            sidecar = Program(
                [sys.executable, "-m", "sidecar", f"--prometheus-port={port}",
                 "--operator-address=off", f"--dnsmasq-port={forwarder.port}", "--drain=0s",
                 f"--kubedns-status=127.0.0.1:{kubedns.http_port}",
                 f"--dnsmasq-status=127.0.0.1:{status}",
                 f"--probe=kubedns,127.0.0.1:{kubedns.dns_port},{PROBED},1,SRV",
                 f"--probe=dnsmasq,127.0.0.1:{forwarder.port},{PROBED},1,SRV"],
                log=folder / "sidecar.log",
                environment={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            )  # fmt: skip
            try:
                # The forwarder's series come when its pages have been read.
                passed_on = until(
                    lambda: page(port), lambda text: "# TYPE kubedns_forwarder_" in text,
                    wanted=f"the forwarder's series:\n{sidecar.last_words()}",
                )  # fmt: skip
            finally:
                sidecar.kill()
        yield series(passed_on) | series(kubedns.page("/metrics")[1])


def page(port: int) -> str:
    """Return /metrics of a port; empty while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as got:
            text: str = got.read().decode()
            return text
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("where", "expression"), EXPRESSIONS, ids=[f"{w}-{n}" for n, (w, _) in enumerate(EXPRESSIONS)]
)
def test_every_series_is_a_real_one(where: str, expression: str, known: set[str]) -> None:
    """By its exact name, with the endings of counters and histograms."""
    named = set(SERIES.findall(expression))
    assert named or "up{" in expression
    assert named <= known


def test_alerts_of_the_readme_are_there() -> None:
    """What is worth an alert there has one here."""
    (text,) = re.findall(
        r"^Metrics worth an alert:(.*?)\n\n", (ROOT / "README.md").read_text(), re.S | re.M
    )
    alerts, _, _ = text.partition(".\n")
    alerted = set(SERIES.findall(" ".join(rule["expr"] for rule in RULES)))
    either = {"kubedns_config_errors_total": "kubedns_forwarder_config_bad"}  # one ConfigMap
    for name in SERIES.findall(alerts):
        assert either.get(name, name) in alerted


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_every_alert_says_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    """Who is woken at night reads these."""
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    assert all(text.strip() for text in rule["annotations"].values())


def test_every_alert_has_a_reason_for_its_threshold() -> None:
    """A comment in front of it, or it shares that of the one before."""
    lines = (FOLDER / "prometheusrule.yaml").read_text().splitlines()
    first = [n for n, line in enumerate(lines) if line.startswith("    - alert:")]
    without = [lines[n].split()[-1] for n in first if not lines[n - 1].startswith("    #")]
    assert without == ["KubeDNSDrops"]


@pytest.mark.parametrize(
    ("where", "expression"), EXPRESSIONS, ids=[f"{w}-{n}" for n, (w, _) in enumerate(EXPRESSIONS)]
)
def test_every_expression_is_good_promql(where: str, expression: str) -> None:
    """Read by a parser of PromQL; Grafana's variable stands for a duration."""
    try:
        import promql_parser
    except ImportError:
        unavailable("not installed: promql-parser")
    promql_parser.parse(expression.replace("$__rate_interval", "5m"))


def test_the_dashboard_is_drawn_from_what_the_viewer_chooses() -> None:
    """Data source and pods are variables, panels do not overlap, and each has its own number."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        at = panel["gridPos"]
        area = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not area & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        cells |= area
    assert all('pod=~"$pod"' in expression for _, expression in PANELS)
