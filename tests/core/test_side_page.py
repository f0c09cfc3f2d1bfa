"""The status page: of a pod that is well, of one that is not, of one that little is known of."""

import base64
import hashlib
import re
from dataclasses import replace

import pytest

from kubedns import __version__
from sidecar import page
from sidecar.state import State, Warned
from tests.browser import documents, states
from tests.browser.markup import Markup
from tests.browser.states import NOW


def read(state: State, now: float = NOW) -> Markup:
    return Markup(page.render(state, now))


def headings(reader: Markup) -> list[str | None]:
    return [each for each in reader.ids("h2") if each]


def test_well():
    """A pod that is well says so in its first words, in words and not in colours alone."""
    seen = read(states.well()).text
    assert seen.startswith("✓ well: kube-dns")
    assert "✓ Well Every probe is good" in seen
    assert "DNS of cluster.local." in seen


def test_not_well():
    """What is wrong stands before all the rest, and the title of the window tells it too."""
    seen = read(states.unwell()).text
    assert seen.startswith("✕ not well: kube-dns")
    assert seen.index("i/o timeout") < seen.index("Processes")


def test_order_of_sections():
    """The sections stand in the order in which they are needed at night."""
    order = ["processes", "cluster", "configuration", "routes", "cache", "load", "warnings"]
    order.append("operators")
    for state in (states.well(), states.unwell(), states.foreign(), State(began=NOW)):
        assert headings(read(state)) == order


def test_processes():
    """Each process tells its state, since when, its latency, its make, and who asked it what."""
    seen = read(states.well()).text
    assert "kubedns ✓ answers since 15:43:39 UTC , 2 h ago" in seen
    assert "latency 1.3 ms" in seen
    assert "version kube-dns-py 0.1.0" in seen
    asked = "asked kubernetes.default.svc.cluster.local. ANY of 127.0.0.1:10053, every 5 s"
    assert asked in seen
    assert f"sidecar ✓ serves this page since 15:42:39 UTC , 2 h 1 min ago version kube-dns-py {__version__}" in seen  # noqa: E501  # fmt: skip


def test_failing_probe():
    """A process whose probe fails is bad; one of ours that still replies is doubtful."""
    seen = read(states.unwell()).text
    assert "kubedns ✕ probe fails since 17:43:08 UTC , 31 s ago" in seen
    assert "dnsmasq ! alive, probe fails" in seen
    assert "failed 8 of 1,440 rounds" in seen


def test_before_the_first_probe():
    """Right after the start nothing is known, and nothing is said to be well."""
    state = states.well()
    state.health = {
        label: replace(each, last=None, rounds=0, errors=0) for label, each in state.health.items()
    }
    seen = read(state).text
    assert "✕ Not well" in seen
    assert "· not probed yet" in seen


def test_nothing_at_all():
    """Without probes and neighbours the page stands, and says what it does not know."""
    seen = read(State(began=NOW - 5)).text
    assert "the status of kubedns is not read (it is not looked at)" in seen
    assert "No samples yet" in seen


def test_another_make():
    """Neighbours of another make have less on the page, and a note says why."""
    seen = read(states.foreign()).text
    assert "version dnsmasq-2.90 (another make)" in seen
    assert "another make: only what its answers and counters tell is shown" in seen
    assert "Not known: the status of kubedns is not read (no page there" in seen
    assert "These are its counters." in seen
    assert "hits 48,211" in seen


def test_status_that_grows_old():
    """What a neighbour said before it went away is shown as old, with its time."""
    state = states.well()
    gone = replace(state.neighbours["dnsmasq"], error="connection refused", at=NOW - 300)
    state.neighbours = {**state.neighbours, "dnsmasq": gone}
    assert page.render(state, NOW).count(' class="wide old"') == 1
    seen = read(state).text
    assert seen.count("! old: dnsmasq read 17:38:39 UTC , 5 min ago") == 4
    assert "Cluster data kubedns read 2 s ago" in seen


def test_remarks():
    """What does not make the pod unwell, and should be known, stands at the top as well."""
    status = documents.forwarder_status()
    status["config"] |= {"ignored_servers": ["ignoring nameserver 127.0.0.1 - local interface"]}
    seen = read(states.well(forwarder=status)).text
    assert "✓ Well" in seen
    assert seen.index("! Worth a look dnsmasq: ignoring nameserver") < seen.index("Processes")


def test_cluster_data():
    """The sources with state and age, the serial and the number of records."""
    seen = read(states.well()).text
    assert "✓ in sync with the cluster" in seen
    assert "services ✓ watching 212 4 s ago 0" in seen
    assert "serial 1795283020" in seen
    assert "records 1,455" in seen


def test_not_in_sync():
    """What kubedns waits for is named, and the last error of each source stands below it."""
    seen = read(states.unwell()).text
    assert "✕ not in sync: waiting too long for services" in seen
    assert "✕ forbidden, not in sync" in seen
    assert "Last error: lists of services failed: 403" in seen


def test_configuration():
    """The configuration in force of both, and why a part of the last one is not."""
    seen = read(states.unwell()).text
    assert "stub domain corp.example 10.20.0.53, 10.20.1.53 10.20.0.53:53, 10.20.1.53:53" in seen
    assert "Version 4f7c1d2b9a0e of the ConfigMap. Servers" in seen
    assert "dnsmasq, not taken over, 17:31:02 UTC , 12 min ago :" in seen
    assert seen.count("stubDomains: corp.example[1]: 10.20.0.300 is no IP address") == 1
    assert "! ignoring nameserver 127.0.0.1 - local interface" in seen


