"""The ConfigMap changes while the forwarder serves: at once, in place, and nothing else is lost."""

from __future__ import annotations

import json
import threading
import time

import dns.exception
import pytest

from tests.forwarder.behaviours import GOOD, answers, by_name, late, quick, zone
from tests.forwarder.client import query
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.program import Forwarder
from tests.forwarder.scripted import Scripted
from tests.realapi.waiting import becomes, until

pytestmark = pytest.mark.usefixtures("ours_only")

TWO, THREE = "192.0.2.2", "192.0.2.3"


def stubs(**servers: Scripted | list[str]) -> dict[str, str]:
    """Make the key `stubDomains`; the underscore of a domain stands for its dot."""
    domains = {
        name.replace("_", "."): where if isinstance(where, list) else [where.nameserver]
        for name, where in servers.items()
    }
    return {"stubDomains": json.dumps(domains)}


def upstreams(*servers: Scripted) -> dict[str, str]:
    """Make the key `upstreamNameservers`."""
    return {"upstreamNameservers": json.dumps([each.nameserver for each in servers])}


def test_a_stub_domain_comes_and_goes(start: Start, server: StartServer) -> None:
    default, stub = server(), server(answers(f"@ 300 IN A {TWO}"))
    forwarder = start(f"--server={default.server}", config={})
    assert forwarder.look("www.acme.local.") == {GOOD}
    forwarder.configure(stubs(acme_local=stub))
    becomes(lambda: forwarder.look("www.acme.local."), {TWO})
    assert forwarder.look("acme.local.") == {TWO}
    assert forwarder.look("wwwacme.local.") == {GOOD}, "whole labels only"
    forwarder.configure({})
    becomes(lambda: forwarder.look("www.acme.local."), {GOOD})


def test_upstream_nameservers_come_change_and_go(start: Start, server: StartServer) -> None:
    one, two = server(), server(answers(f"@ 300 IN A {TWO}"))
    forwarder = start(config=upstreams(one))
    assert forwarder.look("www.example.") == {GOOD}
    forwarder.configure(upstreams(two))
    becomes(lambda: forwarder.look("www.example."), {TWO})
    forwarder.configure({})
    becomes(lambda: forwarder.look("www.example."), {"REFUSED"})


def test_what_was_known_of_unchanged_routes_stays_known(start: Start, server: StartServer) -> None:
    """A hundred answers each of the default servers and of a stub domain, and two changes."""
    default, stub, other = server(), server(), server(answers(f"@ 300 IN A {TWO}"))
    options = f"--server={default.server}", "--cache-size=1000"
    forwarder = start(*options, config=stubs(acme_local=stub))
    names = [f"n{i}.{domain}." for i in range(100) for domain in ("example", "acme.local")]
    assert [forwarder.look(name) for name in names] == [{GOOD}] * 200
    for config in (stubs(acme_local=stub, other_local=other), stubs(acme_local=stub)):
        default.asked.clear()
        stub.asked.clear()
        forwarder.configure(config)
        probes = (f"probe{time.monotonic_ns()}.other.local." for _ in range(10_000))
        expected = {TWO} if "other" in config["stubDomains"] else {GOOD}
        until(lambda probes=probes, want=expected: forwarder.look(next(probes)) == want)
        assert [forwarder.look(name) for name in names] == [{GOOD}] * 200
        assert not {*names} & (default.names() | stub.names()).keys()


def test_what_a_server_said_that_is_no_longer_asked_is_forgotten(
    start: Start, server: StartServer
) -> None:
    """Also what it said of names in the middle of a chain."""
    chain = zone("alias.example. 300 IN CNAME www.acme.local.", f"x.example. 300 IN A {GOOD}")
    default = server(chain)
    one, two = server(), server(answers(f"@ 300 IN A {TWO}"))
    forwarder = start(f"--server={default.server}", config=stubs(acme_local=one))
    for name in ("www.acme.local.", "alias.example."):
        assert GOOD in forwarder.look(name)
    forwarder.configure(stubs(acme_local=two))
    becomes(lambda: forwarder.look("www.acme.local."), {TWO})
    assert TWO in forwarder.look("alias.example.")
    assert GOOD not in forwarder.look("alias.example.")
    assert forwarder.look("x.example.") == {GOOD}


def test_the_most_specific_stub_domain_is_asked(start: Start, server: StartServer) -> None:
    default, wide, narrow = (
        server(),
        server(answers(f"@ 300 IN A {TWO}")),
        server(answers(f"@ 300 IN A {THREE}")),
    )
    forwarder = start(
        f"--server={default.server}", config=stubs(acme_local=wide, lab_acme_local=narrow)
    )
    assert forwarder.look("a.acme.local.") == {TWO}
    assert forwarder.look("a.lab.acme.local.") == {THREE}
    assert forwarder.look("lab.acme.local.") == {THREE}
    assert forwarder.look("A.LAB.ACME.LOCAL.") == {THREE}


def test_an_empty_list_of_servers_does_nothing(start: Start, server: StartServer) -> None:
    forwarder = start(f"--server={server().server}", config=stubs(acme_local=[]))
    assert forwarder.look("www.acme.local.") == {GOOD}


