"""
What traffic means: signs become findings.

Some are seen with a single transaction (`seen`), others in what a few seconds have brought
(`judge`). A kind that is a share of something needs enough of it: of ten questions nothing follows.
"""

from collections.abc import Callable, Collection

from dnsmasq_py.observed import records
from dnsmasq_py.observed.findings import Findings
from dnsmasq_py.observed.recorder import Recorder
from dnsmasq_py.observed.records import Record, address_text
from dnsmasq_py.observed.retries import Retries
from dnsmasq_py.observed.tally import Tally
from dnsmasq_py.observed.topmost import together
from dnsmasq_py.observed.walks import Step, is_usual
from kubedns.wire import name as names
from kubedns.wire import rr

_MAX_DOMAINS = 64  # search domains looked at
_LEAST_STEPS = 10
_LEAST_WASTE = 100
_WASTE = 0.2
_LEAST_AAAA = 100
_AAAA = 0.3
_FLOOD = 0.5
_FLOOD_PER_S = 100.0
_LEAST_MISSING = 500


class Signs:
    """See the head of this module; now: seconds since the epoch. zones: returns the cluster's."""

    def __init__(
        self,
        found: Findings,
        tally: Tally,
        recorder: Recorder,
        zones: Callable[[], Collection[bytes]],
        *,
        filters_aaaa: bool = False,
    ) -> None:
        self._found = found
        self._tally = tally
        self._recorder = recorder
        self._zones = zones
        self._filters_aaaa = filters_aaaa
        self._retries = Retries()
        self._steps: dict[bytes, float] = {}  # search domains of which nothing is known to exist
        self._exist: dict[bytes, None] = {}
        self._asked: dict[bytes, float] = {}
        self._missing: dict[bytes, float] = {}
        self._judged = -1.0
        self._looked = self._waste = self._aaaa = 0.0
        self._bursts = 0

    def seen(self, record: Record, question: bytes, now: float) -> None:
        """Take in a transaction; question: folded name and type."""
        if not record.tcp and self._retries.seen(record, question):
            client = address_text(record.address)
            self._found.seen("conntrack-race", client, _RACE.format(client), now)
        if record.source == records.CUT:
            about = names.to_text(question[:-2])
            self._found.seen("mtu-or-truncation", about, _TRUNCATED.format(about), now)
        if self._steps and record.reply[3] & 15 == rr.NOERROR:
            for _, domain in names.suffixes(question[:-2]):
                if domain in self._steps:
                    self._learn(domain)

    def stepped(self, step: Step) -> None:
        """Take in a step of a search list."""
        domain = step.suffix
        if domain in self._exist:
            return
        if domain not in self._steps:
            if any(is_usual(domain, zone) for zone in self._zones()):
                return
            if len(self._steps) >= _MAX_DOMAINS:
                del self._steps[next(iter(self._steps))]
        self._steps[domain] = self._steps.get(domain, 0) + step.weight

    def judge(self, now: float) -> None:
        """Look at what was counted since the last time."""
        before, self._judged = self._judged, now
        looked = self._tally.now.looked
        if 0 <= before < now and looked >= self._looked:
            self._judge_clients(now, now - before, looked - self._looked)
        self._looked = looked
        self._asked = {each.key: each.queries for each in self._tally.now.clients.all()}
        self._judge_search(now)
        self._judge_aaaa(now)
        self._judge_missing(now)
        burst = self._recorder.burst
        if burst is not None and self._recorder.bursts != self._bursts:
            kind = "SERVFAIL" if burst.why.startswith("SERVFAIL") else "latency"
            self._found.seen("burst", kind, _BURST.format(burst.why), now)
        self._bursts = self._recorder.bursts

    def _judge_clients(self, now: float, span_s: float, looked: float) -> None:
        clients = self._tally.now.clients
        if len(clients) < 2 or looked < _FLOOD_PER_S * span_s:
            return
        for key, count, error in clients.all():
            asked = count - max(error, self._asked.get(key, 0.0))
            if asked >= _FLOOD_PER_S * span_s and asked >= _FLOOD * looked:
                client = address_text(key)
                text = _FLOODS.format(client, asked / span_s, 100 * asked / looked)
                self._found.seen("one-client-floods", client, text, now, asked)

    def _judge_search(self, now: float) -> None:
        windows = self._tally.windows
        waste = sum(each.waste for each in windows)
        looked = sum(each.looked for each in windows)
        more, self._waste = self._tally.waste_total - self._waste, self._tally.waste_total
        if more and waste >= _LEAST_WASTE and waste >= _WASTE * looked:
            text = _WASTED.format(100 * waste / looked)
            self._found.seen("search-waste", "", text, now, more)
        for domain, steps in list(self._steps.items()):
            if steps >= _LEAST_STEPS:
                about = names.to_text(domain)
                text = _NEVER.format(about)
                self._found.seen("search-domain-never-exists", about, text, now, steps)
                self._steps[domain] = 0
            elif not steps and len(self._steps) >= _MAX_DOMAINS:
                del self._steps[domain]

    def _judge_aaaa(self, now: float) -> None:
        windows = self._tally.windows
        aaaa = sum(each.aaaa for each in windows)
        whole = aaaa + sum(each.a for each in windows)
        more, self._aaaa = self._tally.now.aaaa - self._aaaa, self._tally.now.aaaa
        if (
            more > 0
            and not self._filters_aaaa
            and aaaa >= _LEAST_AAAA
            and aaaa >= _AAAA * whole
            and not any(each.has_aaaa for each in windows)
            and any(each.has_a for each in windows)  # else they ask for what does not exist
        ):
            text = _NO_IPV6.format(100 * aaaa / whole)
            self._found.seen("aaaa-on-ipv4-only", "", text, now, more)

    def _judge_missing(self, now: float) -> None:
        windows = self._tally.windows
        missing: dict[bytes, float] = {}
        for key, count, error in together(*(each.failing for each in windows))[:10]:
            name = key[:-3]
            steps = sum(each.wasted.get(name) for each in windows)
            if key[-1] == rr.NXDOMAIN and count - error - steps >= _LEAST_MISSING:
                missing[key] = count
                more = count - self._missing.get(key, 0.0)
                if more > 0:
                    about = names.to_text(name)
                    text = _MISSING.format(about, count)
                    self._found.seen("missing-name", about, text, now, more)
        self._missing = missing

    def _learn(self, domain: bytes) -> None:
        """Remember that something is there below a search domain."""
        del self._steps[domain]
        if len(self._exist) >= _MAX_DOMAINS:
            del self._exist[next(iter(self._exist))]
        self._exist[domain] = None


