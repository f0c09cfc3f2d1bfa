"""Explanations and what is seen of the traffic, with whatever a test wants to be different."""

from dataclasses import replace
from typing import Any

from sidecar.explain.shapes import (
    Burst,
    Busy,
    Client,
    Explanation,
    Finding,
    Hint,
    Popular,
    Question,
    Recorder,
    Seen,
    Step,
    Top,
    Verdict,
    Walk,
)
from tests.browser.states import HOSTILE, NOW

SEARCH = ("prod.svc.cluster.local.", "svc.cluster.local.", "cluster.local.")
_ZONE = "cluster zone cluster.local."
_READS = "cluster.local. is the zone of the cluster, which kubedns answers"
_CHANGED = "2026-11-21T17:41:09Z"
POD = ("prod", "web-6d5f8b7c9-x2x4p")


def step(name: str, rtype: str = "A", rcode: str = "NOERROR", *answers: str, **other: Any) -> Step:
    """Return a step that kubedns answered from the cluster."""
    usual = {"ede": "", "rule": _ZONE, "cached": False, "final": False}
    return Step(name, rtype, rcode, answers, **(usual | other))


def walk(resolver: str, *steps: Step, ends: str = "answer") -> Walk:
    """Return a walk of these steps."""
    return Walk(resolver, steps, ends, len(steps))


def authority(name: str, **other: Any) -> dict[str, Any]:
    """Return what kubedns explains of a service of three endpoints, one of them not ready."""
    return {
        "name": name,
        "type": "A",
        "zone": "cluster.local.",
        "ours": True,
        "synced": True,
        "api_away_s": None,
        "rcode": "NOERROR",
        "answers": ["10.96.14.7"],
        "answer_count": 1,
        "ttl": 30,
        "chain": [],
        "outside": None,
        "ede": None,
        "kind": "service",
        "namespace": {"name": "prod", "exists": True},
        "service": {
            "namespace": "prod",
            "name": "web",
            "type": "ClusterIP",
            "cluster_ips": ["10.96.14.7"],
            "external_name": None,
            "ports": [
                {"name": "http", "protocol": "TCP", "port": 80},
                {"name": "metrics", "protocol": "TCP", "port": 9090},
            ],
            "resource_version": "48213",
            "changed": _CHANGED,
        },
        "slices": [
            {
                "name": "web-tx7k2",
                "resource_version": "48377",
                "changed": _CHANGED,
                "ready": 2,
                "unready": 1,
                "addresses": ["10.244.1.7", "10.244.2.9"],
                "unready_pods": ["web-6d5f8b7c9-x2x4p"],
            }
        ],
        "ready": 2,
        "unready": 1,
        "elsewhere": [],
        "did_you_mean": [],
        "unready_reasons": [
            {"pod": POD[1], "namespace": "prod", "reason": "readiness probe fails"}
        ],
    } | other


def forwarder(name: str, **other: Any) -> dict[str, Any]:
    """Return what the forwarder explains of a name of the cluster that it has in its cache."""
    return {
        "name": name,
        "type": "A",
        "rule": {
            "kind": "cluster",
            "domain": "cluster.local.",
            "means": _READS,
            "policy": "fastest",
            "servers": ["127.0.0.1:10053"],
        },
        "cache": {
            "rcode": "NOERROR",
            "answers": ["10.96.14.7"],
            "age_s": 3.1,
            "ttl_s": 30,
            "left_s": 26.9,
            "expired": False,
            "used": 12,
            "chain": [],
            "ede": None,
            "from": "127.0.0.1:10053",
        },
        "cut_by": None,
        "failure": None,
        "in_flight": False,
        "upstreams": [{"server": "127.0.0.1:10053", "state": "up", "srtt_ms": 0.4, "timeouts": 0}],
        "live": None,
    } | other


def absent(name: str, sentence: str, **other: Any) -> Question:
    """Return a question about a name of the cluster that does not exist."""
    said = {"code": 0, "text": sentence}
    ours = authority(
        name, rcode="NXDOMAIN", answers=[], answer_count=0, service=None, slices=[], ready=0,
        unready=0, unready_reasons=[], ede=said, **other,
    )  # fmt: skip
    kept = {"rcode": "NXDOMAIN", "answers": [], "age_s": 1.0, "left_s": 4.0, "used": 3, "ede": said}
    return Question(name, "A", ours, forwarder(name, cache=kept))


