"""What a client with EDNS is told beside an answer: one sentence, true when it is given."""

from typing import Any

import pytest

from dnsmasq_py import hotanswers, sentences
from dnsmasq_py.routing import Kind, Route
from dnsmasq_py.rules import LocalRecords, Match
from dnsmasq_py.server import Server
from kubedns.wire import name as names
from tests.fwdreplay import DEFAULT, STUB, Asked, Replay, soa
from tests.fwdteller import SOA, Teller

WEB = "web.prod.svc.cluster.local."
WHY = "no service web in namespace prod; there is one in test"
ADDRESS = f"{WEB} 30 IN A 10.0.0.7"


def missing(replay: Replay, question: str, **more: Any) -> Asked:
    """Ask, and let kubedns say that there is none, and why."""
    asked = replay.client_asks(question, **more)
    replay.upstream_answers(authority=SOA, rcode="NXDOMAIN", ede=(0, WHY))
    return asked


def fed(**options: Any) -> tuple[Replay, Teller]:
    """Return a forwarder that keeps what is missing, since kubedns tells of changes."""
    replay = Replay(**options)
    teller = Teller(replay)
    teller.begins()
    return replay, teller


# The sentences of kubedns


def test_every_client_with_edns_hears_why_there_is_no_such_name_and_nobody_else() -> None:
    """The first one, those that get it from the cache, and those whom receivers answer."""
    replay, _ = fed()
    assert (missing(replay, f"{WEB} A").ede, replay.client_asks(f"{WEB} A").why) == ([0], WHY)
    replay.client_asks(f"{WEB} A")
    ready = replay.receiver_answers(f"{WEB} A")
    assert ready is not None
    assert (ready.rcode, ready.why) == ("NXDOMAIN", WHY)
    for _ in range(3):
        plain = replay.client_asks(f"{WEB} A", edns=False)
        assert (plain.rcode, plain.reply.edns) == ("NXDOMAIN", -1)
    assert replay.receiver_answers(f"{WEB} A", edns=False) is not None
    assert replay.client_asks(f"{WEB} A", tcp=True).why == WHY


def test_what_is_no_data_is_explained_too() -> None:
    replay, _ = fed()
    asked = replay.client_asks(f"{WEB} AAAA")
    replay.upstream_answers(authority=SOA, ede=(0, "web has no AAAA records"))
    assert asked.why == replay.client_asks(f"{WEB} AAAA").why == "web has no AAAA records"


def test_what_is_no_data_behind_an_alias_is_explained_too() -> None:
    replay, _ = fed()
    alias = "alias.prod.svc.cluster.local."
    asked = replay.client_asks(f"{alias} AAAA")
    replay.upstream_answers(f"{alias} 30 IN CNAME {WEB}", SOA, ede=(0, "web has no AAAA records"))
    assert (asked.rcode, asked.why) == ("NOERROR", "web has no AAAA records")


@pytest.mark.parametrize(
    ("rcode", "lacks"), [("NXDOMAIN", "does not exist"), ("NOERROR", "has no such records")]
)
def test_an_alias_of_a_service_that_leads_out_of_the_cluster_to_nothing(
    rcode: str, lacks: str
) -> None:
    """The server that is asked there says nothing of why, and knows nothing of the service."""
    replay, _ = fed()
    alias = "crm.prod.svc.cluster.local."
    asked = replay.client_asks(f"{alias} A")
    replay.upstream_answers(f"{alias} 30 IN CNAME www.example.com.")
    replay.upstream_answers(authority=soa("example.com."), rcode=rcode)
    assert (asked.rcode, asked.ede) == (rcode, [0])
    assert asked.why == f"the externalName leads to www.example.com, which {lacks}"
    assert replay.client_asks(f"{alias} A").why == asked.why