class Questions:
    """Asks names that are in the cache and names that are not, all the time; counts what it got."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(4)]
        self.wrong: list[str] = []
        self.right = 0

    def __enter__(self) -> Questions:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        count = 0
        while not self._over.is_set():
            count += 1
            name = "hit.example." if count % 2 else f"miss{number}-{count}.example."
            try:
                seen = self._forwarder.look(name, tcp=count % 50 == 0)
            except (OSError, dns.exception.DNSException) as error:
                self.wrong.append(f"{name}: {error!r}")
                continue
            if seen == {GOOD}:
                self.right += 1
            else:
                self.wrong.append(f"{name}: {seen}")


def test_no_query_is_lost_while_it_changes_twenty_times(start: Start, server: StartServer) -> None:
    """The servers of the asked names change too; what is on its way to the old ones is finished."""
    one, two, stub = server(late(quick, 0.02)), server(late(quick, 0.02)), server()
    forwarder = start(config=upstreams(one))
    with Questions(forwarder) as questions:
        for i in range(20):
            forwarder.configure({**upstreams((one, two)[i % 2]), **stubs(**{f"acme{i}": stub})})
            until(lambda i=i: forwarder.look(f"www.acme{i}.") == {GOOD} and stub.questions(
                f"www.acme{i}."))  # fmt: skip
    assert not questions.wrong, questions.wrong[:5]
    assert questions.right > 100
    assert one.asked
    assert two.asked


BROKEN = {
    "not JSON": ({"stubDomains": "{"}, "stubDomains"),
    "wrong type": ({"stubDomains": "[1]"}, "stubDomains"),
    "bad server": ({"stubDomains": '{"acme.local": ["1.2.3.4.5:99999"]}'}, "stubDomains"),
    "bad domain": ({"stubDomains": '{"Acme_": ["1.2.3.4"]}'}, "stubDomains"),
    "host name upstream": ({"upstreamNameservers": '["ns.example"]'}, "upstreamNameservers"),
    "four upstreams": (
        {"upstreamNameservers": '["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"]'},
        "upstreamNameservers",
    ),
    "extensions": ({"extensions": "stubDomains: [}"}, "extensions"),
    "unknown transport": (
        {"extensions": "upstreamNameservers: ['quic://1.1.1.1']"}, "extensions"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_key_keeps_its_last_good_value_and_the_others_apply(
    start: Start, server: StartServer, what: str
) -> None:
    """Log, page and metric name the key."""
    default, stub, new = (
        server(),
        server(answers(f"@ 300 IN A {TWO}")),
        server(answers(f"@ 300 IN A {THREE}")),
    )
    good = {**stubs(acme_local=stub), **upstreams(default)}
    forwarder = start(config=good)
    assert forwarder.look("www.acme.local.") == {TWO}
    broken, key = BROKEN[what]
    others = {"stubDomains": stubs(acme_local=stub, new_local=new)["stubDomains"],
              "upstreamNameservers": upstreams(new)["upstreamNameservers"]}  # fmt: skip
    forwarder.configure({**others, **broken})
    until(lambda: forwarder.status()["config"]["errors"], wanted="an error on /status")
    (error, *_) = forwarder.status()["config"]["errors"]
    assert key in error["key"]
    assert error["reason"]
    forwarder.logs(key)
    assert forwarder.metric("kubedns_forwarder_config_errors_total") >= 1
    assert forwarder.look("www.acme.local.") == {TWO}
    if key != "stubDomains":
        becomes(lambda: forwarder.look("www.new.local."), {THREE})
    default_now = {GOOD} if key == "upstreamNameservers" else {THREE}
    becomes(lambda: forwarder.look("www.example."), default_now)
    forwarder.configure(good)
    until(lambda: not forwarder.status()["config"]["errors"], wanted="no error on /status")


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_key_at_the_start_is_as_if_it_were_not_there(
    start: Start, server: StartServer, what: str
) -> None:
    default = server()
    broken, key = BROKEN[what]
    forwarder = start(f"--server={default.server}", config=broken)
    assert forwarder.look("www.example.") == {GOOD}
    forwarder.logs(key)
    assert key in forwarder.status()["config"]["errors"][0]["key"]


def test_federations_are_ignored_with_one_warning(start: Start, server: StartServer) -> None:
    default, stub = server(), server(answers(f"@ 300 IN A {TWO}"))
    config = {"federations": "myfed=example.com", **stubs(acme_local=stub)}
    forwarder = start(f"--server={default.server}", config=config)
    assert forwarder.look("www.acme.local.") == {TWO}
    assert len(forwarder.logs("federations")) == 1
    assert not forwarder.status()["config"]["errors"]


def test_servers_over_tcp_alone(start: Start, server: StartServer) -> None:
    """The key `extensions`: `tcp://`."""
    stub = server(answers(f"@ 300 IN A {TWO}"), listens="tcp")
    extensions = f"stubDomains:\n  acme.local: ['tcp://{stub.nameserver}']\n"
    forwarder = start(f"--server={server().server}", config={"extensions": extensions})
    for i in range(20):
        assert forwarder.look(f"n{i}.acme.local.") == {TWO}
    assert all(each.tcp for each in stub.asked)
    assert stub.connections == 1


def test_an_alias_into_a_stub_domain_is_completed_there(start: Start, server: StartServer) -> None:
    """kubernetes/dns issues 131 and 243."""
    default = server(by_name({"alias.example.": answers("@ 300 IN CNAME www.acme.local.")}, zone()))
    stub = server(answers(f"@ 300 IN A {TWO}"))
    forwarder = start(f"--server={default.server}", config=stubs(acme_local=stub))
    assert TWO in forwarder.look("alias.example.")
    reply = forwarder.send(query("alias.example."), tcp=True)
    assert [rrset.name.to_text() for rrset in reply.answer] == ["alias.example.", "www.acme.local."]


def test_a_folder_that_is_not_there(start: Start, server: StartServer) -> None:
    """It serves with the defaults, and takes what comes."""
    forwarder = start(f"--server={server().server}", nanny=["-configDir=/nonexistent/folder"])
    assert forwarder.look("www.example.") == {GOOD}
