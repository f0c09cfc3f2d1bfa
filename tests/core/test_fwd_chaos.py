"""CHAOS names: what the sidecar and old scripts read dnsmasq's statistics from."""

from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest

from dnsmasq_py.chaos import Chaos, Statistics, is_allowed
from kubedns.wire import question, reply, rr
from tests.builders import decoded, lines, query

SERVERS = [("192.0.2.1#53", 7, 1), ("2001:db8::1#5353", 2, 0), ("192.0.2.1#53", 3, 2)]
TOLD = Statistics(cachesize=1000, insertions=34, evictions=5, misses=41, hits=40, servers=SERVERS)


def chaos(told: Statistics = TOLD, **options: Any) -> Chaos:
    return Chaos(lambda: told, "1.2.3", **options)


def ask(
    text: str, asked: Chaos | None = None, *, limit: int = 1232, rdclass: str = "CH"
) -> dns.message.Message:
    """Ask as a client does; return the reply."""
    read = question.read(query(f"{text} {rdclass}").to_wire())
    rcode, answer = (asked or chaos()).answer(read)
    octets = reply.compose(
        read, limit=limit, rcode=rcode, answer=answer, authoritative=bool(answer)
    )[0]
    return decoded(read.id + octets)


@pytest.mark.parametrize(
    ("name", "number"),
    [("cachesize", 1000), ("insertions", 34), ("evictions", 5), ("misses", 41), ("hits", 40),
     ("auth", 0)],
)  # fmt: skip
def test_a_statistic_is_one_record_with_one_string_that_is_a_number(name: str, number: int) -> None:
    """As dnsmasq 2.90 answers: TTL 0, authoritative."""
    answered = ask(f"{name}.bind. TXT")
    assert answered.rcode() == dns.rcode.NOERROR
    assert answered.flags & dns.flags.AA
    assert lines(answered.answer) == [f'{name}.bind. 0 CH TXT "{number}"']


def test_the_case_of_the_question_is_kept() -> None:
    """A resolver that mixes case must know its own name again."""
    assert lines(ask("HiTs.BiNd. TXT").answer) == ['HiTs.BiNd. 0 CH TXT "40"']


def test_any_is_as_good_as_txt() -> None:
    """As dnsmasq."""
    assert lines(ask("hits.bind. ANY").answer) == ['hits.bind. 0 CH TXT "40"']


def test_servers_are_strings_of_one_record_summed_by_address() -> None:
    """A server of several stub domains comes once."""
    answered = ask("servers.bind. TXT")
    assert lines(answered.answer) == [
        'servers.bind. 0 CH TXT "192.0.2.1#53 10 3" "2001:db8::1#5353 2 0"'
    ]


def test_without_servers_the_record_is_empty_but_well_formed() -> None:
    """The record of dnsmasq has no string at all then, which is none."""
    asked = chaos(TOLD._replace(servers=()))
    assert lines(ask("servers.bind. TXT", asked).answer) == ['servers.bind. 0 CH TXT ""']


def test_as_many_servers_as_can_be_configured_do_not_break_the_answer() -> None:
    """Domains times servers are more than one record holds."""
    servers = [(f"2001:db8::{n:x}:1111:2222:3333:4444#65535", 2**32, 2**32) for n in range(16000)]
    answered = ask("servers.bind. TXT", chaos(TOLD._replace(servers=servers)), limit=65535)
    assert not answered.flags & dns.flags.TC
    assert len(answered.answer[0][0].strings) == 800


def test_the_forwarder_can_be_told_from_the_cluster_server_and_from_dnsmasq() -> None:
    """Its neighbours know it by that."""
    assert lines(ask("version.bind. TXT").answer) == [
        'version.bind. 0 CH TXT "kube-dns-py-forwarder 1.2.3"'
    ]
    for name in ("authors", "copyright"):
        assert "kube-dns-py authors" in lines(ask(f"{name}.bind. TXT").answer)[0]


@pytest.mark.parametrize(
    ("text", "rcode"),
    [
        ("hits.bind. A", rr.NOTIMP),
        ("other.bind. TXT", rr.NOTIMP),
        ("deeper.hits.bind. TXT", rr.NOTIMP),
        ("bind. TXT", rr.NOTIMP),
        ("id.server. TXT", rr.NOTIMP),
        ("server. TXT", rr.NOTIMP),
        ("hits.notbind. TXT", rr.REFUSED),
        ("www.example.com. TXT", rr.REFUSED),
        (". TXT", rr.REFUSED),
    ],
)
def test_other_names_and_types_are_refused_here_and_never_forwarded(text: str, rcode: int) -> None:
    """NOTIMP below `bind` and `server`, REFUSED elsewhere."""
    answered = ask(text)
    assert answered.rcode() == rcode
    assert not answered.answer
    assert not answered.flags & dns.flags.AA


@pytest.mark.parametrize("rdclass", ["HS", "ANY", "NONE", "CLASS4242"])
def test_other_classes_are_refused(rdclass: str) -> None:
    """Even for names that CHAOS has."""
    assert ask("hits.bind. TXT", rdclass=rdclass).rcode() == rr.REFUSED


@pytest.mark.parametrize("name", ["hits", "servers", "version", "authors", "other"])
def test_no_ident_hides_all_of_them(name: str) -> None:
    """NOTIMP, as for names that never were."""
    assert ask(f"{name}.bind. TXT", chaos(ident=False)).rcode() == rr.NOTIMP


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.7.7",
     "100.64.0.1", "100.127.255.255", "169.254.20.10", "fd00::7", "fc00::1", "fe80::1",
     "fe80::1%eth0", "::ffff:10.1.2.3"],
)  # fmt: skip
def test_the_cluster_may_be_told_statistics(address: str) -> None:
    assert is_allowed(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "192.0.2.1",
     "0.0.0.0", "::", "2001:db8::1", "fec0::1", "::ffff:8.8.8.8", "", "client", "224.0.0.1"],
)  # fmt: skip
def test_the_rest_of_the_world_may_not(address: str) -> None:
    assert not is_allowed(address)