def test_an_alias_whose_target_nobody_answers_for_names_who_was_silent() -> None:
    replay, _ = fed()
    alias = "crm.prod.svc.cluster.local."
    asked = replay.client_asks(f"{alias} A")
    replay.upstream_answers(f"{alias} 30 IN CNAME www.stub.example.")
    replay.time_passes(6)
    assert (asked.rcode, asked.ede) == ("SERVFAIL", [22])
    assert asked.why == f"stub domain stub.example: {STUB} timed out"


def test_the_nxdomain_of_one_type_is_given_for_another_with_the_same_sentence() -> None:
    """Those of kubedns are about the name."""
    replay, _ = fed()
    missing(replay, f"{WEB} A")
    assert replay.client_asks(f"{WEB} AAAA").why == WHY
    assert not replay.waiting


def test_what_another_server_says_of_one_type_is_not_said_of_another() -> None:
    replay = Replay()
    asked = replay.client_asks("www.example.com. A")
    replay.upstream_answers(
        authority=soa("example.com."), rcode="NXDOMAIN", ede=(15, "no A record allowed")
    )
    assert asked.why == "no A record allowed"
    other = replay.client_asks("www.example.com. AAAA")
    assert (other.rcode, other.ede, other.why) == ("NXDOMAIN", [15], "")


def test_below_a_missing_name_the_sentence_is_of_that_name() -> None:
    replay, _ = fed()
    missing(replay, f"{WEB} A")
    asked = replay.client_asks(f"_http._tcp.{WEB} SRV")
    assert asked.rcode == "NXDOMAIN"
    assert asked.why == f"nothing below {WEB[:-1]}: {WHY}"
    assert not replay.waiting


def test_below_a_missing_name_of_which_nothing_was_said() -> None:
    replay, _ = fed()
    replay.client_asks(f"{WEB} A")
    replay.upstream_answers(authority=SOA, rcode="NXDOMAIN")
    asked = replay.client_asks(f"_http._tcp.{WEB} SRV")
    assert asked.why == f"{WEB[:-1]} does not exist, so there is nothing below it"


def test_a_sentence_that_outlives_its_ttl_says_how_old_it_is() -> None:
    """The feed vouches for the answer, not for what is said of other namespaces."""
    replay, teller = fed()
    missing(replay, f"{WEB} A")
    teller.lives(4)
    assert replay.client_asks(f"{WEB} A").why == WHY
    replay.client_asks(f"{WEB} A")
    teller.lives(16)
    ready = replay.receiver_answers(f"{WEB} A")
    assert ready is not None
    assert ready.why == replay.client_asks(f"{WEB} A").why == f"{WHY}, as of 20 s ago"


def test_a_popular_answer_is_refreshed_for_its_sentence() -> None:
    replay, teller = fed()
    missing(replay, f"{WEB} A")
    for _ in range(3):
        replay.client_asks(f"{WEB} A")
    teller.lives(31)
    assert replay.client_asks(f"{WEB} A").why == f"{WHY}, as of 31 s ago"
    replay.upstream_answers(authority=SOA, rcode="NXDOMAIN", ede=(0, "namespace prod is gone"))
    assert replay.client_asks(f"{WEB} A").why == "namespace prod is gone"


def test_a_change_takes_the_sentence_with_the_answer() -> None:
    replay, teller = fed()
    missing(replay, f"{WEB} A")
    teller.changes(WEB)
    asked = replay.resolve(f"{WEB} A", ADDRESS)
    assert (asked.answer, asked.ede) == ([ADDRESS], [])


def test_an_answer_that_may_be_wrong_says_so_and_since_when() -> None:
    """kubedns answers from what it has while the API server is away."""
    replay, teller = fed()
    asked = replay.client_asks(f"{WEB} A")
    replay.upstream_answers(ADDRESS, ede=(3, "not heard from for 40 s"))
    assert (asked.ede, asked.why) == ([3], "not heard from for 40 s")
    for _ in range(3):
        replay.client_asks(f"{WEB} A")
    teller.lives(7)
    ready = replay.receiver_answers(f"{WEB} A")
    assert ready is not None
    assert ready.why == "not heard from for 40 s, as of 7 s ago"
    assert ready.answer == [f"{WEB} 23 IN A 10.0.0.7"], "nobody vouches for it"
    teller.lives(25)
    replay.client_asks(f"{WEB} A")
    assert replay.waiting