_RACE = (
    "{} asked the same again after 5 s although it had been answered at once: a packet was lost on "
    "the way, most likely to a race in the node's connection tracking; run a DNS cache on each "
    "node, or set single-request-reopen or use-vc in the pod's dnsConfig options"
)
_TRUNCATED = (
    "the answer for {} is truncated and cannot be had over TCP; let TCP to port 53 of the "
    "upstreams pass, and see whether a path drops large packets"
)
_FLOODS = (
    "{} asks {:.0f} questions a second, {:.0f} % of all; look for a loop without a pause there, or "
    "give it a cache of its own"
)
_WASTED = (
    "{:.0f} % of all questions are steps of a search list that end with NXDOMAIN; set ndots:2 in "
    "the pods' dnsConfig, or write names from outside with a dot at the end"
)
_NEVER = (
    "nothing below {} was ever found, yet it stands in clients' search lists; take it out of the "
    "nodes' resolv.conf or the pods' dnsConfig"
)
_NO_IPV6 = (
    "{:.0f} % of the questions for addresses ask for AAAA and none has an answer; set no-aaaa in "
    "the pods' dnsConfig options (glibc 2.36 and later), or give this forwarder --filter-AAAA"
)
_MISSING = (
    "{} does not exist and was asked for {:.0f} times; correct the name where it is configured, or "
    "make what it stands for"
)
_BURST = (
    "many questions came to a bad end at once ({}); what went on around it is kept, see "
    "/recorder?which=burst"
)
