"""The table, second part: names outside the cluster, whose servers are well or fail."""

from __future__ import annotations

from tests.realapi.explained.situation import (
    CACHED_ERROR,
    NETWORK,
    OTHER,
    SILENCE,
    Situation,
)

OUTSIDE = (
    Situation(
        "an external name goes through the search list in vain",
        "github.com", "NOERROR", None,
        "github.com resolves to 192.0.2.80, after 6 questions in vain", ("ndots", "aaaa"),
        name="github.com", good=True, answers=("192.0.2.80",),
    ),
    Situation(
        "an external name that does not exist",
        "gihub.com", "NXDOMAIN", None,
        "gihub.com. does not exist: so say the upstream servers", name="gihub.com",
    ),
    Situation(
        "an external name without records of the type",
        "six.example.org A", "NOERROR", None, "six.example.org. exists, but has no A record",
    ),
    Situation(
        "a name of a stub domain that does not exist",
        "nope.corp.example", "NXDOMAIN", None,
        "nope.corp.example. does not exist: so say the servers of the stub domain corp.example.",
        name="nope.corp.example",
    ),
    Situation(
        "a name of another cluster",
        "cart.prod.svc.cluster.lan", "NXDOMAIN", None,
        "cart.prod.svc.cluster.lan. does not exist: so say the upstream servers; it is not a name "
        "of this cluster, whose domain is cluster.local",
    ),
    Situation(
        "a stub domain whose server is silent",
        "a.silent.example A", "SERVFAIL",
        (SILENCE, "stub domain silent.example: 127.0.0.2#... timed out"),
        "a.silent.example. fails with SERVFAIL: it is of the stub domain silent.example..."
        "timed out...",
        ("stub-domain",),
    ),
    Situation(
        "a stub domain whose server fails",
        "a.broken.example A", "SERVFAIL",
        (OTHER, "stub domain broken.example: 127.0.0.2#... said SERVFAIL"),
        "a.broken.example. fails with SERVFAIL: it is of the stub domain broken.example...",
        ("stub-domain",),
    ),
    Situation(
        "a stub domain whose server refuses",
        "a.refusing.example A", "REFUSED",
        (OTHER, "stub domain refusing.example: 127.0.0.2#... refused"),
        "a.refusing.example. fails with REFUSED: it is of the stub domain refusing.example...",
        ("stub-domain",),
    ),
    Situation(
        "a stub domain where nobody listens",
        "a.closed.example A", "SERVFAIL",
        (NETWORK, "stub domain closed.example: 127.0.0.1#... refused the connection..."),
        "a.closed.example. fails with SERVFAIL: it is of the stub domain closed.example...",
        ("stub-domain",),
    ),
    Situation(
        "a stub domain on whose way packets are lost",
        "a.lossy.example A", "NOERROR", None, "a.lossy.example. resolves to 192.0.2.1", good=True,
        answers=("192.0.2.1",),
    ),
    Situation(
        "an externalName of a stub domain whose server is silent",
        "dead.prod.svc.cluster.local A", "SERVFAIL",
        (SILENCE, "stub domain silent.example: 127.0.0.2#... timed out"),
        "service dead in namespace prod is an alias of b.silent.example., and that fails with "
        "SERVFAIL: stub domain silent.example: ...timed out...",
    ),
    Situation(
        "a special name",
        "www.invalid", "NXDOMAIN", (OTHER, "special name: RFC 6761 invalid"),
        "www.invalid. does not exist: special name: RFC 6761 invalid",
    ),
    Situation(
        "the reverse name of an address that is neither a service's nor anybody's outside",
        "-x 198.51.100.9", "NXDOMAIN",
        (OTHER, "no service has the address 198.51.100.9..."),
        "9.100.51.198.in-addr.arpa. has no PTR record...",
    ),
)  # fmt: skip

NOT_AGAIN = (
    Situation(
        "a failure that is not asked again yet",
        "a.refusing.example A", "REFUSED",
        (CACHED_ERROR, "stub domain refusing.example: 127.0.0.2#... refused (... s ago, and not "
                       "asked again yet)"),
        "a.refusing.example. fails with REFUSED: ...",
    ),
)  # fmt: skip
"""Of a name that was asked for a moment ago."""

UPSTREAM_SILENT = (
    Situation(
        "the upstream servers are silent",
        "www.example.net A", "SERVFAIL", (SILENCE, "upstream 127.0.0.1#... timed out"),
        "www.example.net. fails with SERVFAIL: upstream 127.0.0.1#... timed out...", ("upstream",),
    ),
    Situation(
        "a name of the cluster while the upstream servers are silent",
        "stock.test.svc.cluster.local", "NOERROR", None, "stock.test resolves to ...",
        name="stock.test", good=True,
    ),
)  # fmt: skip
