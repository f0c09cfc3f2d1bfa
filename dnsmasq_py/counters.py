"""What is counted, as plain integers; turned into CHAOS answers, metrics and pages when asked."""

from collections import Counter


class Counters:
    """
    All counts of one process.

    Those of ready answers are summed up when somebody asks, see cache.py.
    """

    def __init__(self) -> None:
        self.queries: Counter[tuple[str, int]] = Counter()  # (protocol udp|tcp, rcode) answered
        self.hits = 0  # UDP: answered with what was there or is being asked already
        self.misses = 0  # UDP: forwarded
        self.tcp_hits = 0
        self.tcp_misses = 0
        self.stale = 0
        self.prefetched = 0
        self.insertions = 0
        self.evictions = 0  # of live answers
        self.local = 0  # answered from local data
        self.malformed: Counter[str] = Counter()  # messages of clients, by kind
        self.bad_replies: Counter[str] = Counter()  # datagrams of upstreams, by kind
        self.dropped: Counter[str] = Counter()  # queries, by reason
        self.limits: Counter[str] = Counter()  # limits reached, by name
        self.exceptions = 0
