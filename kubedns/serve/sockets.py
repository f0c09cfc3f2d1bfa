"""
Which sockets to open for an address and a port.

A wildcard (`0.0.0.0`, `::`, or nothing) means every address of both families: one socket on `::`
that takes IPv4 as well, or one on 0.0.0.0 where the machine has no IPv6. UDP has a plain socket for
each local address beside it; receiver.py says why.
"""

import errno
import ipaddress
import socket

import ifaddr

from kubedns.errors import KubednsError

_UDP_BUFFER = 4 << 20
_BACKLOG = 1024
_IPV6_RECVPKTINFO = getattr(socket, "IPV6_RECVPKTINFO", 49)
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)


class ListenError(KubednsError):
    """A socket that cannot be opened; the text names address, port and reason."""


def is_wildcard(host: str) -> bool:
    """Tell whether an address means all of them."""
    return host in ("", "0.0.0.0", "::")


def tcp(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """
    Return a listening TCP socket; shared: other processes of ours listen there, too.

    Raises:
        ListenError: see there.
    """
    made = _bound(host, port, socket.SOCK_STREAM, shared)
    made.listen(_BACKLOG)
    made.setblocking(False)
    return made


def udp(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """
    Return a bound, blocking UDP socket; a wildcard one notes where each datagram went.

    shared: other processes of ours have the same address, and each gets its share of the clients.

    Raises:
        ListenError: see there.
    """
    made = _bound(host, port, socket.SOCK_DGRAM, shared)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UDP_BUFFER)
    if is_wildcard(host):
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        else:
            made.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    return made


def local_addresses() -> list[str]:
    """Return the addresses of this machine but link-local ones, loopback first, then in order."""
    found = set()
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            text = each.ip[0] if isinstance(each.ip, tuple) else each.ip
            if not ipaddress.ip_address(text).is_link_local:
                found.add(text)
    return sorted(found, key=lambda text: (not ipaddress.ip_address(text).is_loopback, text))


def _bound(host: str, port: int, kind: int, shared: bool) -> socket.socket:
    families = _families(host)
    for number, (family, address) in enumerate(families):
        made = None
        try:
            made = socket.socket(family, kind)
            # UDP: the wildcard socket and those of single addresses share the port. Another
            # server on it is found by TCP, whose port is opened first.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not is_wildcard(host))
            made.bind((address, port))
            return made
        except OSError as error:
            if made is not None:
                made.close()
            no_ipv6 = error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
            if no_ipv6 and number + 1 < len(families):
                continue
            what = "tcp" if kind == socket.SOCK_STREAM else "udp"
            where = f"[{host}]:{port}" if ":" in host else f"{host or '*'}:{port}"
            raise ListenError(f"cannot listen on {what} {where}: {error.strerror}") from error
    raise AssertionError("a host has at least one family")


def _families(host: str) -> list[tuple[socket.AddressFamily, str]]:
    if is_wildcard(host):
        return [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")]
    return [(socket.AF_INET6 if ":" in host else socket.AF_INET, host)]