def test_nothing_is_said_beside_a_good_answer_of_another_server() -> None:
    """It may be anything, and the client has what it wanted."""
    replay = Replay()
    asked = replay.client_asks("www.example.com. A")
    replay.upstream_answers("www.example.com. 60 IN A 192.0.2.7", ede=(0, "buy now"))
    assert (asked.answer, asked.ede) == (["www.example.com. 60 IN A 192.0.2.7"], [])


def test_what_does_not_print_does_not_get_through() -> None:
    replay = Replay()
    asked = replay.client_asks("www.example.com. A")
    text = "gone\x1b[31m\r\n\u202eaway"
    replay.upstream_answers(authority=soa("example.com."), rcode="NXDOMAIN", ede=(15, text))
    assert asked.why == "gone [31m   away"


def test_a_long_sentence_is_cut() -> None:
    replay = Replay()
    asked = replay.client_asks("www.example.com. A")
    replay.upstream_answers(authority=soa("example.com."), rcode="NXDOMAIN", ede=(15, "x" * 900))
    assert asked.why == "x" * 128


def test_the_sentence_goes_before_the_answer_is_cut() -> None:
    """A client that takes 512 octets gets all records, and no sentence."""
    replay, _ = fed()
    records = [f"{WEB} 30 IN A 10.0.1.{i}" for i in range(27)]
    asked = replay.client_asks(f"{WEB} A", payload=512)
    replay.upstream_answers(records, ede=(3, "not heard from for 40 s"))
    for each in (asked, *(replay.client_asks(f"{WEB} A", payload=512) for _ in range(3))):
        assert (len(each.answer), each.ede, "TC" in each.reply.to_text()) == (27, [], False)
    ready = replay.receiver_answers(f"{WEB} A", payload=512)
    assert ready is not None
    assert len(ready.answer) == 27
    assert replay.client_asks(f"{WEB} A", payload=1232).ede == [3]


def test_a_name_that_is_known_here_is_not_said_to_be_missing() -> None:
    """--host-record gives it an A record; kubedns knows nothing of it."""
    host = (names.from_text(WEB),), (b"\x0a\x09\x09\x09",), None
    replay, _ = fed(local=LocalRecords(host_records=(host,)))
    asked = missing(replay, f"{WEB} AAAA")
    assert (asked.rcode, asked.ede) == ("NOERROR", [0])
    assert asked.why == "known by the forwarder's own records, with none of this type"


def test_sentences_stay_out_of_the_hot_file() -> None:
    """They are of a moment that is over; the addresses are kept."""
    replay, _ = fed()
    replay.client_asks(f"{WEB} A")
    replay.upstream_answers(ADDRESS, ede=(3, "not heard from for 40 s"))
    (key, stored) = next(iter(replay.cache.entries.items()))
    routes: dict[Route, int] = {}
    taken = hotanswers.taken(stored, replay.clock.now, lambda r: routes.setdefault(r, 0))
    assert taken is not None
    (route,) = routes
    back = hotanswers.restored(key, taken, 1.0, lambda name, number: route, replay.clock.now)
    assert back is not None
    assert back.error is None


def test_what_kubedns_refused_is_told_when_the_next_servers_know_nothing_either() -> None:
    """An address of no service: the upstreams' bare NXDOMAIN says nothing of the cluster."""
    replay, _ = fed()
    question = "7.7.7.10.in-addr.arpa. PTR"
    asked = replay.client_asks(question)
    replay.upstream_answers(rcode="REFUSED", ede=(20, "no service has the address 10.7.7.7"))
    replay.upstream_answers(authority=soa("10.in-addr.arpa."), rcode="NXDOMAIN")
    assert (asked.rcode, asked.ede) == ("NXDOMAIN", [0])
    assert asked.why == replay.client_asks(question).why == "no service has the address 10.7.7.7"


