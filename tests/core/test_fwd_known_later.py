"""A hosts file gets a name that the cache has an answer for: from then on the file's is given."""

import pytest

from dnsmasq_py.local import HostLine, LocalData
from kubedns.wire import name as names
from tests.fwdreplay import Replay, soa

NAME = "www.example.com"
KEY = names.from_text(NAME) + b"\0\1\0\1\0"


def _gets_hosts_file(replay: Replay) -> None:
    """Do what the service does when a hosts file has changed."""
    line = HostLine(bytes((192, 0, 2, 99)), (names.from_text(NAME),), "hosts")
    replay.forwarder.express.unfold_all()
    replay.forwarder.local = LocalData(replay.options, [line], lambda _: 0)
    replay.cache.clear_ready()


@pytest.mark.parametrize("how", ["a chain leads to it", "it is explained", "it is warmed up"])
def test_whoever_looks_at_the_kept_answer_receivers_do_not_give_it(how: str) -> None:
    replay = Replay()
    replay.resolve(f"{NAME}. A", f"{NAME}. 600 IN A 192.0.2.7")
    _gets_hosts_file(replay)
    if how == "a chain leads to it":
        asked = replay.client_asks("ext.shop.svc.cluster.local. A")
        replay.upstream_answers(f"ext.shop.svc.cluster.local. 30 IN CNAME {NAME}.")
        assert "192.0.2.99" in str(asked.answer)
    elif how == "it is explained":
        replay.forwarder.held(KEY)
    else:
        assert replay.forwarder.renew(KEY) is None
    assert "192.0.2.99" in str(replay.client_asks(f"{NAME}. A").answer)
    assert replay.receiver_answers(f"{NAME}. A") is None


@pytest.mark.parametrize("short_way", [True, False])
def test_a_sentence_behind_an_alias_is_passed_on_either_way(short_way: bool) -> None:
    replay = Replay()
    asked = replay.client_asks(f"{NAME}. AAAA")
    if not short_way:
        replay.forwarder.express.unfold_all()
    replay.upstream_answers(
        f"{NAME}. 60 IN CNAME x.example.com.", soa("example.com."), ede=(15, "blocked here")
    )
    assert asked.ede == [15]
