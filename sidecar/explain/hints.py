"""
What to do about it, or what to know beside it: a table of rules, each with its id.

A rule looks at the facts and either has a sentence or has not. All that have one are told, in the
order of the table: first what helps now.
"""

from collections.abc import Callable, Iterator

from kubedns.nameserver import ip_text
from sidecar.explain.facts import ADDRESSES, FAILING, Facts, Subject
from sidecar.explain.shapes import Hint, Walk
from sidecar.explain.walk import ANSWER
from sidecar.view.told import plain

_MOST = 3
_MUCH_WASTE = 3  # names that are asked for in vain
_SLOW_MS = 1000.0


def of(known: Facts) -> Iterator[Hint]:
    """Yield all that fit."""
    for name, rule in _RULES:
        if text := rule(known):
            yield Hint(name, text)


# What several rules and the verdict look at


def wasted(walk: Walk) -> int:
    """Count the questions of a walk that were asked in vain."""
    if walk.ends != ANSWER:
        return 0
    return sum(not each.final for each in walk.steps)


def endpoints(subject: Subject) -> tuple[int, int]:
    """Return how many endpoints are ready and how many are not."""
    ours = subject.ours
    return int(ours.number("ready") or 0), int(ours.number("unready") or 0)


def has_addresses(subject: Subject) -> bool:
    """Tell whether a service has addresses whatever its endpoints are."""
    found = subject.ours.inner("service").texts("cluster_ips", 60)
    return any(each != "None" for each in found)


def ports(subject: Subject) -> str:
    """Return the names of the ports of a service, as a list."""
    found = [
        f"{each.text('name', 40)} ({each.text('protocol', 10) or 'TCP'})"
        for each in subject.ours.inner("service").objects("ports")
        if each.text("name", 40)
    ]
    return ", ".join(found[:10])


def port_names(subject: Subject) -> list[str]:
    """Return the names of the ports of a service."""
    return [each.text("name", 40) for each in subject.ours.inner("service").objects("ports")]


def is_address(target: str) -> bool:
    """Tell whether an externalName is an IP address."""
    return ip_text(target.rstrip(".")) is not None


def live_errors(subject: Subject) -> str:
    """Return what went wrong when servers were asked live."""
    return "; ".join(
        f"{each.text('server', 80)} {each.text('error', 120)}"
        for each in list(subject.theirs.objects("live"))[:_MOST]
        if each.text("error")
    )


# What helps now


def _did_you_mean(known: Facts) -> str:
    if known.subject is None or known.answered is not None:
        return ""
    names = known.subject.ours.texts("did_you_mean")[:_MOST]
    return f"did you mean {' or '.join(names)}?" if names else ""


def _wrong_namespace(known: Facts) -> str:
    subject = known.subject
    if subject is None or known.answered is not None:
        return ""
    others = subject.ours.texts("elsewhere", 80)[:_MOST]
    service, _ = known.labels()
    if not others or not service:
        return ""
    return f"from another namespace ask for {' or '.join(f'{service}.{each}' for each in others)}"


def _readiness(known: Facts) -> str:
    if known.subject is None or not known.subject.service:
        return ""
    ready, unready = endpoints(known.subject)
    if ready or not unready:
        return ""
    why = _unready(known.subject)
    if known.answered is None:
        return why
    # Its cluster IP resolves whatever its endpoints are.
    because = f": {why}" if why else ""
    return f"the name resolves, but no endpoint is ready, so connections fail{because}"


def _unready(subject: Subject) -> str:
    reasons = [
        f"pod {each.text('pod', 80)}: {each.text('reason', 120)}"
        for each in subject.ours.objects("unready_reasons")
    ]
    if reasons:
        return "; ".join(reasons[:_MOST])
    pods = [pod for each in subject.ours.objects("slices") for pod in each.texts("unready_pods")]
    return f"not ready: pod {', '.join(pods[:_MOST])}" if pods else ""


def _selector(known: Facts) -> str:
    subject = known.subject
    if subject is None or known.answered is not None or not subject.service:
        return ""
    service = subject.ours.inner("service")
    if any(endpoints(subject)) or service.text("external_name") or has_addresses(subject):
        return ""
    return "look whether the service's selector matches the labels of any pod"


def _port(known: Facts) -> str:
    subject = known.subject
    if subject is None or subject.kind != "port" or known.answered is not None:
        return ""
    if not subject.service:
        return ""
    return (
        "an SRV name is _<port name>._<tcp or udp>.<service>: the port needs a name in the Service"
    )


def _external_address(known: Facts) -> str:
    if known.subject is None:
        return ""
    target = known.subject.ours.inner("service").text("external_name")
    if not is_address(target):
        return ""
    return (
        "make it a headless Service without selector, and an EndpointSlice with the address "
        f"{target}"
    )


def _external_target(known: Facts) -> str:
    if known.subject is None or known.answered is not None:
        return ""
    target = known.subject.ours.inner("service").text("external_name")
    if not target or is_address(target):
        return ""
    return f"explain {target.rstrip('.')}. next: the alias is as good as its target"


def _stub(known: Facts) -> str:
    failed = known.subject_failing()
    if failed is None or failed.rule != "stub":
        return ""
    return (
        f"look at the servers of the stub domain {failed.domain} in the ConfigMap kube-dns, and "
        "whether a NetworkPolicy or a firewall keeps this pod from them"
    )


