"""What the options of resolv.conf change, for the resolvers that know them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.clients.capture import SETTLE_S, Capture, Heard
from tests.clients.conftest import StartAsker
from tests.clients.place import ALSO_DNS, DNS, DNS6, RESOLV, SEARCH
from tests.clients.resolvers import (
    AIODNS,
    GLIBC,
    GO,
    JAVA,
    MUSL,
    NOTHING,
    RESOLVERS,
    Asker,
    Resolver,
    Said,
)
from tests.clients.table import Row, Table

WEB = frozenset({"10.96.20.1"})
_SEARCHING = pytest.mark.parametrize(
    "resolver", [GLIBC, MUSL, AIODNS, GO], ids=lambda resolver: resolver.title
)
_TWO = RESOLV.replace(f"nameserver {DNS}", f"nameserver {DNS}\nnameserver {ALSO_DNS}")


class Watched:
    """Asks, and listens to what is asked at the pod."""

    def __init__(self, asker: StartAsker, capture: Capture, table: Table) -> None:
        self._asker, self._capture, self._table = asker, capture, table

    def ask(
        self,
        resolver: Resolver,
        resolv: str,
        name: str = "web.shop",
        note: str = "",
        settle_s: float = SETTLE_S,
    ) -> tuple[Said, Heard]:
        """Look a name up; note: for the table."""
        asking: Asker = self._asker(resolver, resolv)
        self._capture.heard(settle_s=0)
        said = asking.ask(name)
        heard = self._capture.heard(settle_s=settle_s)
        if note:
            self._table.rows.append(Row(resolver.title, f"{name} ({note})", said, heard))
        return said, heard


@pytest.fixture
def watched(asker: StartAsker, capture: Capture, table: Table) -> Watched:
    return Watched(asker, capture, table)


def test_both_questions_of_glibc_come_from_one_socket(watched: Watched) -> None:
    """A and AAAA of a name have the same port, and both are answered."""
    said, heard = watched.ask(GLIBC, RESOLV)
    assert said.outcome == WEB
    for four, six in zip(heard.queries[::2], heard.queries[1::2], strict=True):
        assert (four.rdtype, six.rdtype) == ("A", "AAAA")
        assert four.port == six.port


@pytest.mark.parametrize("option", ["single-request", "single-request-reopen"])
def test_one_question_after_the_other(watched: Watched, option: str) -> None:
    """The second question is put when the first has its answer; reopen: from another socket."""
    said, heard = watched.ask(GLIBC, f"{RESOLV}options {option}\n", note=option)
    assert said.outcome == WEB
    assert [bool(each.rcode) for each in heard.messages] == [False, True] * 4
    for four, six in zip(heard.queries[::2], heard.queries[1::2], strict=True):
        assert (four.port != six.port) == option.endswith("reopen")


@_SEARCHING
def test_edns0(watched: Watched, resolver: Resolver) -> None:
    """With an OPT or without one the answers are the same; musl never sends one."""
    for resolv in (RESOLV, f"{RESOLV}options edns0\n"):
        said, heard = watched.ask(resolver, resolv, note="edns0" if resolv != RESOLV else "")
        assert said.outcome == WEB
        always, never = resolver in (AIODNS, GO), resolver is MUSL
        with_opt = always or (resolv != RESOLV and not never)
        assert {each.edns for each in heard.messages} <= {with_opt}


@_SEARCHING
def test_use_vc(watched: Watched, resolver: Resolver) -> None:
    """All goes by TCP, with those who know the option: glibc and Go; musl does not."""
    said, heard = watched.ask(resolver, f"{RESOLV}options use-vc\n", note="use-vc")
    assert said.outcome == WEB
    tcp = {each.tcp for each in heard.messages}
    assert resolver is AIODNS or tcp == {resolver in (GLIBC, GO)}
    assert heard.unanswered() == []


@_SEARCHING
def test_two_nameservers_in_turn(watched: Watched, resolver: Resolver) -> None:
    """Both of our addresses are asked, and reply from where they were asked; musl asks both."""
    servers = set()
    for name in ("web.shop", "dual.shop", "stock.shop", "six.shop", "store.shop", "legacy.shop"):
        said, heard = watched.ask(resolver, f"{_TWO}options rotate\n", name, "rotate", settle_s=0.1)
        assert isinstance(said.outcome, frozenset), said
        servers |= {each.server for each in heard.queries}
        replied = {(q.name.lower(), q.rdtype) for q in heard.replies}
        assert {(q.name.lower(), q.rdtype) for q in heard.queries} == replied
    assert servers == {DNS, ALSO_DNS}


@_SEARCHING
def test_ndots_1(watched: Watched, resolver: Resolver) -> None:
    """A name with a dot is asked as it is, first; musl then does not search at all."""
    said, heard = watched.ask(resolver, RESOLV.replace("ndots:5", "ndots:1"), note="ndots:1")
    assert said.outcome == (NOTHING if resolver is MUSL else WEB)
    assert heard.walk()[0] == "web.shop"
    assert heard.repeated() == []


def test_a_search_list_of_six_and_a_long_one_of_32(watched: Watched) -> None:
    """What comes after three suffixes of the cluster costs queries, and no answer."""
    for count in (6, 32):
        more = " ".join(f"s{i}.example.com" for i in range(count - 3))
        resolv = RESOLV.replace(SEARCH, f"{SEARCH} {more}")
        said, heard = watched.ask(GLIBC, resolv, "www.example.com", f"search list of {count}")
        assert said.outcome == frozenset({"192.0.2.80", "2001:db8::80"})
        assert len(heard.queries) == 2 * (count + 1)
        assert heard.unanswered() == []


def test_java_remembers(watched: Watched) -> None:
    """With its own cache, as it is by default, Java asks for a name once in 30 s."""
    cached = replace(
        JAVA,
        title="java cached",
        command=lambda folder: [
            word for word in JAVA.command(folder) if not word.startswith("-Dsun.net.inetaddr")
        ],
    )
    counts = []
    for _ in range(2):
        said, heard = watched.ask(cached, RESOLV)
        assert said.outcome == WEB
        counts.append(len(heard.queries))
    assert counts == [4, 0]


@pytest.mark.parametrize("resolver", RESOLVERS, ids=lambda resolver: resolver.title)
def test_the_nameserver_has_an_ipv6_address(watched: Watched, resolver: Resolver) -> None:
    """In a cluster of IPv6 the answers are the same."""
    resolv = RESOLV.replace(DNS, DNS6)
    said, heard = watched.ask(resolver, resolv, "web.shop.svc.cluster.local.", "IPv6")
    assert said.outcome == WEB
    assert {each.server for each in heard.queries} == {DNS6}
    assert heard.unanswered() == []