def explanation(**other: Any) -> Explanation:
    """Return the explanation of a name that resolves at once: web, asked by a pod of prod."""
    name = "web.prod.svc.cluster.local."
    steps = (
        step(name, "A", "NOERROR", "10.96.14.7", cached=True, final=True),
        step(name, "AAAA", "NOERROR", ede="web has no AAAA records: its addresses are IPv4"),
    )
    return replace(
        Explanation(
            name="web",
            type="addresses",
            asked_at=NOW - 1,
            took_ms=12.3,
            client=Client("10.244.1.7", POD, "prod", SEARCH, 5, options_given=False),
            limits=(),
            walks=(walk("glibc", *steps), walk("musl", *steps)),
            questions=(
                Question(name, "A", authority(name), forwarder(name)),
                Question(
                    name,
                    "AAAA",
                    authority(name, type="AAAA", answers=[], answer_count=0),
                    forwarder(name, type="AAAA", cache=None),
                ),
            ),
            verdict=Verdict(True, "web is the service web in namespace prod: 10.96.14.7."),
        ),
        **other,
    )


def wrong_name() -> Explanation:
    """Return the explanation of a name that is spelled wrong: musl gives up before glibc does."""
    names = [f"wbe.{domain}" for domain in SEARCH]
    sentence = "no service wbe in namespace prod; did you mean web?"
    cluster = [
        step(each, rtype, "NXDOMAIN", ede=sentence if each == names[0] else "", cached=True)
        for each in names
        for rtype in ("A", "AAAA")
    ]
    outside = [
        step("wbe.", rtype, "SERVFAIL", rule="upstream servers", final=True,
             ede="192.0.2.53: no answer within 2 s")
        for rtype in ("A", "AAAA")
    ]  # fmt: skip
    rule = {
        "kind": "upstream",
        "domain": ".",
        "means": "no rule is more special: the upstream servers are asked",
        "policy": "fastest",
        "servers": ["192.0.2.53:53", "192.0.2.54:53"],
    }
    live = [
        {"server": "192.0.2.53:53", "transport": "udp", "rcode": None, "answers": [], "ede": None,
         "ms": None, "error": "timed out after 2.0 s"},
        {"server": "192.0.2.54:53", "transport": "udp", "rcode": "NXDOMAIN", "answers": [],
         "ede": None, "ms": 12.3, "error": None},
    ]  # fmt: skip
    asked = forwarder(
        "wbe.", rule=rule, cache=None, live=live,
        failure={"text": "192.0.2.53: no answer within 2 s", "left_s": 3.0},
        upstreams=[
            {"server": "192.0.2.53:53", "state": "down", "srtt_ms": None, "timeouts": 12},
            {"server": "192.0.2.54:53", "state": "up", "srtt_ms": 14.1, "timeouts": 0},
        ],
    )  # fmt: skip
    return explanation(
        name="wbe",
        walks=(
            walk("glibc", *cluster, *outside, ends="failure"),
            walk("musl", *cluster, outside[0], ends="failure"),
        ),
        questions=(
            absent(names[0], sentence, did_you_mean=["web.prod.svc.cluster.local."]),
            absent(names[1], "namespace svc does not exist"),
            absent(names[2], "search-path product of wbe"),
            Question("wbe.", "A", None, asked),
        ),
        limits=("search domain 4 of 4 is cut: glibc before 2.26 takes 6 in 256 octets",),
        notes=("kubedns did not answer for wbe.: timed out",),
        tried=True,
        verdict=Verdict(
            False,
            "No service wbe in namespace prod, and outside the cluster nobody answers for wbe.",
            (
                Hint("did-you-mean", "Did you mean web.prod.svc.cluster.local.?"),
                Hint("ndots", "Set ndots:2 so that names with dots are asked as they are first."),
            ),
        ),
    )