def test_configuration_mended():
    """An error that was mended is told as the last one, and as mended."""
    status = documents.forwarder_status()
    problem = {"key": "stubDomains", "reason": "no JSON", "time": "2026-11-21T17:00:00Z"}
    status["config"] |= {"last_error": problem}
    assert "dnsmasq, mended, 17:00:00 UTC" in read(states.well(forwarder=status)).text


def test_routes():
    """Each route shows its upstreams, those with trouble first, with latency and losses."""
    seen = read(states.unwell()).text
    assert "5 routes, 2 with trouble" in seen
    assert ". everything else · fastest 192.0.2.53 ✕ looping — 1,842 0 0 0" in seen
    assert "10.20.0.53 ✕ down 15.3 ms 1,842 44 40 12" in seen
    assert "10.20.1.53 ! up, losing 412 ms 1,842 0 9 4" in seen
    assert seen.index("✕ looping") < seen.index("cluster.local to kubedns")


def test_thousand_routes():
    """Of a thousand routes the first are shown, the bad ones before all, and the rest counted."""
    made = page.render(states.crowded(), NOW)
    seen = Markup(made).text
    assert "1,000 routes, 2 with trouble" in seen
    assert seen.index("team-500.corp.example") < seen.index("team-999.corp.example")
    assert seen.index("team-999.corp.example") < seen.index("team-0.corp.example")
    assert "and 15 more upstreams" in seen
    assert "and 980 more, none of them with trouble" in seen
    assert len(made) < 60_000


def test_all_routes_bad():
    """When more routes have trouble than are listed, the rest says how many."""
    down = documents.upstream("10.0.0.53", "down")
    made = [documents.route(f"d{number}.example", "stub", down) for number in range(50)]
    seen = read(states.well(forwarder=documents.forwarder_status(routes=made))).text
    assert "and 30 more, 30 of them with trouble" in seen


def test_cluster_and_default_before_stub_domains():
    """Many stub domains do not push the cluster's own names from the page."""
    stubs = [
        documents.route(f"d{n}.example", "stub", documents.upstream("10.0.0.53")) for n in range(50)
    ]
    default = documents.route(".", "default", documents.upstream("192.0.2.53"))
    seen = read(states.well(forwarder=documents.forwarder_status(routes=[*stubs, default]))).text
    assert seen.index("everything else") < seen.index("d0.example")


def test_cache_and_load():
    """Entries, memory, hit rate, and limits with how often each was reached."""
    seen = read(states.unwell()).text
    assert "entries 412 of 1,000" in seen
    assert "memory 95.8 KiB of 16.0 MiB" in seen
    assert "hit rate since start 84.1 %" in seen
    assert "questions 1,720 2,000 ! 14 times" in seen
    assert "dnsmasq, dropped: no room 31" in seen


def test_warnings():
    """Warnings of all three stand together, the newest first, with a bound."""
    seen = read(states.unwell()).text
    newest = seen.index("Maximum number of concurrent")
    assert newest < seen.index("sidecar probe kubedns: no answer") < seen.index("query loop")
    many = [Warned(NOW - n, "sidecar", f"number {n}") for n in range(40, 0, -1)]
    seen = read(states.well(warned=many)).text
    assert "number 1 " in seen
    assert "number 39 " not in seen
    assert "and 16 older ones" in seen


def test_policy_allows_just_what_stands_in_the_page():
    """The Content-Security-Policy names the style and the script of the page by their hashes."""
    made = page.render(states.well(), NOW)
    for tag in ("style", "script"):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", made, re.S)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in page.CONTENT_SECURITY_POLICY
    assert "default-src 'none'" in page.CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("name", ["well", "unwell", "aged", "crowded", "foreign", "hostile"])
def test_nothing_from_outside(name):
    """The page asks nobody else for anything, and holds no style or script in its elements."""
    made = page.render(getattr(states, name)(), NOW)
    for tag, attributes in Markup(made).elements:
        assert tag not in ("img", "iframe", "object", "embed", "form", "base", "a")
        assert not [key for key in attributes if key.startswith("on") or key in ("src", "style")]
        assert attributes.get("href") in (None, "data:,")
    style = made[: made.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_tables_and_graphics_are_named():
    """Each column has a header cell, each section a heading, each drawing a sentence."""
    elements = read(states.well()).elements
    assert all("scope" in attributes for tag, attributes in elements if tag == "th")
    assert all("aria-labelledby" in named for tag, named in elements if tag == "section")
    drawings = [named["aria-label"] for tag, named in elements if tag == "svg"]
    assert drawings[0] == "Hit rate over 15 min: 68.8 % to 93.0 %, at last 91.1 %"


def test_fragment_is_the_live_part():
    """What the script fetches is just the part of the page that changes."""
    state = states.unwell()
    assert page.fragment(state, NOW) in page.render(state, NOW)
    assert page.fragment(state, NOW).lstrip().startswith('<div id="live"')


def test_small():
    """The page of a usual pod fits in 40 KB."""
    assert len(page.render(states.well(), NOW).encode()) < 40_000
