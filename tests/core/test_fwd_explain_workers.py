"""Several workers explain as one: who holds the answer freshest tells it, of servers all do."""

import json
from base64 import b64encode
from typing import Any

from dnsmasq_py.explain import account
from dnsmasq_py.workers import allpages, explained, sums


def part(number: int, left_s: float | None = None, **more: Any) -> dict[str, Any]:
    """Return what one worker tells."""
    cache = None if left_s is None else {"rcode": "NOERROR", "left_s": left_s}
    known: dict[str, Any] = {"cut_by": None, "failure": None, "in_flight": False, "upstreams": []}
    return {"name": "a.", "worker": number, "cache": cache, **known, **more}


def upstream(**more: Any) -> dict[str, Any]:
    usual = {"state": "up", "srtt_ms": 2.0, "timeouts": 1, "losses_in_a_row": 0, "sent": 5}
    return {"server": "192.0.2.1:53", "failed": 0, "heard_s_ago": 3.0, **usual, **more}


def test_the_freshest_answer_is_told_and_who_has_one() -> None:
    found = explained.merged([part(0), part(1, -4.0), part(2, 20.0)])
    assert found["cache"]["left_s"] == 20.0
    assert "worker" not in found
    assert found["workers"] == {
        "asked": 3,
        "holding": [1, 2],
        "note": "2 of 3 workers have it in their caches; told is that of 2",
    }


def test_nobody_has_it() -> None:
    found = explained.merged([part(0), part(1, in_flight=True, cut_by="NXDOMAIN of b.")])
    assert found["workers"]["note"] == "none of 2 workers has it in its cache"
    assert (found["in_flight"], found["cut_by"], found["cache"]) == (True, "NXDOMAIN of b.", None)


def test_the_failure_that_is_kept_for_longest_is_told() -> None:
    parts = [part(0, failure={"left_s": 1.0}), part(1, failure={"left_s": 4.0}), part(2)]
    assert explained.merged(parts)["failure"] == {"left_s": 4.0}


def test_of_servers_counts_are_summed_and_the_worst_state_counts() -> None:
    down = upstream(state="down", srtt_ms=None, losses_in_a_row=4, heard_s_ago=None)
    (found,) = explained.merged([part(0, upstreams=[upstream()]), part(1, upstreams=[down])])[
        "upstreams"
    ]
    assert found == upstream(state="down", timeouts=2, sent=10, losses_in_a_row=4)


def test_a_question_passes_between_processes_as_it_was() -> None:
    """Whatever octets are in its name."""
    asked = account.asked({"name": "A\\000\\032b\\.c.Example", "type": "TYPE4711"})
    assert isinstance(asked, account.Asked)
    assert account.read(asked.text()) == asked


def test_a_question_is_not_remembered_by_the_parent() -> None:
    assert sums.EXPLAIN + "A a." not in sums.LASTING
    assert sums.LIVE_RECORDS not in sums.LASTING


def test_names_asked_for_most_are_ranked_anew() -> None:
    """Each worker tells its ten; there are never more than ten series."""

    def told(*counts: tuple[str, int]) -> list[Any]:
        samples = [
            ["kubedns_forwarder_top_name_queries", {"rank": str(rank), "name": name}, count]
            for rank, (name, count) in enumerate(counts, 1)
        ]
        return [["kubedns_forwarder_top_name_queries", "gauge", "Help.", samples]]

    one = told(*((f"n{i}.", 100 - i) for i in range(10)))
    two = told(("n9.", 90), *((f"m{i}.", 50 - i) for i in range(9)))
    ((_, _, _, samples),) = sums.metrics([one, two], None)
    assert len(samples) == 10
    assert samples[0] == [
        "kubedns_forwarder_top_name_queries",
        {"rank": "1", "name": "n9."},
        181,
    ]


def test_no_burst_anywhere_is_said_so() -> None:
    page = allpages.recorded({"parts": [None, None]}, "jsonl")
    assert (page.status, page.body) == (404, "there was no burst\n")
    empty = {"offset": 0.0, "octets": b64encode(b"").decode()}
    page = allpages.recorded({"parts": [None, empty]}, "jsonl")
    assert page.status == 200
    assert not isinstance(page.body, (str, bytes))
    assert list(page.body) == []


def test_the_account_of_all_is_one_page() -> None:
    page = allpages.explain({"parts": [part(0), part(1, 3.0)]}, [{"server": "192.0.2.1:53"}])
    assert isinstance(page.body, str)
    assert json.loads(page.body)["live"] == [{"server": "192.0.2.1:53"}]
