"""Questions and records as people write them (RFC 1035 5.1), for pages."""

import struct

from dnsmasq_py import wording
from dnsmasq_py.server import Server, Transport
from kubedns.wire import name as names
from kubedns.wire import response, rr
from kubedns.wire.response import Response
from kubedns.zone import address

MAX_ANSWERS = 20
_MAX_TEXT = 300  # characters of one record
_ONE_NAME = {rr.NS, rr.CNAME, rr.PTR, 39}
_MX = 15
# dnsmasq's names of types, but for those that it writes in a way of its own.
_NUMBERS = {wording.type_text(number): number for number in range(1, 266)} | {"ANY": rr.ANY}


def type_number(text: str) -> int | None:
    """Return the number of a type by its name or as TYPE123; None: there is none."""
    text = text.upper()
    if text in _NUMBERS:
        return _NUMBERS[text]
    digits = text.removeprefix("TYPE")
    if digits != text and digits.isascii() and digits.isdecimal() and int(digits[:6]) < 65536:
        return int(digits)
    return None


def type_text(qtype: int) -> str:
    """Name a type."""
    return rr.TYPE_NAMES.get(qtype) or wording.type_text(qtype).replace("type=", "TYPE")


def rcode_text(rcode: int) -> str:
    """Name a response code."""
    return rr.RCODE_NAMES.get(rcode, f"rcode {rcode}")


def place(server: Server) -> str:
    """Write where a server is: address and port; another transport than UDP as a URL."""
    if server.transport is not Transport.UDP:
        return str(server)
    host = f"[{server.address}]" if ":" in server.address else server.address
    return f"{host}:{server.port}"


def rdata(rtype: int, octets: bytes) -> str:
    """Write RDATA; of types that are not known here as RFC 3597 5 has it."""
    try:
        text = _known(rtype, octets)
    except (ValueError, IndexError, struct.error, names.BadNameError):
        text = None
    text = f"\\# {len(octets)} {octets.hex()}" if text is None else text
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 3]}..."


def answers(found: Response) -> list[str]:
    """Return the RDATA of all records but aliases in the answer section."""
    return [
        rdata(rrset.type, each)
        for rrset in found.answer
        for each in rrset.rdatas
        if rrset.type != rr.CNAME or found.qtype in (rr.CNAME, rr.ANY)
    ]


def chain(found: Response) -> list[str]:
    """Return the aliases on the way, as `a. CNAME b.`."""
    return [
        f"{names.to_text(rrset.owner)} CNAME {names.to_text(rrset.rdatas[0])}"
        for rrset in found.answer
        if rrset.type == rr.CNAME and found.qtype not in (rr.CNAME, rr.ANY)
    ][:MAX_ANSWERS]


def read(octets: bytes) -> Response:
    """Read an answer of the cache, without its ID."""
    return response.read(b"\0\0" + octets)


def _known(rtype: int, octets: bytes) -> str | None:
    if rtype in (rr.A, rr.AAAA):
        return address.unpack(octets)
    if rtype in _ONE_NAME:
        return names.to_text(octets)
    if rtype == rr.SRV:
        priority, weight, port = struct.unpack_from(">HHH", octets)
        return f"{priority} {weight} {port} {names.to_text(octets[6:])}"
    if rtype == _MX:
        return f"{octets[0] << 8 | octets[1]} {names.to_text(octets[2:])}"
    if rtype == rr.TXT:
        return " ".join(_strings(octets))
    if rtype == rr.SOA:
        end = names.skip(octets, 0)
        last = names.skip(octets, end)
        numbers = " ".join(map(str, struct.unpack(">5I", octets[last:])))
        return f"{names.to_text(octets[:end])} {names.to_text(octets[end:last])} {numbers}"
    return None


def _strings(octets: bytes) -> list[str]:
    found = []
    i = 0
    while i < len(octets):
        text = wording.printable(octets[i + 1 : i + 1 + octets[i]]).replace('"', '\\"')
        found.append(f'"{text}"')
        i += 1 + octets[i]
    return found