# Stale answers


def test_a_stale_answer_says_for_how_long_kubedns_has_been_silent() -> None:
    replay, teller = fed()
    replay.resolve(f"{WEB} A", ADDRESS)
    teller.changes_all()
    replay.resolve(f"{WEB} A", ADDRESS)
    replay.time_passes(45)  # not a word any more
    asked = replay.client_asks(f"{WEB} A")
    replay.time_passes(0.5)
    assert (asked.answer, asked.ede) == ([f"{WEB} 5 IN A 10.0.0.7"], [3])
    assert asked.why == "kubedns has not answered for 45 s"
    replay.time_passes(10)
    assert replay.client_asks(f"{WEB} A").why == "kubedns has not answered for 56 s"


def test_a_stale_answer_of_a_stub_domain_says_which_one_is_silent() -> None:
    """From when it was first asked in vain, not from when it was last heard of."""
    replay = Replay()
    name = "git.stub.example."
    replay.resolve(f"{name} A", f"{name} 60 IN A 192.0.2.7")
    replay.time_passes(7000 / 2)
    first = replay.client_asks(f"{name} A")
    replay.time_passes(2)
    assert first.why == "expired; stub domain stub.example is asked, and no answer yet"
    replay.time_passes(28)
    asked = replay.client_asks(f"{name} A")
    assert (asked.answer, asked.ede) == ([f"{name} 30 IN A 192.0.2.7"], [3])
    assert asked.why == "upstream of stub domain stub.example has not answered for 30 s"


def test_a_stale_answer_says_what_its_server_said() -> None:
    replay = Replay()
    replay.resolve("www.example.com. A", "www.example.com. 60 IN A 192.0.2.7")
    replay.time_passes(100)
    asked = replay.client_asks("www.example.com. A")
    replay.upstream_answers(rcode="SERVFAIL")
    assert (asked.ede, asked.why) == ([3], f"upstream {DEFAULT} said SERVFAIL")


def test_a_stale_nxdomain_has_a_code_of_its_own() -> None:
    replay = Replay()
    replay.client_asks("www.example.com. A")
    replay.upstream_answers(authority=soa("example.com."), rcode="NXDOMAIN")
    replay.time_passes(100)
    asked = replay.client_asks("www.example.com. A")
    replay.time_passes(5)
    assert (asked.rcode, asked.ede) == ("NXDOMAIN", [19])


# Failures


def test_nothing_known_and_kubedns_away() -> None:
    replay = Replay()
    asked = replay.client_asks(f"{WEB} A")
    replay.time_passes(5)
    assert (asked.rcode, asked.ede) == ("SERVFAIL", [22])
    assert asked.why == "kubedns is away and nothing is known of this name"


def test_a_stub_domain_that_times_out_is_named_with_its_server() -> None:
    replay = Replay()
    asked = replay.client_asks("git.stub.example. A")
    replay.time_passes(5)
    assert (asked.rcode, asked.ede) == ("SERVFAIL", [22])
    assert asked.why == f"stub domain stub.example: {STUB} timed out"


def test_a_kept_failure_says_since_when() -> None:
    replay = Replay()
    replay.client_asks("git.stub.example. A")
    replay.time_passes(4.5)
    replay.time_passes(3)
    asked = replay.client_asks("git.stub.example. A")
    assert asked.ede == [13]
    assert asked.why == (
        f"stub domain stub.example: {STUB} timed out (3 s ago, and not asked again yet)"
    )


def test_an_upstream_that_nobody_listens_at_refuses_the_connection() -> None:
    replay = Replay()
    asked = replay.client_asks("www.example.com. A")
    for _ in range(20):
        if replay.waiting:
            replay.upstream_fails()
        replay.time_passes(0.5)
    assert (asked.rcode, asked.ede) == ("SERVFAIL", [23])
    assert asked.why == f"upstream {DEFAULT} refused the connection"


