"""Every row of the table for a pod that is well: what dig prints, and what /explain says."""

from __future__ import annotations

import signal
from operator import attrgetter

import pytest

from tests.realapi.explained.around import Around
from tests.realapi.explained.cluster import CART
from tests.realapi.explained.names import NAMES
from tests.realapi.explained.outside import NOT_AGAIN, OUTSIDE, UPSTREAM_SILENT
from tests.realapi.explained.pod import Pod
from tests.realapi.explained.situation import Situation, check_all


@pytest.mark.parametrize("situation", NAMES, ids=attrgetter("story"))
def test_a_name_of_the_cluster(situation: Situation, pod: Pod) -> None:
    situation.check(pod)


def test_names_outside_the_cluster(pod: Pod) -> None:
    check_all(pod, OUTSIDE)
    for each in NOT_AGAIN:
        each.check_once_seen(pod)


def test_the_upstream_servers_are_silent(pod: Pod, around: Around) -> None:
    around.outside.program.send(signal.SIGSTOP)
    try:
        check_all(pod, UPSTREAM_SILENT)
    finally:
        around.outside.program.send(signal.SIGCONT)


def test_a_client_without_edns_is_told_nothing(pod: Pod) -> None:
    for name, rcode in (("stock.prod", "NXDOMAIN"), ("orders.prod", "NXDOMAIN")):
        for _ in range(2):  # the second time from the cache
            said = pod.dig(f"{name}.svc.cluster.local", "+noedns")
            assert said is not None
            assert (said.rcode, said.edns, said.errors) == (rcode, False, ())


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        ("cart", 0, f"verdict  cart resolves to {CART}"),
        ("stock", 1, "verdict  there is no service stock in namespace prod; there is one in "),
        ("reports", 1, "hint     pod reports-0: readiness probe fails"),
        ("a.closed.example. A --try", 1, "live: 127.0.0.1:"),
        ("cart NONSENSE", 2, "kubedns-explain: type: "),
    ],
)
def test_the_console_script(words: str, status: int, line: str, pod: Pod) -> None:
    found, text = pod.console("--from", "prod", *words.split())
    assert found == status, text
    assert any(each.strip().startswith(line) for each in text.splitlines()), text


def test_what_a_resolv_conf_is_cut_to(pod: Pod) -> None:
    """And how long it takes to explain a name with six search domains: printed, not judged."""
    six = [f"{each}svc.cluster.local" for each in ("prod.", "")] + ["cluster.local"]
    six += [f"{each}.corp.example" for each in ("a", "b", "c")]
    found = pod.explain("github.com", search=",".join(six), ndots="5")
    assert found["limits"] == []
    assert found["verdict"]["text"] == (
        "github.com resolves to 192.0.2.80, after 12 questions in vain"
    )
    print(f"explained with six search domains in {found['took_ms']} ms")
    found = pod.explain("github.com", search=",".join([*six, "d.corp.example"]), servers="4")
    cut = " ".join(found["limits"])
    assert "nameserver 4 of 4 is cut" in cut
    assert "search domain 7 of 7 is cut by glibc before 2.26" in cut
