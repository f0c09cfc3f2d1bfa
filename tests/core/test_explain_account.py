"""/explain: where an answer comes from."""

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubedns.explain.border import Border
from kubedns.explain.spelling import rdata_text, type_number, type_text
from kubedns.wire import name as names
from kubedns.wire import rr
from tests.builders import slice_
from tests.explainedcluster import explained, shop, unready

P = "prod.svc.cluster.local."


def test_a_headless_service_with_its_slices() -> None:
    """Which addresses, which are not ready, and when that was seen to change."""
    served = explained(*shop())
    changed = slice_(
        "db", "prod", ports=["pg:5432"], addresses=[("10.1.0.1", "db-0"), unready("10.1.0.2", "x")]
    )
    changed["metadata"]["resourceVersion"] = "77"
    served.pairing.put(*_put(served, changed), now=1_700_000_000.0)
    served.cluster.flush()
    found = served.account(f"db.{P}")
    assert found["rcode"] == "NOERROR"
    assert found["answers"] == ["10.1.0.1"] and found["answer_count"] == 1 and found["ttl"] == 30
    assert found["kind"] == "service"
    assert found["namespace"] == {"name": "prod", "exists": True}
    assert found["service"]["type"] == "Headless"
    assert found["service"]["ports"] == [{"name": "pg", "protocol": "TCP", "port": 5432}]
    assert found["slices"] == [
        {
            "name": "db-abcde",
            "resource_version": "77",
            "changed": "2023-11-14T22:13:20Z",
            "ready": 1,
            "unready": 1,
            "addresses": ["10.1.0.1"],
            "unready_pods": ["x"],
        }
    ]
    assert (found["ready"], found["unready"]) == (1, 1)
    assert (found["ede"], found["elsewhere"], found["did_you_mean"]) == (None, [], [])


def _put(served: object, value: dict[str, object]) -> tuple[object, object]:
    cluster = served.cluster  # type: ignore[attr-defined]
    from kubedns.cluster.objects import Kind

    return Kind.SLICE, cluster.decode(value)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (f"web.{P}", "service"),
        (f"alias.{P}", "external-name"),
        (f"db-0.db.{P}", "endpoint"),
        (f"_http._tcp.web.{P}", "port"),
        (P, "namespace"),
        ("10-1-2-3.prod.pod.cluster.local.", "pod"),
        ("1.0.0.10.in-addr.arpa.", "reverse"),
        ("cluster.local.", "apex"),
        ("dns-version.cluster.local.", "schema"),
        (f"github.com.{P}", "search-product"),
        ("web.cluster.local.", "unknown"),
        ("www.example.", "unknown"),
    ],
)
def test_kinds(name: str, kind: str) -> None:
    assert explained(*shop()).account(name)["kind"] == kind


def test_where_else_and_what_was_meant() -> None:
    served = explained(*shop())
    assert served.account(f"api.{P}")["elsewhere"] == ["prod-eu", "dev", "qa"]
    assert served.account(f"wbe.{P}")["did_you_mean"] == [f"web.{P}"]
    assert served.account("web.pord.svc.cluster.local")["did_you_mean"] == [f"web.{P}"]
    assert served.account("wbe.pord.svc.cluster.local")["did_you_mean"] == [f"web.{P}"]
    assert served.account("prod.web.svc.cluster.local")["did_you_mean"] == [f"web.{P}"]
    assert served.account("web.prod.cluster.local")["did_you_mean"] == [f"web.{P}"]
    assert served.account(f"dead.{P}")["did_you_mean"] == []


def test_an_alias_and_where_it_leads() -> None:
    served = explained(*shop())
    found = served.account(f"alias.{P}")
    assert found["chain"] == [f"alias.{P} CNAME api.test.svc.cluster.local."]
    assert found["answers"] == ["10.0.1.3"]
    assert found["service"]["external_name"] == "api.test.svc.cluster.local."
    assert found["outside"] is None
    assert served.account(f"away.{P}")["outside"] == "x.example."
    assert served.account(f"address.{P}")["service"]["external_name"] == "10.9.9.9"


def test_a_reverse_name_leads_to_its_service() -> None:
    found = explained(*shop()).account("1.0.0.10.in-addr.arpa.", rr.PTR)
    assert found["answers"] == [f"web.{P}"]
    assert found["service"]["name"] == "web"


def test_what_is_not_ours() -> None:
    found = explained(*shop()).account("www.example.")
    assert (found["ours"], found["rcode"], found["outside"]) == (False, "REFUSED", "www.example.")


def test_operators_see_what_clients_do_not() -> None:
    """On the loopback port; `ede` alone is what a client is told."""
    found = explained(*shop(), border=Border.SAME_NAMESPACE).account(f"api.{P}")
    assert found["elsewhere"] == ["prod-eu", "dev", "qa"]
    assert found["ede"] == {"code": 0, "text": "no service api in namespace prod"}
    assert explained(*shop(), border=Border.OFF).account(f"api.{P}")["ede"] is None


def test_before_the_first_list_and_while_the_api_server_is_away() -> None:
    served = explained(*shop(), synced=False)
    found = served.account(f"nope.{P}")
    assert (found["synced"], found["rcode"], found["ede"]["code"]) == (False, "SERVFAIL", 14)
    served.zone.synced = True
    served.sentences.look(40.0)
    assert served.account(f"web.{P}")["api_away_s"] == 40.0
    assert served.account(f"web.{P}")["ede"]["code"] == 3


_texts = st.text(string.printable.replace(".", ""), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20), max_size=6), st.sampled_from([1, 12, 33, 65]))
def test_any_name_gives_json(labels: list[bytes], rtype: int) -> None:
    """Whatever octets it holds."""
    served = explained(*shop())
    name = names.from_labels([*labels, b"prod", b"svc", b"cluster", b"local"])
    found = served.account(names.to_text(name), rtype)
    assert json.loads(json.dumps(found))["name"] == names.to_text(name)
    served.account(names.to_text(names.from_labels(labels)), rtype)


@pytest.mark.parametrize(
    ("text", "number"),
    [("a", 1), ("AAAA", 28), ("HTTPS", 65), ("type65", 65), ("TYPE4711", 4711), ("TYPE0", None),
     ("TYPE65536", None), ("OPT", None), ("", None), ("TYPE\u0663", None)],
)  # fmt: skip
def test_types_by_name(text: str, number: int | None) -> None:
    assert type_number(text) == number
    if number is not None:
        assert type_number(type_text(number)) == number


def test_data_as_text() -> None:
    """As dig writes it."""
    web = names.from_text("web.example")
    assert rdata_text(rr.SRV, rr.srv(10, 100, 80, web)) == "10 100 80 web.example."
    assert rdata_text(rr.TXT, rr.txt("1.1.0")) == '"1.1.0"'
    soa = rr.soa(web, web, serial=1, refresh=2, retry=3, expire=4, minimum=5)
    assert rdata_text(rr.SOA, soa) == "web.example. web.example. 1 2 3 4 5"
    assert rdata_text(4711, b"\x01\xff") == "\\# 2 01ff"
