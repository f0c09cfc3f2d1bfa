"""A new configuration, in place: what stays, what goes, and nothing in flight is lost."""

import pytest

from dnsmasq_py.server import Server
from tests.fwdreplay import DEFAULT, OTHER_STUB, STUB, STUBS, Replay, soa

NAME = "www.example.com."
NEW = Server("192.0.2.77")


@pytest.fixture
def replay() -> Replay:
    return Replay()


def fill(replay: Replay, zone: str, count: int) -> None:
    for number in range(count):
        name = f"n{number}.{zone}."
        replay.resolve(f"{name} A", f"{name} 600 IN A 192.0.2.7")
        for _ in range(3):
            replay.client_asks(f"{name} A")


def kept(replay: Replay, zone: str, count: int) -> int:
    """Count the names that are still answered from the cache."""
    return sum(bool(replay.client_asks(f"n{i}.{zone}. A").replies) for i in range(count))


def test_answers_of_unchanged_routes_stay_and_of_changed_ones_go(replay: Replay) -> None:
    zones = ("example.com", "stub.example", "other.example", "svc.cluster.local")
    for zone in zones:
        fill(replay, zone, 20)
    replay.configure(stubs={"stub.example": (NEW,), "other.example": (OTHER_STUB,)})
    found = {zone: kept(replay, zone, 20) for zone in zones}
    assert found == {
        "example.com": 20,
        "stub.example": 0,
        "other.example": 20,
        "svc.cluster.local": 20,
    }
    assert all(q.startswith(str(NEW)) for q in replay.questions)


def test_a_new_stub_domain_takes_its_names_and_gives_them_back(replay: Replay) -> None:
    fill(replay, "example.com", 5)
    fill(replay, "acme.example.com", 5)
    replay.configure(stubs={**STUBS, "acme.example.com": (NEW,)})
    assert kept(replay, "example.com", 5) == 5
    assert kept(replay, "acme.example.com", 5) == 0
    for number in range(5):
        name = f"n{number}.acme.example.com."
        replay.upstream_answers(f"{name} 600 IN A 192.0.2.8", question=f"{name} A")
    assert kept(replay, "acme.example.com", 5) == 5
    replay.configure()
    assert kept(replay, "acme.example.com", 5) == 0
    assert kept(replay, "example.com", 5) == 5


def test_other_upstreams_end_what_the_old_ones_said(replay: Replay) -> None:
    fill(replay, "example.com", 3)
    fill(replay, "stub.example", 3)
    replay.configure(upstreams=(NEW,))
    assert kept(replay, "example.com", 3) == 0
    assert kept(replay, "stub.example", 3) == 3


def test_the_same_configuration_again_costs_nothing(replay: Replay) -> None:
    fill(replay, "example.com", 10)
    before = replay.forwarder.routes
    for _ in range(5):
        replay.configure()
    assert kept(replay, "example.com", 10) == 10
    assert replay.forwarder.routes.default is before.default


def test_receivers_ask_again_after_a_change(replay: Replay) -> None:
    fill(replay, "stub.example", 1)
    assert replay.receiver_answers("n0.stub.example. A") is not None
    replay.configure(stubs={"stub.example": (NEW,)})
    assert replay.receiver_answers("n0.stub.example. A") is None
    assert not replay.client_asks("n0.stub.example. A").replies


def test_negative_answers_and_failures_go_too(replay: Replay) -> None:
    replay.resolve("no.stub.example. A", rcode="NXDOMAIN", authority=soa("stub.example."))
    bad = replay.client_asks("bad.stub.example. A")
    while not bad.replies:
        replay.upstream_answers(rcode="SERVFAIL")
    replay.configure(stubs={"stub.example": (NEW,)})
    for name in ("no", "bad"):
        assert not replay.client_asks(f"{name}.stub.example. A").replies
    assert not replay.client_asks("no.stub.example. AAAA").replies


