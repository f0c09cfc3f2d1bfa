"""The forwarder as a process explains itself: to dig (RFC 8914) and to operators (/explain)."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dns.edns
import dns.message
import psutil
import pytest

from tests.forwarder.behaviours import quick, reply, silent, truncated, udp_or_tcp
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.program import Forwarder
from tests.forwarder.scripted import Act, Asked, Play
from tests.forwarder.test_fwd_feed_end_to_end import DOMAIN, Cluster
from tests.realapi.waiting import until

pytestmark = pytest.mark.usefixtures("ours_only")

WEB = "web.prod.svc.cluster.local."
WHY = "no service web in namespace prod; there is one in test"
SOA = "cluster.local. 30 IN SOA ns.dns.cluster.local. h.cluster.local. 1 7200 1800 86400 30"


def why(code: int, text: str, *answer: str, rcode: int = 0, soa: str = SOA) -> Play:
    """Answer with an extended error; without records there is an SOA."""

    def play(asked: Asked) -> Sequence[Act]:
        made = dns.message.from_wire(
            reply(asked, *answer, rcode=rcode, authority=() if answer else (soa,))
        )
        option = dns.edns.EDEOption(dns.edns.EDECode.make(code), text)
        made.use_edns(0, options=[option] if asked.edns else [])
        return [Act(made.to_wire())]

    return play


def dig(forwarder: Forwarder, *words: str) -> tuple[str, str]:
    """Return the status, and the extended error as dig prints it; empty without one."""
    done = subprocess.run(
        ["dig", "@127.0.0.1", "-p", str(forwarder.port), "+time=15", "+tries=1", *words],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    status = re.search(r"status: (\w+)", done.stdout)
    error = re.search(r"; EDE: (.*)", done.stdout)
    assert status is not None, done.stdout
    return status[1], error[1] if error is not None else ""


def explain(forwarder: Forwarder, name: str, **query: str) -> dict[str, Any]:
    """Return /explain."""
    code, text = forwarder.page(f"/explain?{urllib.parse.urlencode({'name': name, **query})}")
    assert code == 200, text
    found: dict[str, Any] = json.loads(text)
    return found


def test_dig_prints_why_a_name_of_the_cluster_is_missing(start: Start, server: StartServer) -> None:
    """The sentence of kubedns, however often it is asked; nothing without EDNS."""
    kubedns = server(why(0, WHY, rcode=3))
    forwarder = start(f"--server=/cluster.local/{kubedns.server}", "--cache-size=100")
    for _ in range(3):
        assert dig(forwarder, WEB) == ("NXDOMAIN", f"0 (Other): ({WHY})")
        assert dig(forwarder, WEB, "+tcp") == ("NXDOMAIN", f"0 (Other): ({WHY})")
        assert dig(forwarder, WEB, "+noedns") == ("NXDOMAIN", "")


def test_dig_prints_the_sentence_also_when_a_receiver_thread_has_the_answer(
    start: Start, server: StartServer
) -> None:
    other = "www.example."
    soa = "example. 300 IN SOA ns.example. h.example. 1 7200 1800 86400 300"
    upstream = server(why(15, "on a list", rcode=3, soa=soa))
    forwarder = start(f"--server={upstream.server}", "--cache-size=100")
    # dig draws a cookie each time, so that no two of its queries are alike.
    answers = [dig(forwarder, other, "+nocookie") for _ in range(6)]
    assert answers == [("NXDOMAIN", "15 (Blocked): (on a list)")] * 6
    assert len(upstream.questions(other)) == 1


def test_dig_prints_which_server_is_silent_and_explain_tries_it(
    start: Start, server: StartServer
) -> None:
    """First that it timed out, then that this is kept; live: it times out again."""
    dead = server(silent)
    stubs = json.dumps({"corp.example": [dead.nameserver]})
    forwarder = start(config={"stubDomains": stubs})
    where = dead.nameserver
    status, error = dig(forwarder, "git.corp.example")
    assert status == "SERVFAIL"
    assert re.fullmatch(rf"2[23] \(.*\): \(stub domain corp\.example: {dead.server} .*\)", error), (
        error
    )
    status, error = dig(forwarder, "git.corp.example")
    assert status == "SERVFAIL"
    assert re.fullmatch(r"13 \(Cached Error\): \(.* \(\d s ago, and not asked again yet\)\)", error)
    found = explain(forwarder, "git.corp.example", **{"try": "1"})
    assert found["rule"]["means"] == "stub domain corp.example of the ConfigMap, the longest match"
    assert found["rule"]["servers"] == [where]
    assert found["failure"]["text"].startswith("stub domain corp.example: ")
    (live,) = found["live"]
    assert (live["server"], live["error"]) == (where, "timed out after 2.0 s")


def test_kubedns_that_is_away_is_told_with_stale_answers_and_without(
    start: Start, server: StartServer
) -> None:
    first = [why(0, "", f"{WEB} 1 IN A 10.0.0.7")]

    def once(asked: Asked) -> Sequence[Act]:
        return first.pop()(asked) if first and asked.name == WEB else []

    kubedns = server(once)
    forwarder = start(
        f"--server=/cluster.local/{kubedns.server}",
        "--cache-size=100",
        nanny=[f"-kubednsServer={kubedns.nameserver}"],
    )
    assert dig(forwarder, WEB) == ("NOERROR", "")
    until(lambda: explain(forwarder, WEB)["cache"]["expired"], wanted="an expired answer")
    status, error = dig(forwarder, WEB)
    assert (status, error) == ("NOERROR", "3 (Stale Answer): (kubedns does not answer)")
    until(
        lambda: dig(forwarder, WEB)[1],
        lambda found: re.search(r"kubedns has not answered for \d+ s", found) is not None,
        wanted="since when",
    )
    assert dig(forwarder, "api.prod.svc.cluster.local") == (
        "SERVFAIL",
        "22 (No Reachable Authority): (kubedns is away and nothing is known of this name)",
    )


def test_explain_goes_over_tcp_where_the_reply_is_cut(start: Start, server: StartServer) -> None:
    upstream = server(udp_or_tcp(truncated, quick))
    forwarder = start(f"--server={upstream.server}")
    (live,) = explain(forwarder, "www.example", **{"try": "1"})["live"]
    assert (live["transport"], live["rcode"], live["answers"]) == ("tcp", "NOERROR", ["192.0.2.1"])
    assert explain(forwarder, "www.example")["cache"] is None, "it is no client's answer"


def test_explain_says_what_is_kept_and_how_old(start: Start, server: StartServer) -> None:
    upstream = server(quick)
    forwarder = start(f"--server={upstream.server}", "--cache-size=100")
    assert forwarder.look("www.example.") == {"192.0.2.1"}
    found = explain(forwarder, "www.example")
    assert found["rule"]["means"] == "no domain of its own: --server of the command line"
    cache = found["cache"]
    assert (cache["rcode"], cache["answers"], cache["expired"]) == ("NOERROR", ["192.0.2.1"], False)
    assert 0 <= cache["age_s"] <= 300 - cache["left_s"] + 0.2
    assert found["upstreams"][0]["server"] == upstream.nameserver


def test_explain_refuses_what_it_cannot_read(start: Start) -> None:
    forwarder = start()
    for query in ("", "?name=", "?name=a..b", "?name=a&type=NONE", "?name=a&try=yes"):
        code, text = forwarder.page(f"/explain{query}")
        assert code == 400
        assert text.count("\n") == 1


def test_several_workers_give_one_account(start: Start, server: StartServer) -> None:
    """Each has a cache of its own: told is who holds the answer, and how many do."""
    upstream = server(quick)
    forwarder = start(f"--server={upstream.server}", "--cache-size=100", nanny=["--workers=2"])
    forwarder.logs("2 workers answer")
    assert forwarder.look("www.example.") == {"192.0.2.1"}
    for _ in range(4):  # whichever of them has the page
        found = explain(forwarder, "www.example")
        assert found["cache"]["answers"] == ["192.0.2.1"]
        assert found["workers"]["asked"] == 2
        assert len(found["workers"]["holding"]) >= 1
        assert found["upstreams"][0]["sent"] >= 1
    (live,) = explain(forwarder, "other.example", **{"try": "1"})["live"]
    assert live["answers"] == ["192.0.2.1"]


def test_several_workers_give_one_top_and_one_recorder(start: Start, server: StartServer) -> None:
    upstream = server(quick)
    forwarder = start(f"--server={upstream.server}", "--cache-size=100", nanny=["--workers=2"])
    forwarder.logs("2 workers answer")
    for number in range(40):
        assert forwarder.look(f"n{number}.example.") == {"192.0.2.1"}

    def told() -> int:
        code, text = forwarder.page("/recorder?format=jsonl")
        assert code == 200, text
        lines = [json.loads(line) for line in text.splitlines()]
        assert [each["time"] for each in lines] == sorted(each["time"] for each in lines)
        return len({each["name"] for each in lines if each["name"].startswith("n")})

    assert until(told, lambda count: count >= 40, wanted="all of them") == 40
    code, text = forwarder.page("/top?n=100")
    assert code == 200, text
    top = json.loads(text)
    assert top["transactions"] >= 40
    assert {"127.0.0.1"} == {each["client"] for each in top["clients"]}
    assert forwarder.page("/recorder?which=burst")[0] == 404
    assert json.loads(forwarder.page("/recorder?format=summary")[1])["held"] >= 40
    assert "findings" in json.loads(forwarder.page("/findings")[1])
    assert forwarder.page("/top?n=0")[0] == 400


@pytest.fixture
def cluster(tmp_path: Path, start: Start) -> Iterator[Cluster]:
    made = Cluster(tmp_path, start)
    with made.kubedns:
        yield made


def test_kubedns_of_ours_that_is_frozen_is_said_to_be_silent(cluster: Cluster) -> None:
    """Since its last word, which it says every second while it is well."""
    forwarder = cluster.forwarder
    cluster.put("web", "10.0.0.7")
    name = f"web.shop.{DOMAIN}"
    until(lambda: forwarder.look(name), lambda found: found == {"10.0.0.7"}, wanted="the service")
    kubedns = psutil.Process(cluster.kubedns.process.pid)
    kubedns.suspend()
    try:
        status, error = dig(forwarder, f"never-asked.shop.{DOMAIN}")
        assert status == "SERVFAIL"
        assert "kubedns is away and nothing is known of this name" in error
        # What the feed vouched for lives on by its TTL.
        _, error = until(
            lambda: dig(forwarder, name),
            lambda found: found[1] != "",
            wanted="a stale answer",
            within_s=90,
        )
        found = re.fullmatch(r"3 \(Stale Answer\): \(kubedns has not answered for (\d+) s\)", error)
        assert found is not None, error
        assert int(found[1]) >= 3
    finally:
        kubedns.resume()
    until(lambda: dig(forwarder, name), lambda found: found == ("NOERROR", ""), wanted="no word")
