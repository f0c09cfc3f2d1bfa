"""Servers that do not keep the letter case of a question: the answer counts all the same."""

from __future__ import annotations

import dns.message

from tests.forwarder.behaviours import GOOD, answers, folds_case, late
from tests.forwarder.client import query
from tests.forwarder.conftest import Start, StartServer


def test_a_server_that_folds_case_is_understood(start: Start, server: StartServer) -> None:
    """And the client sees its own spelling, also the second time."""
    upstream = server(folds_case(answers()))
    forwarder = start(f"--server={upstream.server}")
    for i in range(10):
        for name in (f"wWw{i}.eXaMpLe.", f"WWW{i}.example."):
            assert forwarder.look(name) == {GOOD}
    assert len(upstream.asked) <= 25, "and it is not asked twice for ever"


def test_who_joins_a_question_gets_its_own_spelling(start: Start, server: StartServer) -> None:
    """dnsmasq 2.90 gives the second client the first one's."""
    upstream = server(late(answers(), 0.1))
    forwarder = start(f"--server={upstream.server}")
    names = ["joined.example.", "JOINED.example.", "jOiNeD.ExAmPlE."]
    replies = forwarder.together(query(name).to_wire() for name in names)
    for name, wire in zip(names, replies, strict=True):
        assert wire is not None
        assert dns.message.from_wire(wire).question[0].name.to_text() == name
    assert len({each.name for each in upstream.asked}) == 1