def _upstream(known: Facts) -> str:
    failed = known.subject_failing()
    if failed is None or failed.rule != "upstream":
        return ""
    down = [
        each.text("server", 80)
        for each in failed.theirs.objects("upstreams")
        if each.text("state", 20) in ("down", "looping")
    ]
    which = f"down are {', '.join(down[:_MOST])}" if down else "none of them is known to be down"
    return f"the upstream servers are those of the ConfigMap kube-dns or of the node: {which}"


def _no_upstream(known: Facts) -> str:
    if not any(each.rule == "none" for each in known.failing()):
        return ""
    return "no upstream servers are known: give upstreamNameservers in the ConfigMap kube-dns"


def _dns(known: Facts) -> str:
    if not known.dns_away:
        return ""
    return "look at the container dnsmasq of this pod: its log, and whether it restarts"


def _kubedns(known: Facts) -> str:
    if not any(each.rule == "cluster" and not each.ours.has("outside") for each in known.failing()):
        return ""
    if any(each.ours.flag("synced") is False for each in known.subjects):
        return "look at what kubedns waits for: its log, or the status page under Sources"
    return "look at the container kubedns of this pod: its log, and whether it restarts"


# What to know


def _api_away(known: Facts) -> str:
    away_s = max((each.ours.number("api_away_s") or 0.0 for each in known.subjects), default=0.0)
    if not away_s:
        return ""
    return f"the API server has not been heard for {away_s:.0f} s: later changes are not known"


def _expired(known: Facts) -> str:
    subject = known.subject
    if subject is None or not subject.theirs.inner("cache").flag("expired"):
        return ""
    if "stale" not in subject.ede and "has not answered" not in subject.ede:
        return ""
    return "the answer is an old one from the cache: who should answer does not"


def _cut_by(known: Facts) -> str:
    subject = known.subject
    cut_by = "" if subject is None or known.answered else subject.theirs.text("cut_by")
    return f"it is not asked for again as long as this is kept: {cut_by}" if cut_by else ""


def _failure_kept(known: Facts) -> str:
    for each in known.failing():
        left_s = each.theirs.inner("failure").number("left_s")
        if left_s is not None:
            return f"the failure of {each.name} is kept for {left_s:.0f} s more, then asked again"
    return ""


def _different(known: Facts) -> str:
    if known.glibc.ends == known.musl.ends or ANSWER not in (known.glibc.ends, known.musl.ends):
        return ""
    full = known.answered.name if known.answered else ""
    steps = (*known.glibc.steps, *known.musl.steps)
    if not full or any(each.name == full and each.rcode in FAILING for each in steps):
        return ""
    return f"the full name with a final dot works for both: {plain(full)}"


def _ndots(known: Facts) -> str:
    names = dict.fromkeys(each.name for each in known.glibc.steps if not each.final)
    if known.glibc.ends != ANSWER or len(names) < _MUCH_WASTE:
        return ""
    if known.subject is None or known.subject.ours.flag("ours"):
        return ""
    saved = wasted(known.glibc)
    if known.resolv.dots <= 2:
        return f"ask for {known.name}. with a final dot: {saved} questions less each time"
    return (
        f"set ndots:2 in the pod's dnsConfig, or ask for {known.name}. with a final dot: that "
        f"saves {saved} questions each time"
    )


def _search(known: Facts) -> str:
    slow = next(
        (
            each
            for each in known.glibc.steps
            if not each.final
            and each.name != f"{known.found.name}."
            and (each.rcode in FAILING or (each.ms or 0.0) >= _SLOW_MS)
        ),
        None,
    )
    if slow is None or known.glibc.ends != ANSWER:
        return ""
    domain = slow.name[len(known.found.name) + 1 :]
    return (
        f"the search domain {plain(domain)} costs time at each look-up: {plain(slow.name)} "
        f"{'takes ' + format((slow.ms or 0) / 1000, '.1f') + ' s' if slow.ms else ''}"
        f" and ends with {slow.rcode}".replace("  ", " ")
    )


def _aaaa(known: Facts) -> str:
    if known.found.type not in (ADDRESSES, "AAAA"):
        return ""
    final = {each.type: each for each in known.glibc.steps if each.final}
    six = final.get("AAAA")
    if six is None or six.rcode != "NOERROR" or six.answers:
        return ""
    four = final.get("A")
    if not (four.answers if four is not None else "IPv4" in plain(six.ede)):
        return ""
    return "that there is no AAAA record is normal: its addresses are IPv4"


def _kubedns_away(known: Facts) -> str:
    return _away(known, "kubedns:")


def _forwarder_away(known: Facts) -> str:
    return _away(known, "the forwarder:")


def _away(known: Facts, who: str) -> str:
    why = next((each for each in known.found.notes if each.startswith(who)), "")
    return f"{plain(why)}; this is explained without it" if why else ""


def _limits(known: Facts) -> str:
    return known.found.limits[0] if known.found.limits and known.answered is None else ""


_RULES: tuple[tuple[str, Callable[[Facts], str]], ...] = (
    ("did-you-mean", _did_you_mean),
    ("namespace", _wrong_namespace),
    ("readiness", _readiness),
    ("selector", _selector),
    ("port", _port),
    ("external-name", _external_address),
    ("external-name", _external_target),
    ("stub-domain", _stub),
    ("upstream", _upstream),
    ("upstream", _no_upstream),
    ("dns", _dns),
    ("kubedns", _kubedns),
    ("api-server", _api_away),
    ("stale", _expired),
    ("cache", _cut_by),
    ("cache", _failure_kept),
    ("resolvers", _different),
    ("ndots", _ndots),
    ("search", _search),
    ("aaaa", _aaaa),
    ("kubedns-away", _kubedns_away),
    ("forwarder-away", _forwarder_away),
    ("limits", _limits),
)
