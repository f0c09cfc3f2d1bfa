"""What became of a question: the reply of the forwarder, or what stands for it."""

from dataclasses import dataclass
from typing import Any

import dns.rcode
import dns.rdatatype

from sidecar.ask import Answer
from sidecar.explain import walk
from sidecar.explain.shapes import Question, Step
from sidecar.view.told import Told, plain

_MAX_ANSWERS = 20
NOT_ASKED = Answer(None, 0.0, "not asked: there was no time left")


@dataclass(frozen=True, slots=True)
class Heard:
    """
    One question with its pages, and the reply, which is what a walk goes by.

    cached: the cache held it before it was asked. ms: how long the reply took, None: none came.
    """

    question: Question
    reply: walk.Reply
    answers: tuple[str, ...]
    ede: str
    cached: bool
    ms: float | None

    @property
    def step(self) -> Step:
        """Return it as a step of a walk that goes on."""
        return Step(
            name=self.question.name,
            type=self.question.type,
            rcode=self.reply.rcode,
            answers=self.answers,
            ede=self.ede,
            rule=_rule(self.question),
            cached=self.cached,
            final=False,
            ms=self.ms,
        )


def weigh(question: Question, answer: Answer) -> Heard:
    """Weigh what came: the reply, or what stands for it."""
    cache = Told(question.forwarder).inner("cache")
    cached = bool(cache) and not cache.flag("expired")
    if answer.reply is not None:
        return _from_reply(question, answer, cached=cached)
    if answer is NOT_ASKED:
        return Heard(question, walk.Reply(walk.TIMEOUT), (), NOT_ASKED.error, cached, None)
    said = _instead(question)
    ede = said.inner("ede").text("text")
    found = tuple(said.texts("answers"))[:_MAX_ANSWERS]
    count = int(said.number("answer_count") or len(found))
    reply = walk.Reply(said.text("rcode", 20) or walk.TIMEOUT, count, count)
    return Heard(question, reply, found, ede, cached, None)


def _instead(question: Question) -> Told:
    """Return what a page says of a question that nobody answered."""
    authority = Told(question.authority)
    if authority.flag("ours") and authority.text("rcode"):
        return authority
    return Told(question.forwarder).inner("cache")


def _from_reply(question: Question, answer: Answer, *, cached: bool) -> Heard:
    assert answer.reply is not None
    message = answer.reply
    wanted = dns.rdatatype.from_text(question.type)
    records = sum(len(rrset) for rrset in message.answer)
    texts = [
        each.to_text()
        for rrset in message.answer
        if rrset.rdtype == wanted or wanted == dns.rdatatype.ANY
        for each in rrset
    ]
    reply = walk.Reply(dns.rcode.to_text(message.rcode()), records, len(texts))
    ede = "; ".join(_ede(each) for each in message.extended_errors())
    return Heard(
        question, reply, tuple(map(plain, texts[:_MAX_ANSWERS])), ede, cached,
        round(answer.took_s * 1000, 1),
    )  # fmt: skip


def _ede(option: Any) -> str:
    """Write an extended DNS error: its sentence, or its code if it has none."""
    text = plain(option.text or "")
    return text or f"extended DNS error {int(option.code)}"


def _rule(question: Question) -> str:
    """Say in a few words who answers a question."""
    rule = Told(question.forwarder).inner("rule")
    kind, domain = rule.text("kind", 40), rule.text("domain")
    words = _RULES.get(kind)
    if words is not None:
        return words.format(domain=domain).rstrip()
    if kind:
        return f"{kind} {domain}".rstrip()
    ours = Told(question.authority).flag("ours")
    return "" if ours is None else "cluster zone" if ours else "not of the cluster"


_RULES = {
    "cluster": "cluster zone {domain}",
    "stub": "stub domain {domain}",
    "upstream": "upstream servers",
    "default": "upstream servers",
    "hosts": "hosts file",
    "special": "special name {domain}",
    "address": "address rule {domain}",
    "none": "nobody",
}
