"""The metrics, line by line: the original's exact names, our own, the forwarder's passed on."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar import metrics
from sidecar.health import Health, Round
from sidecar.probe import Probe
from sidecar.state import Neighbour, State, Statistics

FORWARDER = """\
# HELP process_open_fds Number of open file descriptors.
# TYPE process_open_fds gauge
process_open_fds 19.0
# HELP python_info Python platform information
# TYPE python_info gauge
python_info{implementation="CPython",major="3"} 1.0
# HELP kubedns_forwarder_hits_total Queries answered with what was there.
# TYPE kubedns_forwarder_hits_total counter
kubedns_forwarder_hits_total{protocol="udp"} 7.0
kubedns_forwarder_hits_total{protocol="tcp"} 0.0
# HELP kubedns_forwarder_dropped_total Queries not answered.
# TYPE kubedns_forwarder_dropped_total counter
# HELP kubedns_forwarder_limit Bounds.
# TYPE kubedns_forwarder_limit gauge
kubedns_forwarder_limit{limit="questions of one \\"group\\" {a, b}"} 1000.0
# HELP kubedns_forwarder_event_loop_lag_seconds How late the event loop was.
# TYPE kubedns_forwarder_event_loop_lag_seconds histogram
kubedns_forwarder_event_loop_lag_seconds_bucket{le="0.001"} 2.0
kubedns_forwarder_event_loop_lag_seconds_bucket{le="+Inf"} 2.0
kubedns_forwarder_event_loop_lag_seconds_count 2.0
kubedns_forwarder_event_loop_lag_seconds_sum 0.0005737490009778412
"""
OURS = FORWARDER[FORWARDER.index("# HELP kubedns_forwarder_hits") :]

BUCKETS = [*(f"{0.25 * 2**power:g}" for power in range(16)), "+Inf"]


def probe(label: str) -> Health:
    """Return a probe before its first round."""
    return Health(Probe(label, "127.0.0.1", 53, "x.", 5, "SRV"), since=100.0)


def exposed(state: State, namespace: str = "kubedns") -> list[str]:
    """Return the lines of /metrics at the time 1000, without those of the process."""
    text = metrics.exposition(state, namespace, lambda: 1000.0)().decode()
    assert text.endswith("\n")
    list(text_string_to_metric_families(text))
    return [line for line in text.splitlines() if not re.search(r"\bprocess_", line)]


def pod(forwarder: str = "", **health: Health) -> State:
    """Return a state with some probes."""
    return State(
        began=900.0,
        health=health,
        neighbours={
            "kubedns": Neighbour("kubedns", "127.0.0.1:1", 900.0, at=990.0, error=""),
            "dnsmasq": Neighbour("dnsmasq", "127.0.0.1:2", 900.0, metrics=forwarder),
        },
    )


def test_everything_is_there_from_the_start() -> None:
    """With value 0, each with its help and its type, in this order."""
    lines = exposed(pod(kubedns=probe("kubedns")))
    assert [line for line in lines if not line.startswith("# HELP")] == [
        "# TYPE kubedns_dnsmasq_hits untyped",
        "kubedns_dnsmasq_hits 0.0",
        "# TYPE kubedns_dnsmasq_misses untyped",
        "kubedns_dnsmasq_misses 0.0",
        "# TYPE kubedns_dnsmasq_evictions untyped",
        "kubedns_dnsmasq_evictions 0.0",
        "# TYPE kubedns_dnsmasq_insertions untyped",
        "kubedns_dnsmasq_insertions 0.0",
        "# TYPE kubedns_dnsmasq_errors untyped",
        "kubedns_dnsmasq_errors 0.0",
        "# TYPE kubedns_dnsmasq_max_size gauge",
        "kubedns_dnsmasq_max_size 0.0",
        "# TYPE kubedns_probe_kubedns_latency_ms histogram",
        *(f'kubedns_probe_kubedns_latency_ms_bucket{{le="{le}"}} 0.0' for le in BUCKETS),
        "kubedns_probe_kubedns_latency_ms_count 0.0",
        "kubedns_probe_kubedns_latency_ms_sum 0.0",
        "# TYPE kubedns_probe_kubedns_errors untyped",
        "kubedns_probe_kubedns_errors 0.0",
        "# TYPE kubedns_sidecar_build_info gauge",
        'kubedns_sidecar_build_info{version="0.1.0"} 1.0',
        "# TYPE kubedns_sidecar_healthy gauge",
        "kubedns_sidecar_healthy 0.0",
        "# TYPE kubedns_sidecar_ready gauge",
        "kubedns_sidecar_ready 0.0",
        "# TYPE kubedns_sidecar_draining gauge",
        "kubedns_sidecar_draining 0.0",
        "# TYPE kubedns_sidecar_dnsmasq_poll_age_seconds gauge",
        "kubedns_sidecar_dnsmasq_poll_age_seconds 100.0",
        "# TYPE kubedns_sidecar_neighbour_up gauge",
        'kubedns_sidecar_neighbour_up{neighbour="kubedns"} 1.0',
        'kubedns_sidecar_neighbour_up{neighbour="dnsmasq"} 0.0',
        "# TYPE kubedns_sidecar_neighbour_age_seconds gauge",
        'kubedns_sidecar_neighbour_age_seconds{neighbour="kubedns"} 10.0',
        'kubedns_sidecar_neighbour_age_seconds{neighbour="dnsmasq"} 100.0',
        "# TYPE kubedns_sidecar_probe_up gauge",
        'kubedns_sidecar_probe_up{probe="kubedns"} 0.0',
        "# TYPE kubedns_sidecar_probe_alive gauge",
        'kubedns_sidecar_probe_alive{probe="kubedns"} 0.0',
        "# TYPE kubedns_sidecar_probe_since_timestamp_seconds gauge",
        'kubedns_sidecar_probe_since_timestamp_seconds{probe="kubedns"} 100.0',
        "# TYPE kubedns_sidecar_probe_latency_seconds gauge",
        'kubedns_sidecar_probe_latency_seconds{probe="kubedns"} 0.0',
        "# TYPE kubedns_sidecar_probe_rounds_total counter",
        'kubedns_sidecar_probe_rounds_total{probe="kubedns"} 0.0',
        "# TYPE kubedns_sidecar_probe_server_info gauge",
        'kubedns_sidecar_probe_server_info{make="unknown",probe="kubedns",version=""} 1.0',
    ]
    helped = [line.split()[2] for line in lines if line.startswith("# HELP")]
    typed = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert helped == typed
    assert len(set(typed)) == len(typed)


def test_the_original_s_names_hold_values() -> None:
    """Counters of dnsmasq; latencies of good rounds, cumulated; errors."""
    known = probe("a")
    for latency_s, error in ((0.0003, ""), (0.003, ""), (20.0, ""), (0.001, "x")):
        known = known.after(Round(1.0, latency_s, error, replied=True))
    state = pod(a=known)
    state.statistics = Statistics(1, 2, 3, 4, max_size=1337, errors=6, at=940.0)
    lines = exposed(state)
    assert {
        "kubedns_dnsmasq_hits 1.0",
        "kubedns_dnsmasq_misses 2.0",
        "kubedns_dnsmasq_evictions 3.0",
        "kubedns_dnsmasq_insertions 4.0",
        "kubedns_dnsmasq_max_size 1337.0",
        "kubedns_dnsmasq_errors 6.0",
        "kubedns_sidecar_dnsmasq_poll_age_seconds 60.0",
        'kubedns_probe_a_latency_ms_bucket{le="0.25"} 0.0',
        'kubedns_probe_a_latency_ms_bucket{le="0.5"} 1.0',
        'kubedns_probe_a_latency_ms_bucket{le="4"} 2.0',
        'kubedns_probe_a_latency_ms_bucket{le="8192"} 2.0',
        'kubedns_probe_a_latency_ms_bucket{le="+Inf"} 3.0',
        "kubedns_probe_a_latency_ms_count 3.0",
        "kubedns_probe_a_latency_ms_sum 20003.3",
        "kubedns_probe_a_errors 1.0",
        'kubedns_sidecar_probe_rounds_total{probe="a"} 4.0',
    } <= set(lines)
    assert not any(re.search(r"(dnsmasq|_errors).*_total", line) for line in lines)


@pytest.mark.parametrize(("namespace", "prefix"), [("acme", "acme_"), ("", "")])
def test_the_namespace_is_that_of_the_original_s_names(namespace: str, prefix: str) -> None:
    """Ours keep their own."""
    lines = exposed(pod(a=probe("a")), namespace)
    assert f"{prefix}dnsmasq_hits 0.0" in lines
    assert f"{prefix}probe_a_errors 0.0" in lines
    assert 'kubedns_sidecar_probe_up{probe="a"} 0.0' in lines


def test_what_a_server_says_of_itself_cannot_break_a_line() -> None:
    """Quotes, backslashes and line ends of a version are escaped."""
    hostile = 'x"} 1\nevil 1 \\'
    known = probe("a").after(Round(1.0, 0.1, "", replied=True, version=hostile))
    lines = exposed(pod(a=known))
    assert not any(line.startswith("evil") for line in lines)
    assert any('version="x\\"} 1\\nevil 1 \\\\"' in line for line in lines)


def test_the_process_s_own() -> None:
    """As the original has them."""
    text = metrics.exposition(pod(), "kubedns", lambda: 0.0)().decode()
    assert "process_resident_memory_bytes " in text
    assert "python_" not in text


def test_the_forwarder_s_metrics_are_passed_on() -> None:
    """As they came, behind ours; not those of its process."""
    lines = exposed(pod(FORWARDER))
    assert lines[-len(OURS.splitlines()) :] == OURS.splitlines()
    assert not any("python_" in line for line in lines)


def test_nothing_is_passed_on_of_who_cannot_be_read() -> None:
    """No page, no series."""
    assert not any("kubedns_forwarder_" in line for line in exposed(pod("")))


@pytest.mark.parametrize(
    "broken",
    [
        "kubedns_forwarder_hits_total",
        "kubedns_forwarder_hits_total{",
        'kubedns_forwarder_hits_total{protocol="udp} 1.0',
        'kubedns_forwarder_hits_total{protocol="udp"} 1.0 2.0 3.0',
        "kubedns_dnsmasq_hits 5.0",
        "# TYPE",
        "# EOF",
        "<html>",
    ],
)
def test_a_family_with_a_broken_line_is_left_out(broken: str) -> None:
    """As a whole; the others are not."""
    first, rest = OURS.split("# HELP kubedns_forwarder_dropped", 1)
    assert metrics.passed(f"{first}{broken}\n# HELP kubedns_forwarder_dropped{rest}") == (
        "# HELP kubedns_forwarder_dropped" + rest
    )


@pytest.mark.parametrize("text", ["", "\n\n", "junk\n", "# HELP x y\nx 1", "\0" * 99])
def test_no_exposition_at_all(text: str) -> None:
    """Nothing comes of it."""
    assert metrics.passed(text) == ""
