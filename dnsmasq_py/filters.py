"""What is taken out of replies of others: rebinding (--stop-dns-rebind) and --filter-A, -AAAA."""

from collections.abc import Iterable

from dnsmasq_py import special
from dnsmasq_py.domains import is_dotless
from dnsmasq_py.options import Options
from kubedns.wire import name as names
from kubedns.wire import rr

BLOCKED = (15, "--stop-dns-rebind: a private address for a foreign name")
"""The extended error (RFC 8914) beside the empty NOERROR that takes a rebinding reply's place."""
FILTERED = (17, "addresses of this family are left out: --filter-A, --filter-AAAA")
"""That beside a reply of which something was filtered."""

_ADDRESSES = (rr.A, rr.AAAA)


def is_rebind(answer: Iterable[rr.RRset], qname: bytes, options: Options) -> bool:
    """
    Tell whether a reply leads a foreign name to a private address, as dnsmasq 2.90 decides it.

    qname: folded, as the client asked; the exceptions are for it, not for where its CNAMEs lead.
    One such address condemns the reply. Not meant for cluster names, whose addresses are private.
    """
    if not options.stop_dns_rebind or _may(qname, options):
        return False
    return any(
        _is_private(rdata, options)
        for rrset in answer
        if rrset.type in _ADDRESSES
        for rdata in rrset.rdatas
    )


def filtered(answer: tuple[rr.RRset, ...], options: Options) -> tuple[rr.RRset, ...]:
    """Return the records without those of filtered types; the same object if there are none."""
    types = [rr.A] * options.filter_a + [rr.AAAA] * options.filter_aaaa
    if not any(rrset.type in types for rrset in answer):
        return answer
    return tuple(rrset for rrset in answer if rrset.type not in types)


def _may(qname: bytes, options: Options) -> bool:
    """Tell whether a name may have private addresses; the root stands for names of one label."""
    return any(
        is_dotless(qname) if domain == names.ROOT else names.is_below(qname, domain)
        for domain in options.rebind_domains_ok
    )


def _is_private(packed: bytes, options: Options) -> bool:
    packed = special.unmapped(packed)
    if options.rebind_localhost_ok and packed in special.THIS_HOST:
        return False
    return packed in special.PRIVATE
