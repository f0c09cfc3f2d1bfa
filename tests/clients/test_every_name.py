"""Every kind of name, asked by every resolver."""

from __future__ import annotations

import pytest

from tests.clients.capture import Capture, Heard
from tests.clients.conftest import StartAsker
from tests.clients.names import IN_PART, QUESTIONS, Question
from tests.clients.pod import Pod
from tests.clients.resolvers import (
    AIODNS,
    GETENT,
    GLIBC,
    JAVA,
    NODE_LOOKUP,
    RESOLVERS,
    Resolver,
)
from tests.clients.table import Row, Table

_ATTEMPTS = 3
_SOME = 5
_ROOM = 20
_GLIBC = (GETENT, GLIBC, NODE_LOOKUP, JAVA)
_LOOKUPS = [
    pytest.param(question, resolver, id=f"{question}-{resolver.title}")
    for question in QUESTIONS
    for resolver in RESOLVERS
    if question.kind in resolver.kinds
]


@pytest.mark.parametrize(("question", "resolver"), _LOOKUPS)
def test_lookup(
    question: Question, resolver: Resolver, asker: StartAsker, capture: Capture, table: Table
) -> None:
    """The resolver gives the one right answer, by its own walk, and waits for nothing in vain."""
    asking = asker(resolver)
    for _ in range(_ATTEMPTS):
        capture.heard(settle_s=0)
        said = asking.ask(question.name, question.kind)
        heard = capture.heard()
        # On a busy machine a resolver may lose patience once; not again and again.
        if not heard.repeated():
            break
    room = resolver in _GLIBC and question.kind == "addresses" and len(said.found) > _ROOM
    note = _why(question, resolver, heard, room=room)
    table.rows.append(Row(resolver.title, str(question), said, heard, note))
    expected = question.expected(resolver)
    if expected == IN_PART:
        assert isinstance(question.outcome, frozenset)
        assert said.found <= question.outcome
        assert len(said.found) >= _SOME
    else:
        assert said.outcome == expected, said
    assert heard.unanswered() == []
    assert {each.rcode for each in heard.replies} <= {"NOERROR", "NXDOMAIN"}
    assert question.kind == "reverse" or set(heard.walk()) <= set(question.walk())
    assert room or heard.repeated() == []


def _why(question: Question, resolver: Resolver, heard: Heard, *, room: bool) -> str:
    """Say why this resolver differs, if it does."""
    if difference := question.difference(resolver):
        return difference.why
    if not question.absolute and question.kind not in resolver.searches:
        return f"does not search for {question.kind}"
    if room:
        return "before 2.37 glibc asks all over again with twice the room when addresses are many"
    if resolver is JAVA and len(heard.queries) > 1 and question.kind == "reverse":
        return "looks the name of an address up again, to see whether it has that address"
    if resolver is AIODNS and not heard.queries:
        return "has it from its own cache"
    return ""


def test_what_the_search_list_makes_of_names_never_leaves_the_cluster(
    asker: StartAsker, pod: Pod
) -> None:
    """The servers outside hear of names outside, and never of one below the cluster's domain."""
    for name in ("www.example.com", "nope.example.org", "nope"):
        asker(GLIBC).ask(name)
    asked = {each.name for each in pod.outside.asked}
    assert {"nope.example.org.", "nope."} <= asked
    assert [name for name in asked if name.endswith("cluster.local.")] == []
