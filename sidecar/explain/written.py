"""What is found, as values fit for JSON; field names are those that README documents."""

from collections.abc import Mapping, Sequence
from typing import Any

from sidecar.explain.shapes import (
    Busy,
    Client,
    Explanation,
    Finding,
    Question,
    Step,
    Top,
)
from sidecar.report import utc


def explanation(found: Explanation) -> dict[str, Any]:
    """Return the JSON of /explain."""
    return {
        "name": found.name,
        "type": found.type,
        "asked_at": utc(found.asked_at),
        "took_ms": found.took_ms,
        "client": _client(found.client),
        "limits": list(found.limits),
        "walks": [
            {
                "resolver": walk.resolver,
                "steps": [_step(each) for each in walk.steps],
                "ends": walk.ends,
                "queries": walk.queries,
            }
            for walk in found.walks
        ],
        "questions": [_question(each) for each in found.questions],
        "verdict": {
            "good": found.verdict.good,
            "text": found.verdict.text,
            "hints": [{"id": each.id, "text": each.text} for each in found.verdict.hints],
        },
        "notes": list(found.notes),
        "tried": found.tried,
    }


def _client(client: Client) -> dict[str, Any]:
    return {
        "from": client.asked_from,
        "pod": _pod(client.pod),
        "namespace": client.namespace,
        "search": list(client.search),
        "ndots": client.ndots,
        "options_given": client.options_given,
    }


def _pod(pod: tuple[str, str] | None) -> dict[str, str] | None:
    return None if pod is None else {"namespace": pod[0], "name": pod[1]}


def _step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "type": step.type,
        "rcode": step.rcode,
        "answers": list(step.answers),
        "ede": step.ede or None,
        "rule": step.rule,
        "cached": step.cached,
        "final": step.final,
        "ms": step.ms,
    }


def _question(question: Question) -> dict[str, Any]:
    return {
        "name": question.name,
        "type": question.type,
        "authority": question.authority,
        "forwarder": question.forwarder,
        "problem": question.problem or None,
    }


def top(said: Mapping[str, Any], found: Top) -> dict[str, Any]:
    """Return the JSON of /top: the forwarder's, with a pod beside each client."""
    return {
        **said,
        "clients": [_busy(each) for each in found.clients],
        "pods": {"known": found.pods_known, "problem": found.pods_problem},
    }


def _busy(client: Busy) -> dict[str, Any]:
    return {
        "client": client.client,
        "pod": _pod(client.pod),
        "queries": client.queries,
        "error": client.error,
    }


def top_text(found: Top) -> str:
    """Return /top as lines."""
    lines = [f"{found.transactions} queries in {found.seconds_s:.0f} s, since {found.since}", ""]
    if found.pods_problem:
        lines[1:1] = [f"pods are not known: {found.pods_problem}"]
    lines += _table(
        "clients", [(each.queries, f"{each.client}  {_slash(each.pod)}") for each in found.clients]
    )
    lines += _table("names", [(e.queries, f"{e.name} {e.type}") for e in found.names])
    lines += _table("failing", [(e.queries, f"{e.name} {e.type} {e.rcode}") for e in found.failing])
    lines += _table("rcodes", [(count, rcode) for rcode, count in found.rcodes.items()])
    lines += _table(
        f"asked in vain in search lists: {found.waste} queries, {found.waste_share:.0%} of all",
        [(each.queries, each.name) for each in found.wasted],
    )
    return "\n".join(lines)


def _slash(pod: tuple[str, str] | None) -> str:
    return "" if pod is None else f"{pod[0]}/{pod[1]}"


def _table(title: str, rows: Sequence[tuple[int, str]]) -> list[str]:
    return [title, *(f"{count:>12}  {text}".rstrip() for count, text in rows), ""]


def findings_text(found: Sequence[Finding]) -> str:
    """Return /findings as lines."""
    if not found:
        return "nothing was found\n"
    return "".join(
        f"{each.id} {each.about}: {each.count} times, {each.first} to {each.last}\n  {each.text}\n"
        for each in found
    )
