"""
One sentence on why a name resolves or does not, for somebody who was woken by it.

Each rule below looks at the facts and either has a sentence or has not; the first one that has is
the verdict. What to do about it are the hints.
"""

from collections.abc import Callable

from sidecar.explain import facts, hints
from sidecar.explain.facts import Facts, Subject
from sidecar.explain.shapes import Explanation, Step, Verdict
from sidecar.explain.walk import ANSWER, NOT_FOUND, TIMEOUT
from sidecar.view.told import plain

NONE = Verdict(False, "")
"""Before there is one."""
_MOST = 3


def of(found: Explanation) -> Verdict:
    """Return the verdict on an explanation."""
    known = facts.of(found)
    good = all(walk.ends == ANSWER for walk in found.walks) and not known.dns_away
    text = next((said for rule in _RULES if (said := rule(known))), "nothing was asked")
    return Verdict(good, text, tuple(hints.of(known)))


# It resolves, for all or for some


def _resolves(known: Facts) -> str:
    step = known.answered
    if step is None or known.musl.ends != ANSWER or known.glibc.ends != ANSWER:
        return ""
    return f"{known.name} resolves to {_answers(step)}{_waste(known)}"


def _only_one(known: Facts) -> str:
    step = known.answered
    if step is None:
        return ""
    if known.glibc.ends == ANSWER:
        return (
            f"{known.name} resolves to {_answers(step)} for glibc, but not for musl: {_musl(known)}"
        )
    return (
        f"{known.name} resolves to {_answers(step)} for musl, but not for glibc, which ends at "
        f"{plain(known.glibc.steps[-1].name)} with {known.glibc.steps[-1].rcode}"
    )


def _answers(step: Step) -> str:
    shown = [plain(each, 120) for each in step.answers[:_MOST]]
    more = len(step.answers) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _waste(known: Facts) -> str:
    wasted = hints.wasted(known.glibc)
    if not wasted:
        return ""
    return f", after {wasted} question{'s' if wasted > 1 else ''} in vain"


def _musl(known: Facts) -> str:
    """Say why musl does not find what glibc finds."""
    if not known.musl.steps:
        return "with a search domain behind it the name is too long"
    last = known.musl.steps[-1]
    if known.found.type not in (facts.ADDRESSES, "A", "AAAA"):
        return f"there, who asks for {known.found.type} has no search list"
    if not known.resolv.musl_search and known.resolv.search:
        return "it ignores the search list, which is too long for it"
    dots = known.found.name.count(".")
    if dots >= known.resolv.dots:
        return (
            f"a name with {dots} dot{'' if dots == 1 else 's'} and ndots:{known.resolv.ndots} is "
            "tried only as it is there"
        )
    if last.rcode == "NOERROR":
        return f"it stops at {plain(last.name)}, which exists without such records"
    return f"it stops at {plain(last.name)}, which fails with {last.rcode}"


# The DNS itself


def _dns_away(known: Facts) -> str:
    if not known.dns_away:
        return ""
    step = known.answered
    knows = f"; kubedns knows {plain(step.name)}: {_answers(step)}" if step else ""
    return f"{known.dns_away}: no name resolves for who asks it{knows}"


def _not_synced(known: Facts) -> str:
    for each in known.failing():
        if each.ours.flag("ours") and each.ours.flag("synced") is False:
            return "kubedns has not read the whole cluster yet: until it has, unknown names fail"
    return ""


def _kubedns_fails(known: Facts) -> str:
    for each in known.failing():
        if each.rule == "cluster":
            return f"{each.name} fails with {_rcode(each)}: {_why(each, 'kubedns does not answer')}"
    return ""


def _stub_fails(known: Facts) -> str:
    failed = known.subject_failing()
    if failed is None or failed.rule != "stub":
        return ""
    servers = ", ".join(failed.theirs.inner("rule").texts("servers", 80)[:_MOST])
    return (
        f"{failed.name} fails with {_rcode(failed)}: it is of the stub domain {failed.domain} with "
        f"the servers {servers or 'none'}: {_why(failed, 'they do not answer')}"
    )


def _upstream_fails(known: Facts) -> str:
    failed = known.subject_failing()
    if failed is None:
        return ""
    why = _why(failed, "the upstream servers do not answer")
    return f"{failed.name} fails with {_rcode(failed)}: {why}"


def _rcode(subject: Subject) -> str:
    return "silence" if subject.step.rcode == TIMEOUT else subject.step.rcode


def _why(subject: Subject, otherwise: str) -> str:
    live = hints.live_errors(subject)
    return subject.ede or subject.theirs.inner("failure").text("text") or live or otherwise


# A name of the cluster that is not there


def _alias(known: Facts) -> str:
    if known.subject is None:
        return ""
    target = known.subject.ours.inner("service").text("external_name")
    if not target:
        return ""
    if known.subject.step.rcode in facts.FAILING:
        return (
            f"service {known.subject.service} is an alias of {target}, and that fails with "
            f"{_rcode(known.subject)}: {_why(known.subject, 'who is asked for it does not answer')}"
        )
    if hints.is_address(target):
        return (
            f"service {known.subject.service} is of type ExternalName with the IP address "
            f"{target}: DNS can make no alias of an address"
        )
    told = f": {known.subject.ede}" if known.subject.ede else ""
    service = known.subject.service
    return f"service {service} is an alias of {target}, and that has no {known.types}{told}"