def hostile_explanation() -> Explanation:
    """Return an explanation in which every text was chosen by an enemy."""
    steps = tuple(step(each, each, each, each, ede=each, rule=each, final=True) for each in HOSTILE)
    pages = [
        (
            authority(
                each,
                rcode=each,
                answers=list(HOSTILE),
                chain=list(HOSTILE),
                outside=each,
                ede={"code": 0, "text": each},
                namespace={"name": each, "exists": False},
                service=dict.fromkeys(
                    ("namespace", "name", "type", "external_name", "resource_version", "changed"),
                    each,
                )
                | {"cluster_ips": list(HOSTILE), "ports": [{"name": each, "protocol": each}]},
                slices=[
                    dict.fromkeys(("name", "resource_version", "changed"), each)
                    | {"addresses": list(HOSTILE), "unready_pods": list(HOSTILE)}
                ],
                elsewhere=list(HOSTILE),
                did_you_mean=list(HOSTILE),
                unready_reasons=[{"pod": each, "reason": each}],
            ),
            forwarder(
                each,
                rule=dict.fromkeys(("kind", "domain", "means", "policy"), each)
                | {"servers": list(HOSTILE)},
                cache={"rcode": "NOERROR", "answers": list(HOSTILE), "from": each},
                cut_by=each,
                failure={"text": each},
                upstreams=[{"server": each, "state": each}],
                live=[{"server": each, "rcode": each, "answers": list(HOSTILE), "error": each}],
            ),
        )
        for each in HOSTILE
    ]
    return explanation(
        name=HOSTILE[0],
        type=HOSTILE[1],
        client=Client(
            HOSTILE[0], (HOSTILE[1], HOSTILE[2]), HOSTILE[3], HOSTILE, 5, options_given=True
        ),
        limits=HOSTILE,
        notes=HOSTILE,
        walks=(walk("glibc", *steps, ends=HOSTILE[0]), walk(HOSTILE[1], *steps)),
        questions=tuple(
            Question(each, each, ours, theirs, each)
            for each, (ours, theirs) in zip(HOSTILE, pages, strict=True)
        ),
        verdict=Verdict(False, HOSTILE[0], tuple(Hint(each, each) for each in HOSTILE)),
    )


# What is seen of the traffic


def seen(**other: Any) -> Seen:
    """Return what is seen of a pod's usual traffic, with two findings and a burst."""
    names = ("web.prod", "api.prod", "redis-master.cache", "kubernetes.default")
    return replace(
        Seen(
            at=NOW - 1,
            top=Top(
                since="2026-11-21T17:30:07Z",
                seconds_s=812.3,
                transactions=123_456,
                sampled=8,
                clients=(
                    Busy("10.244.1.7", 41_200, 0, POD),
                    Busy("10.244.2.9", 9_920, 24, ("shop", "checkout-0")),
                    Busy("fd00:10:244::1f", 1_208, 40),
                ),
                names=tuple(
                    Popular(f"{each}.svc.cluster.local.", "A", 40_000 // (n + 1), 8 * n)
                    for n, each in enumerate(names)
                ),
                rcodes={"NOERROR": 91_200, "NXDOMAIN": 32_000, "SERVFAIL": 256},
                failing=(Popular("db.corp.example.", "A", 248, 0, "SERVFAIL"),),
                waste=30_864,
                waste_share=0.25,
                wasted=(
                    Popular("api.github.com.prod.svc.cluster.local.", "", 8_000, 8),
                    Popular("api.github.com.svc.cluster.local.", "", 7_992, 8),
                ),
            ),
            recorder=Recorder(
                20_000,
                6_291_456,
                1,
                Burst("SERVFAIL: 31 of 40 in 2 s", "2026-11-21T17:39:31Z", 5000),
            ),
            findings=(
                Finding(
                    "search-domain-never-exists", "corp.example.", 1_830, "2026-11-21T17:30:11Z",
                    "2026-11-21T17:43:38Z",
                    "Nothing below corp.example. has ever existed: take it out of the search list.",
                    "findings-search-domain-never-exists",
                ),
                Finding(
                    "conntrack-race", "10.244.1.7", 12, "2026-11-21T17:32:11Z",
                    "2026-11-21T17:42:02Z",
                    "The same client and port asked the same again after 5 s: a packet was lost on "
                    "the way, as in the conntrack race.",
                    "findings-conntrack-race",
                ),
            ),
        ),
        **other,
    )  # fmt: skip


def hostile_seen() -> Seen:
    """Return what is seen if every text was chosen by an enemy."""
    popular = tuple(Popular(each, each, 3, 1, each) for each in HOSTILE)
    return seen(
        top=Top(
            HOSTILE[0], 3.0, 3, 8, tuple(Busy(each, 3, 1, (each, each)) for each in HOSTILE),
            popular, dict.fromkeys(HOSTILE, 1), popular, 3, 0.1, popular,
            pods_known=False, pods_problem=HOSTILE[1],
        ),
        recorder=Recorder(1, 1, 1, Burst(HOSTILE[0], HOSTILE[1], 3)),
        findings=tuple(Finding(*(each, each, 3, each, each, each, each)) for each in HOSTILE),
        problem=HOSTILE[2],
    )  # fmt: skip
