"""Types of records and their data as people read them, and back."""

import re
import struct

from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone import address

# Those that are asked for beside our own; RFC 1035, 3403, 4255, 4034, 6698, 7553, 8659, 9460.
_OTHER_NAMES = {
    15: "MX", 35: "NAPTR", 39: "DNAME", 43: "DS", 44: "SSHFP", 46: "RRSIG", 47: "NSEC",
    48: "DNSKEY", 52: "TLSA", 64: "SVCB", 65: "HTTPS", 256: "URI", 257: "CAA",
}  # fmt: skip
_NAMES = rr.TYPE_NAMES | _OTHER_NAMES
_NUMBERS = {text: number for number, text in _NAMES.items() if number != rr.OPT}


def type_text(number: int) -> str:
    """Name a type; `TYPE123` for an unknown one (RFC 3597)."""
    return _NAMES.get(number) or f"TYPE{number}"


def type_number(text: str) -> int | None:
    """Read a type's name in any case, or `TYPE123`; None: it is neither."""
    known = _NUMBERS.get(text.upper())
    if known is not None:
        return known
    match = re.fullmatch(r"TYPE([0-9]{1,5})", text.upper())
    number = int(match[1]) if match else 0
    return number if 0 < number < 65536 else None


def rdata_text(rtype: int, rdata: bytes) -> str:
    """Write RDATA in presentation form; what we never write ourselves as in RFC 3597."""
    match rtype:
        case rr.A | rr.AAAA if len(rdata) in (4, 16):
            return address.unpack(rdata)
        case rr.CNAME | rr.PTR | rr.NS:
            return names.to_text(rdata)
        case rr.SRV:
            priority, weight, port = struct.unpack(">HHH", rdata[:6])
            return f"{priority} {weight} {port} {names.to_text(rdata[6:])}"
        case rr.TXT:
            # Its strings have the form of labels; but dots need no escape here.
            texts = map(names.label_to_text, names.labels(rdata + b"\0"))
            return " ".join('"' + text.replace("\\.", ".") + '"' for text in texts)
        case rr.SOA:
            first = names.skip(rdata, 0)
            second = names.skip(rdata, first)
            numbers = " ".join(map(str, struct.unpack(">IIIII", rdata[second:])))
            return f"{names.to_text(rdata[:first])} {names.to_text(rdata[first:second])} {numbers}"
    return f"\\# {len(rdata)} {rdata.hex()}"
