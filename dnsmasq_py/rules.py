"""What options say about names: who is asked for them, and what is known here."""

from dataclasses import dataclass
from enum import Enum

from dnsmasq_py.server import Server


class Match(Enum):
    """Which names a rule is for; see forwarder.md 1.2."""

    SUFFIX = "the domain and all below it, by whole labels"
    DOTLESS = "names of one label (--server=//ip)"
    TEXT = "names below that end in this text, without regard to labels (--server=/*d/ip)"


@dataclass(frozen=True, slots=True)
class ServerRule:
    """
    One domain of one --server, --local or --rev-server.

    domain: folded wire form; the root for servers without a domain, and for DOTLESS. TEXT: the
    ASCII text behind the asterisk, folded, as it was written.
    server: None with use_default (`#`): the servers without a domain; None without: answer
    NXDOMAIN here (--local).
    """

    domain: bytes
    match: Match
    server: Server | None
    use_default: bool = False


@dataclass(frozen=True, slots=True)
class AddressRule:
    """One domain of one --address. addresses: packed; empty: NXDOMAIN. `#` gives 0.0.0.0 and ::."""

    domain: bytes
    match: Match
    addresses: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LocalRecords:
    """Records from options, names folded in wire form; ttl None: --local-ttl."""

    host_records: tuple[tuple[tuple[bytes, ...], tuple[bytes, ...], int | None], ...] = ()
    """(names, packed addresses, ttl)"""
    cnames: tuple[tuple[bytes, bytes, int | None], ...] = ()
    """(alias, target, ttl), one for each alias"""
    txts: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()
    """(name, strings)"""
    srvs: tuple[tuple[bytes, bytes, int, int, int], ...] = ()
    """(name, target, port, priority, weight); the root as target: no such service"""
    ptrs: tuple[tuple[bytes, bytes], ...] = ()
    """(name, target)"""
