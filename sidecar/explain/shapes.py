"""
What an explanation is made of, and what is seen of the traffic: values, and nothing else.

Names stand in presentation form with the final dot; `_ms` and `_s` are milliseconds and seconds;
times are seconds since the epoch. Texts and mappings that came from the other two processes are as
they came: of any length, with any character. They are to be escaped where they are shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# A JSON object of another process; read it with view.told.Told, for nothing in it is sure.
Page = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Client:
    """
    Whose resolv.conf it is.

    asked_from: as it was given: a pod's IP address, a namespace, or empty. pod: namespace and name
    of the pod with that address, None: unknown. namespace: None: unknown. search: as the file says,
    before anything is cut. options_given: search or ndots were given, not made up by us.
    """

    asked_from: str
    pod: tuple[str, str] | None
    namespace: str | None
    search: tuple[str, ...]
    ndots: int
    options_given: bool


@dataclass(frozen=True, slots=True)
class Step:
    """
    One question of a walk, and what the pod's own DNS says to it.

    rcode: NOERROR, NXDOMAIN, SERVFAIL…, or TIMEOUT: nothing came. answers: RDATA as texts, at most
    20. ede: what the extended DNS error says, empty: none. rule: who answers it, in a few words.
    cached: the cache held it before. final: the walk ended with it. ms: how long it took.
    """

    name: str
    type: str
    rcode: str
    answers: tuple[str, ...]
    ede: str
    rule: str
    cached: bool
    final: bool
    ms: float | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """
    How a resolver goes through the search list.

    resolver: glibc or musl. ends: answer, not found or failure. queries: how many it sends.
    """

    resolver: str
    steps: tuple[Step, ...]
    ends: str
    queries: int


@dataclass(frozen=True, slots=True)
class Question:
    """
    A question of the walks, once, and what is known of it.

    authority: /explain of kubedns. forwarder: /explain of dnsmasq_py. None: it did not say, and
    problem tells why; problem is empty if there is none.
    """

    name: str
    type: str
    authority: Page | None
    forwarder: Page | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Hint:
    """What to do, or what to know. id: did-you-mean, ndots, readiness…; text: one sentence."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """good: the name resolves, for glibc and for musl. text: one sentence."""

    good: bool
    text: str
    hints: tuple[Hint, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    Why a name resolves or does not.

    name: as it was asked for. type: A, SRV… or addresses, which is A and AAAA together, as
    getaddrinfo() asks. limits: what of the resolv.conf is cut, one sentence each. notes: what could
    not be found out, and why. tried: whether servers were asked live.
    """

    name: str
    type: str
    asked_at: float
    took_ms: float
    client: Client
    limits: tuple[str, ...]
    walks: tuple[Walk, ...]
    questions: tuple[Question, ...]
    verdict: Verdict
    notes: tuple[str, ...] = ()
    tried: bool = False


@dataclass(frozen=True, slots=True)
class Busy:
    """
    A client that asks much. pod: namespace and name, None: unknown, or none of the cluster.

    error: by how much `queries` may be too high.
    """

    client: str
    queries: int
    error: int
    pod: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Popular:
    """A name that is asked for much. type, rcode: empty where it is not told."""

    name: str
    type: str
    queries: int
    error: int
    rcode: str = ""


@dataclass(frozen=True, slots=True)
class Top:
    """
    The heavy hitters since `since` (as the forwarder wrote it), over seconds_s.

    sampled: one of so many hits was looked at; all numbers are estimates of all queries.
    rcodes: queries by rcode. failing: names that end in an error. waste: questions that ended
    NXDOMAIN in a walk of the search list; waste_share: of all, 0 to 1; wasted: their names.
    pods_known: whether pods could be looked up; pods_problem: why not.
    """

    since: str
    seconds_s: float
    transactions: int
    sampled: int
    clients: tuple[Busy, ...]
    names: tuple[Popular, ...]
    rcodes: Mapping[str, int]
    failing: tuple[Popular, ...]
    waste: int
    waste_share: float
    wasted: tuple[Popular, ...]
    pods_known: bool = True
    pods_problem: str = ""


@dataclass(frozen=True, slots=True)
class Burst:
    """The last burst that the recorder kept. at: as the forwarder wrote it."""

    why: str
    at: str
    transactions: int


@dataclass(frozen=True, slots=True)
class Recorder:
    """The flight recorder: transactions held, octets, one of so many kept, the last burst."""

    held: int
    octets: int
    sampled: int
    burst: Burst | None


@dataclass(frozen=True, slots=True)
class Finding:
    """
    A loop or a dead end. about: a name, a server, a client. first, last: as the forwarder wrote.

    chapter: anchor in README's chapter on findings.
    """

    id: str
    about: str
    count: int
    first: str
    last: str
    text: str
    chapter: str


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What is seen of the traffic. at: when it was read, seconds since the epoch.

    None, or no findings with a problem told: it could not be read; problem: why, empty otherwise.
    """

    at: float
    top: Top | None = None
    recorder: Recorder | None = None
    findings: tuple[Finding, ...] = field(default=())
    problem: str = ""