def test_no_server_at_all_is_not_ready() -> None:
    asked = Replay(upstreams=()).client_asks("www.example.com. A")
    assert (asked.rcode, asked.ede) == ("REFUSED", [14])
    assert asked.why == "no server for this name: no upstream nameservers are known"


def test_a_kept_refusal_of_ours_says_the_same_again() -> None:
    """There is nothing that could be tried again."""
    replay = Replay(upstreams=())
    told = []
    for _ in range(2):
        asked = replay.client_asks("7.7.7.10.in-addr.arpa. PTR")
        if not asked.replies:
            replay.upstream_answers(rcode="REFUSED")
        told.append((asked.rcode, asked.ede, asked.why))
    why = "no server for this name: no upstream nameservers are known"
    assert told == [("REFUSED", [14], why)] * 2


def test_a_stub_domain_without_address_says_so() -> None:
    """Its servers are host names that nobody has resolved yet."""
    replay = Replay(stubs={"stub.example": (Server("0.0.0.0"),)})
    asked = replay.client_asks("git.stub.example. A")
    assert (asked.rcode, asked.ede) == ("SERVFAIL", [22])
    assert asked.why == "stub domain stub.example: no usable address of its servers"


# Answers of our own


@pytest.mark.parametrize(
    ("question", "code", "why"),
    [
        ("x.invalid. A", 0, "special name: RFC 6761 invalid"),
        ("x.onion. A", 0, "special name: RFC 7686 onion"),
        ("localhost. MX", 0, "special name: RFC 6761 localhost"),
        ("single. A", 15, "--domain-needed: names of one label are asked of nobody"),
    ],
)
def test_what_stays_inside_names_its_rule(question: str, code: int, why: str) -> None:
    asked = Replay(domain_needed=True).client_asks(question)
    assert (asked.ede, asked.why) == ([code], why)


def test_filtered_addresses_name_the_option() -> None:
    replay = Replay(filter_aaaa=True)
    asked = replay.resolve("www.example.com. AAAA", "www.example.com. 60 IN AAAA 2001:db9::1")
    assert (asked.answer, asked.ede) == ([], [17])
    assert "--filter-AAAA" in asked.why
    replay.time_passes(30)
    assert replay.client_asks("www.example.com. AAAA").why == asked.why, "true at any time"


# Words


def stub(domain: str = "corp.example") -> Route:
    return Route((names.from_text(domain), Match.SUFFIX), Kind.STUB, ())


def test_servers_that_did_the_same_are_told_together() -> None:
    news = [("10.0.0.9", "timed out"), ("10.0.0.10", "timed out"), ("10.0.0.11", "said NOTIMP")]
    assert sentences.unanswered(stub(), news) == (
        "stub domain corp.example: 10.0.0.9 and 10.0.0.10 timed out, 10.0.0.11 said NOTIMP"
    )
    over = [("10.0.0.9", "over TLS: Connection refused")]
    assert sentences.unanswered(stub(), over) == (
        "stub domain corp.example: 10.0.0.9 refused the connection over TLS"
    )


def test_no_sentence_of_ours_is_long() -> None:
    longest = ".".join(["x" * 63] * 3 + ["y" * 61])
    news = [(f"2001:db8::{i}#5353", "sent a broken reply (at last)") for i in range(16)]
    texts = [
        sentences.unanswered(stub(longest), news),
        sentences.cut_by(names.from_text(longest))[1],
        sentences.cut_by(names.from_text(longest), (0, WHY))[1],
        sentences.led_astray(names.from_text(longest), missing=True)[1],
        sentences.said(stub(longest), "10.0.0.9", 2),
        sentences.kept("x" * 160, 9),
        sentences.stale(stub(longest), 9.0, None, missing=False)[1],
        sentences.stale(stub(longest), None, (0, "x" * 400), missing=True)[1],
    ]
    assert max(map(len, texts)) <= sentences.MOST