def chain(replay: Replay) -> None:
    """web.shop.svc.cluster.local → x.stub.example → y.stub.example → www.example.com."""
    replay.resolve(
        "web.shop.svc.cluster.local. A",
        "web.shop.svc.cluster.local. 600 IN CNAME x.stub.example.",
    )
    replay.upstream_answers(
        [
            "x.stub.example. 600 IN CNAME y.stub.example.",
            f"y.stub.example. 600 IN CNAME {NAME}",
        ]
    )
    replay.upstream_answers(
        [f"{NAME} 600 IN CNAME t.example.com.", "t.example.com. 600 IN A 192.0.2.7"]
    )
    assert replay.is_kept("web.shop.svc.cluster.local. A")


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        ({}, True),
        ({"stubs": {**STUBS, "unrelated.example": (NEW,)}}, True),
        ({"stubs": {**STUBS, "other.example": (NEW,)}}, True),
        ({"stubs": {**STUBS, "stub.example": (NEW,)}}, False),
        ({"stubs": {**STUBS, "x.stub.example": (NEW,)}}, False),
        ({"stubs": {**STUBS, "y.stub.example": (NEW,)}}, False),
        ({"stubs": {**STUBS, "www.example.com": (NEW,)}}, False),
        ({"stubs": {**STUBS, "t.example.com": (NEW,)}}, False),
        ({"upstreams": (NEW,)}, False),
        ({"stubs": {}}, False),
    ],
    ids=["same", "unrelated", "other stub", "its stub", "first link", "inner link", "target",
         "last link", "upstreams", "no stubs"],
)  # fmt: skip
def test_a_chain_stays_only_if_each_of_its_links_does(
    replay: Replay, change: dict[str, dict[str, tuple[Server, ...]]], stays: bool
) -> None:
    chain(replay)
    replay.configure(**change)  # type: ignore[arg-type]
    assert bool(replay.client_asks("web.shop.svc.cluster.local. A").replies) is stays


def test_a_chain_within_one_route_is_checked_too(replay: Replay) -> None:
    replay.resolve(
        f"{NAME} A", f"{NAME} 600 IN CNAME t.example.com.", "t.example.com. 600 IN A 192.0.2.7"
    )
    replay.configure(stubs={**STUBS, "t.example.com": (NEW,)})
    asked = replay.client_asks(f"{NAME} A")
    assert not asked.replies


@pytest.mark.parametrize("name", [NAME, "x.stub.example."])
def test_questions_in_flight_are_answered_by_whom_they_were_asked(
    replay: Replay, name: str
) -> None:
    asked = replay.client_asks(f"{name} A")
    replay.configure(upstreams=(NEW,), stubs={"stub.example": (NEW,)})
    replay.upstream_answers(f"{name} 600 IN A 192.0.2.7")
    assert asked.rcode == "NOERROR"
    assert replay.is_quiet()
    assert not replay.client_asks(f"{name} A").replies, "but the others are asked now"
    assert replay.questions == [f"{NEW} {name} A"]


def test_a_chain_in_flight_goes_on_by_the_new_routes(replay: Replay) -> None:
    asked = replay.client_asks("x.stub.example. A")
    replay.configure(upstreams=(NEW,))
    replay.upstream_answers(f"x.stub.example. 60 IN CNAME {NAME}")
    assert replay.questions == [f"{NEW} {NAME} A"]
    replay.upstream_answers(f"{NAME} 60 IN A 192.0.2.7")
    assert len(asked.answer) == 2
    assert replay.is_kept("x.stub.example. A")


def test_nothing_is_lost_when_the_configuration_changes_all_the_time(replay: Replay) -> None:
    asked = []
    for number in range(300):
        asked.append(
            replay.client_asks(f"n{number % 50}.stub.example. A", client=f"10.1.0.{number % 9}")
        )
        if number % 3 == 0:
            replay.configure(stubs={"stub.example": (STUB if number % 2 else NEW,)})
        if number % 2 and replay.waiting:
            (name, _) = replay.questions[0].split()[1:]
            replay.upstream_answers(f"{name} 600 IN A 192.0.2.7")
        replay.time_passes(0.001)
    while replay.waiting:
        (name, _) = replay.questions[0].split()[1:]
        replay.upstream_answers(f"{name} 600 IN A 192.0.2.7")
    assert all(one.rcode == "NOERROR" for one in asked)
    assert replay.is_quiet()


def test_a_reverse_name_that_went_on_to_the_upstreams_stays_with_them(replay: Replay) -> None:
    name = "4.3.2.198.in-addr.arpa."
    asked = replay.client_asks(f"{name} PTR")
    replay.upstream_answers(rcode="REFUSED")
    replay.upstream_answers(f"{name} 600 IN PTR h.example.com.")
    assert asked.rcode == "NOERROR"
    replay.configure(stubs={})
    assert replay.is_kept(f"{name} PTR")
    replay.configure(upstreams=(NEW,))
    assert not replay.client_asks(f"{name} PTR").replies
    assert DEFAULT not in [a.upstream.server for a in replay.waiting]
