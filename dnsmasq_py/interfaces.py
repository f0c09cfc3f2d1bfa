"""Which addresses --listen-address, --interface and --except-interface mean."""

from collections.abc import Mapping, Sequence

import ifaddr

from dnsmasq_py.options import Options
from kubedns.serve.sockets import is_wildcard

_LOOPBACK = "lo"


def wanted(
    options: Options, present: Mapping[str, Sequence[str]] | None = None
) -> list[str] | None:
    """
    Return the addresses to listen on, each once; None: all of them.

    present: addresses by interface; None: the machine's own. As in dnsmasq, --interface brings the
    loopback interface with it unless that is excepted, and a name may end in `*`.
    """
    named = [host for host in options.listen_addresses if not is_wildcard(host)]
    everything = len(named) < len(options.listen_addresses)
    if everything or not (named or options.interfaces):
        if not options.except_interfaces:
            return None
        everything = True
    if present is None:
        present = _present()
    found = dict.fromkeys(named)
    served = (*options.interfaces, _LOOPBACK)
    for interface, addresses in present.items():
        if _is_named(interface, options.except_interfaces):
            continue
        if everything or (options.interfaces and _is_named(interface, served)):
            found.update(dict.fromkeys(addresses))
    return list(found)


def _is_named(interface: str, patterns: Sequence[str]) -> bool:
    return any(
        interface.startswith(pattern[:-1]) if pattern.endswith("*") else interface == pattern
        for pattern in patterns
    )


def _present() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            text = each.ip[0] if isinstance(each.ip, tuple) else each.ip
            if not text.lower().startswith("fe80:"):
                found.setdefault(adapter.name, []).append(text)
    return found
