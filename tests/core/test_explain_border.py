"""What --explain=same-namespace hides, for random clusters and questions."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubedns.explain.border import Border
from tests.builders import Object, external, headless, namespace, service, slice_
from tests.explainedcluster import Explained, explained, shop, unready

NAMESPACES = ("prod", "prodd", "dev", "web", "com")
SERVICES = ("web", "wbe", "api", "com", "prod", "db")
ZONE = "cluster.local"

_spaces = st.sampled_from(NAMESPACES)
_names = st.sampled_from(SERVICES)
_targets = st.one_of(
    st.builds(lambda s, n: f"{s}.{n}.svc.{ZONE}", _names, _spaces), st.just("x.example")
)
_service = st.tuples(_spaces, _names, st.sampled_from(("ip", "headless", "external")), _targets,
                     st.integers(0, 3), st.integers(0, 3))  # fmt: skip
_questions = st.one_of(
    st.builds(lambda s, n: (f"{s}.{n}.svc.{ZONE}", n), _names, _spaces),
    st.builds(lambda h, s, n: (f"{h}.{s}.{n}.svc.{ZONE}", n), _names, _names, _spaces),
    st.builds(lambda p, s, n: (f"_{p}._tcp.{s}.{n}.svc.{ZONE}", n), _names, _names, _spaces),
    st.builds(lambda n: (f"{n}.svc.{ZONE}", n), _spaces),
    st.builds(lambda s, n: (f"{s}.{n}.{ZONE}", None), _names, _spaces),
    st.builds(lambda s: (f"{s}.{ZONE}", None), _names),
    st.builds(lambda n: (f"10-1-2-3.{n}.pod.{ZONE}", n), _spaces),
    st.just(("9.9.9.10.in-addr.arpa", None)),
    st.just(("web.prod.svc.old.example", None)),
)


def _objects(made: list[Any], spaces: set[str]) -> list[Object]:
    """Build a cluster; of two services with one name the first one counts."""
    found: dict[tuple[str, str], list[Object]] = {}
    for number, (space, name, kind, target, ready, waiting) in enumerate(made):
        if space not in spaces:
            continue
        endpoints: list[Any] = [(f"10.1.{number}.{i + 1}", f"h-{i}") for i in range(ready)]
        endpoints += [unready(f"10.2.{number}.{i + 1}", f"w-{i}") for i in range(waiting)]
        match kind:
            case "ip":
                objects = [service(name, space, ip=f"10.0.0.{number + 1}", ports=["http:80"])]
            case "headless":
                objects = [headless(name, space), slice_(name, space, addresses=endpoints)]
            case _:
                objects = [external(target, name, space)]
        found.setdefault((space, name), objects)
    return [*map(namespace, sorted(spaces)), *(each for objs in found.values() for each in objs)]


def _reply(served: Explained, question: str) -> tuple[object, list[str]]:
    reply = served.ask(question)
    records = (reply.rcode(), sorted(rrset.to_text() for rrset in reply.answer))
    return records, [error.text for error in reply.extended_errors()]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    made=st.lists(_service, max_size=8),
    spaces=st.sets(_spaces),
    asked=_questions,
    rtype=st.sampled_from(("A", "AAAA", "SRV", "PTR")),
)
def test_a_sentence_tells_nothing_of_other_namespaces(
    made: list[Any], spaces: set[str], asked: tuple[str, str | None], rtype: str
) -> None:
    """
    With all other namespaces gone it would be the same.

    As long as code and records of the answer are the same: those are what DNS always told.
    """
    name, own = asked
    spaces |= {space for space, *_ in made}
    question = f"{name} {rtype}"
    spaces |= {"kube-system"}  # so that namespaces are known to be listed in both
    whole = explained(*_objects(made, spaces), border=Border.SAME_NAMESPACE)
    alone = explained(*_objects(made, spaces & {own, "kube-system"}), border=Border.SAME_NAMESPACE)
    records, text = _reply(whole, question)
    records_alone, text_alone = _reply(alone, question)
    if records == records_alone:
        assert text == text_alone, question


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("api.prod.svc.cluster.local A", "no service api in namespace prod"),
        ("wbe.prod.svc.cluster.local A", "no service wbe in namespace prod; did you mean web?"),
        ("web.pord.svc.cluster.local A", "namespace pord does not exist"),
        ("prod.web.svc.cluster.local A", "namespace web does not exist"),
        ("dead.prod.svc.cluster.local A", "service dead exists, 0 of 3 endpoints ready"),
        (
            "astray.prod.svc.cluster.local A",
            "the externalName of astray leads to a name that does not exist",
        ),
        (
            "stray.prod.svc.cluster.local A",
            "the externalName of stray leads to gone.prod.svc.cluster.local, which does not "
            "exist; no service gone in namespace prod",
        ),
        (
            "web.prod.cluster.local A",
            "perhaps a search-path product of web.prod; names of services end in svc.cluster.local",
        ),
    ],
)
def test_what_is_left_of_the_sentences(question: str, told: str) -> None:
    """The question's own labels, and what its own namespace holds."""
    served = explained(*shop(), border=Border.SAME_NAMESPACE)
    (error,) = served.ask(question).extended_errors()
    assert error.text == told
