"""What the value of each supported option of dnsmasq means."""

from collections.abc import Callable
from typing import Any

from dnsmasq_py import recordtext, servertext
from dnsmasq_py.collected import PORT_MAX, PORT_MIN, Collected
from dnsmasq_py.quoting import items, reveal
from dnsmasq_py.recordtext import NUMBER_MAX, whole
from dnsmasq_py.rules import ServerRule
from kubedns.nameserver import ip_text, quote
from kubedns.wire import name as names

CACHE_SIZE_MAX = 5_000_000  # entries; the bound of dnsmasq too
MIN_CACHE_TTL_MAX_S = 3600
STALE_DEFAULT_S = 86400
EDNS_MIN, EDNS_MAX = 512, 65535
RETRY_MIN_MS = 50

_FACILITIES = (
    *("auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "mark", "news"),
    *("security", "syslog", "user", "uucp", *(f"local{number}" for number in range(8))),
)


# A handler is given None for an option that stands alone, and raises ValueError with a reason.
Handler = Callable[[Collected, str | None], None]


def _nothing(collected: Collected, text: str | None) -> None:
    """Take an option that asks for what is always done here."""


def _switch(field: str) -> Handler:
    def take(collected: Collected, text: str | None) -> None:
        collected.values[field] = True

    return take


def _number(field: str, low: int = 0, high: int = NUMBER_MAX, zero: int | None = 0) -> Handler:
    """Return a handler of whole numbers; zero: what 0 means."""

    def take(collected: Collected, text: str | None) -> None:
        collected.values[field] = whole(reveal(_value(text)), low, high) or zero

    return take


def _clipped(field: str, low: int, high: int) -> Handler:
    """Return a handler of whole numbers beyond whose bounds the bound counts, with a warning."""

    def take(collected: Collected, text: str | None) -> None:
        try:
            number = whole(reveal(_value(text)), 0, 10**18)
        except ValueError:
            raise ValueError(f"must be a whole number from {low} to {high}") from None
        collected.values[field] = clipped = min(max(number, low), high)
        if number != clipped:
            option = f"--{field.replace('_', '-').removesuffix('-s')}"
            collected.warnings.append(f"{option}={number} is beyond the bounds, {clipped} counts")

    return take


def _each(field: str, read: Callable[[str], Any], split: Callable[[str], list[str]]) -> Handler:
    """Return a handler that appends what `read` makes of each part of the text."""

    def take(collected: Collected, text: str | None) -> None:
        getattr(collected, field).extend([read(part) for part in split(_value(text))])

    return take


def _rules(field: str, read: Callable[[str], list[Any]]) -> Handler:
    """Return a handler that appends all that `read` makes of the text."""

    def take(collected: Collected, text: str | None) -> None:
        rules = read(reveal(_value(text)))
        getattr(collected, field).extend(rules)
        servers = [rule.server for rule in rules if isinstance(rule, ServerRule) and rule.server]
        if servers and servers[0].port == 0:
            collected.warnings.append(f"{servers[0]}: nothing answers at port 0")

    return take


def _port(collected: Collected, text: str | None) -> None:
    number = whole(reveal(_value(text)), 0, 65535)
    if number == 0:
        raise ValueError("0 switches DNS off, and there is nothing else to do here")
    collected.values["port"] = number


def _use_stale_cache(collected: Collected, text: str | None) -> None:
    seconds = STALE_DEFAULT_S if text is None else whole(reveal(text))
    collected.values["use_stale_cache_s"] = seconds


def _fast_dns_retry(collected: Collected, text: str | None) -> None:
    """Check the numbers only: questions are always asked again, when it is worth it."""
    if text is not None:
        first, *second = items(text)
        whole(first, RETRY_MIN_MS)
        whole(",".join(second))


def _user(collected: Collected, text: str | None) -> None:
    collected.values["user"] = reveal(text or "")


def _servers_file(collected: Collected, text: str | None) -> None:
    collected.values["servers_file"] = reveal(_value(text))


def _log_queries(collected: Collected, text: str | None) -> None:
    kind = reveal(text or "")
    collected.values["log_queries"] = "extra" if kind == "extra" else "yes"
    if kind not in ("", "extra"):
        told = quote(kind)  # escaped: the line goes to the log
        collected.warnings.append(f"--log-queries={told[1:-1]}: {told} means nothing here")


def _log_facility(collected: Collected, text: str | None) -> None:
    facility = reveal(_value(text))
    if "/" not in facility and facility != "-" and facility.lower() not in _FACILITIES:
        raise ValueError("must be -, a path with a / in it, or the name of a facility of syslog")
    collected.values["log_facility"] = facility


def _resolv_file(collected: Collected, text: str | None) -> None:
    """The first one replaces /etc/resolv.conf, if need be with nothing."""
    files = collected.resolv_files or []
    collected.resolv_files = [*files, reveal(text)] if text else files


def _domain(collected: Collected, text: str | None) -> None:
    domain, *ranges = items(_value(text))
    if ranges:
        raise ValueError("ranges of addresses are for DHCP, which is not served")
    if domain == "#":
        raise ValueError("the domain of resolv.conf is not taken over, write it out")
    collected.values["domain"] = servertext.read_name(domain) if domain else names.ROOT


def _cname(collected: Collected, text: str | None) -> None:
    known = {alias for alias, _, _ in collected.cnames}
    for row in recordtext.cnames(_value(text)):
        if row[0] in known:
            raise ValueError(f"{names.to_text(row[0])} is an alias already")
        known.add(row[0])
        collected.cnames.append(row)


def _value(text: str | None) -> str:
    if text is None:
        raise ValueError("needs a value")
    return text


def _whole_text(text: str) -> list[str]:
    return [text]


def _domains(text: str) -> list[str]:
    """Split `/d1/d2/` or `d`."""
    domains = [part for part in reveal(text).split("/") if part]
    if not domains:
        raise ValueError("must be a domain")
    return domains


def _ip(text: str) -> str:
    address = ip_text(text)
    if address is None:
        raise ValueError("must be IP addresses, joined by commas")
    return address


def _path(text: str) -> str:
    if not text:
        raise ValueError("must be a path")
    return reveal(text)


_SWITCHES = (
    *("all-servers", "bind-interfaces", "bogus-priv", "dns-loop-detect", "domain-needed"),
    *("expand-hosts", "no-hosts", "no-ident", "no-negcache", "no-poll", "no-resolv"),
    *("no-round-robin", "proxy-dnssec", "rebind-localhost-ok", "stop-dns-rebind", "strict-order"),
    *("filter-A", "filter-AAAA"),
)

HANDLERS: dict[str, Handler] = {
    **{name: _switch(name.replace("-", "_").lower()) for name in _SWITCHES},
    **dict.fromkeys(("cache-rr", "keep-in-foreground", "strip-mac", "strip-subnet"), _nothing),
    "addn-hosts": _each("addn_hosts", _path, _whole_text),
    "address": _rules("addresses", servertext.address_rules),
    "cache-size": _clipped("cache_size", 0, CACHE_SIZE_MAX),
    "cname": _cname,
    "dns-forward-max": _number("dns_forward_max", 1),
    "domain": _domain,
    "domain-suffix": _domain,
    "edns-packet-max": _clipped("edns_packet_max", EDNS_MIN, EDNS_MAX),
    "except-interface": _each("except_interfaces", str, items),
    "fast-dns-retry": _fast_dns_retry,
    "host-record": _each("host_records", recordtext.host_record, _whole_text),
    "hostsdir": _each("hostsdirs", _path, _whole_text),
    "interface": _each("interfaces", str, items),
    "listen-address": _each("listen_addresses", _ip, items),
    "local": _rules("servers", servertext.server_rules),
    "local-ttl": _number("local_ttl_s"),
    "log-facility": _log_facility,
    "log-queries": _log_queries,
    "max-cache-ttl": _number("max_cache_ttl_s", zero=None),
    "max-port": _number("max_port", high=65535, zero=PORT_MAX),
    "max-tcp-connections": _number("max_tcp_connections", 1),
    "max-ttl": _number("max_ttl_s", zero=None),
    "min-cache-ttl": _clipped("min_cache_ttl_s", 0, MIN_CACHE_TTL_MAX_S),
    "min-port": _number("min_port", high=65535, zero=PORT_MIN),
    "neg-ttl": _number("neg_ttl_s", zero=None),
    "port": _port,
    "ptr-record": _each("ptrs", recordtext.ptr, _whole_text),
    "query-port": _number("query_port", high=65535),
    "rebind-domain-ok": _each("rebind_domains_ok", servertext.read_name, _domains),
    "resolv-file": _resolv_file,
    "rev-server": _rules("servers", servertext.rev_server_rules),
    "server": _rules("servers", servertext.server_rules),
    "servers-file": _servers_file,
    "srv-host": _each("srvs", recordtext.srv, _whole_text),
    "txt-record": _each("txts", recordtext.txt, _whole_text),
    "use-stale-cache": _use_stale_cache,
    "user": _user,
}