def _not_ready(known: Facts) -> str:
    subject = known.subject
    if subject is None or not subject.service or known.found.type == "PTR":
        return ""
    ready, unready = hints.endpoints(subject)
    if ready or hints.has_addresses(subject):
        return ""
    if unready == 1:
        return f"service {subject.service} exists, but its only endpoint is not ready"
    if unready:
        return f"service {subject.service} exists, but none of its {unready:,} endpoints is ready"
    return f"service {subject.service} exists, but has no endpoints"


def _port(known: Facts) -> str:
    subject = known.subject
    if subject is None or not subject.service or subject.kind != "port":
        return ""
    label = subject.name.split(".")[0].removeprefix("_")
    waits = not (hints.endpoints(subject)[0] or hints.has_addresses(subject))
    if waits and label in hints.port_names(subject):
        return ""
    ports = hints.ports(subject)
    return (
        f"service {subject.service} has no port named {label} for that protocol"
        f"{f'; it has {ports}' if ports else '; its ports have no names'}"
    )


def _nodata(known: Facts) -> str:
    subject = known.subject
    if subject is None or subject.step.rcode != "NOERROR" or subject.step.answers:
        return ""
    return f"{subject.name} exists, but has no {known.types}" + (
        f": {subject.ede}" if subject.ede else ""
    )


def _endpoint(known: Facts) -> str:
    subject = known.subject
    if subject is None or not subject.service or subject.kind != "endpoint":
        return ""
    return (
        f"service {subject.service} exists, but it has no ready endpoint named "
        f"{subject.name.split('.')[0]}"
    )


def _namespace(known: Facts) -> str:
    missing = known.namespace_missing()
    if not missing:
        return ""
    return f"namespace {missing} does not exist{_nor_outside(known)}"


def _service(known: Facts) -> str:
    subject = known.subject
    if subject is None or subject.kind not in ("service", "endpoint", "port", "external-name"):
        return ""
    service, namespace = known.labels()
    if subject.service or service in ("", "*"):
        return ""
    others = subject.ours.texts("elsewhere", 80)[:_MOST]
    there = f"; there is one in {_list(others)}" if others else _nor_outside(known)
    return f"there is no service {service} in namespace {namespace}{there}"


def _nor_outside(known: Facts) -> str:
    """Say that the name is no external one either, if it could have been one."""
    bare = next(
        (each for each in known.subjects if each.question.name == f"{known.found.name}."), None
    )
    if bare is None or "." not in known.found.name or bare is known.subject:
        return ""
    if bare.step.rcode == "NXDOMAIN":
        return f", and outside of the cluster {bare.name} does not exist either"
    if bare.step.rcode in facts.FAILING:
        return f", and outside of the cluster {bare.name} fails with {_rcode(bare)}"
    return ""


def _pod(known: Facts) -> str:
    subject = known.subject
    if subject is None or subject.kind != "pod":
        return ""
    return f"{subject.name} is no name of a pod{f': {subject.ede}' if subject.ede else ''}"


def _reverse(known: Facts) -> str:
    if known.found.type != "PTR" or known.subject is None:
        return ""
    # For an address that nobody of the cluster has, others are asked: kubedns says so all the same.
    told = known.subject.ede or known.subject.ours.inner("ede").text("text")
    return f"{known.name} has no PTR record{f': {told}' if told else ''}"


# Anything else


def _outside(known: Facts) -> str:
    subject = known.subject
    if subject is None or subject.step.rcode != "NXDOMAIN" or subject.rule not in _OUTSIDE:
        return ""
    stub = f"the servers of the stub domain {subject.domain}"
    who = stub if subject.rule == "stub" else "the upstream servers"
    told = subject.ours.inner("ede").text("text")
    foreign = f"; it is {told}" if told.startswith(_FOREIGN) else ""
    return f"{subject.name} does not exist: so say {who}{foreign}"


_OUTSIDE = ("stub", "upstream")
_FOREIGN = "not a name of this cluster"  # so kubedns begins to tell of one of another cluster


def _nothing(known: Facts) -> str:
    subject = known.subject
    if subject is None:
        return ""
    told = f": {subject.ede}" if subject.ede else ""
    if known.glibc.ends == NOT_FOUND:
        return f"{known.name} does not exist{told}"
    return f"{known.name} cannot be resolved now{told}"


_RULES: tuple[Callable[[Facts], str], ...] = (
    _dns_away, _resolves, _only_one,
    _not_synced, _alias, _kubedns_fails, _stub_fails, _upstream_fails,
    _not_ready, _nodata, _port, _endpoint, _namespace, _service, _pod, _reverse,
    _outside, _nothing,
)  # fmt: skip


def _list(words: list[str]) -> str:
    """Write `a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
