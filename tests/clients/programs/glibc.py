"""
The resolver of glibc: one question per line of standard input, `kind name`; see resolvers.py.

The argument says how it is asked: `getent`, a new program for each question, or `python`, the
module socket, and res_search() of the library for SRV.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import dns.message
import dns.rdatatype

Ask = Callable[[str], list[str]]
GETENT_NOTHING = 2
HERRNO = {1: "HOST_NOT_FOUND", 2: "TRY_AGAIN", 3: "NO_RECOVERY", 4: "NO_DATA"}


class LookupFailedError(Exception):
    """What went wrong, in the words of the library."""


def getent(*arguments: str, column: int) -> list[str]:
    """Run getent and return one column of what it prints."""
    done = subprocess.run(["getent", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise LookupFailedError(
            "nothing" if done.returncode == GETENT_NOTHING else str(done.returncode)
        )
    return [shlex.split(line)[column] for line in done.stdout.splitlines()]


def addresses(name: str) -> list[str]:
    """Ask with getaddrinfo()."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        names = {getattr(socket, n): n for n in dir(socket) if n.startswith("EAI_")}
        raise LookupFailedError(names[error.errno]) from error
    return [str(each[4][0]) for each in found]


def reverse(address: str) -> list[str]:
    """Ask with gethostbyaddr()."""
    try:
        name, aliases, _ = socket.gethostbyaddr(address)
    except OSError as error:
        raise LookupFailedError(HERRNO.get(error.errno or 0, str(error))) from error
    return [name, *(each for each in aliases if not each.endswith(".arpa"))]


def srv(name: str) -> list[str]:
    """Ask with res_search(), which walks the search list as getaddrinfo() does."""
    library = ctypes.CDLL(ctypes.util.find_library("resolv") or "libresolv.so.2", use_errno=True)
    search = getattr(library, "__res_search", None) or library.res_search
    reply = ctypes.create_string_buffer(65535)
    size = search(name.encode(), 1, int(dns.rdatatype.SRV), reply, len(reply))
    if size < 0:
        place = ctypes.CDLL(None).__h_errno_location
        place.restype = ctypes.POINTER(ctypes.c_int)
        raise LookupFailedError(HERRNO.get(place()[0], "?"))
    message = dns.message.from_wire(reply.raw[:size])
    return [
        f"{each.priority}:{each.weight}:{each.port}:{each.target}"
        for rrset in message.answer
        if rrset.rdtype == dns.rdatatype.SRV
        for each in rrset
    ]


WAYS: dict[str, dict[str, Ask]] = {
    "getent": {
        "addresses": lambda name: sorted({*getent("ahosts", name, column=0)}),
        "reverse": lambda name: getent("hosts", name, column=1),
    },
    "python": {"addresses": addresses, "reverse": reverse, "srv": srv},
}


def main() -> None:
    """Answer line by line: milliseconds, error or nothing, what was found; tabs between."""
    ways = WAYS[sys.argv[1]]
    for line in sys.stdin:
        kind, name = line.split()
        begun = time.perf_counter()
        found, error = [], ""
        try:
            found = ways[kind](name)
        except LookupFailedError as fault:
            error = str(fault)
        ms = (time.perf_counter() - begun) * 1000
        print(f"{ms:.2f}", error, " ".join(found), sep="\t", flush=True)


if __name__ == "__main__":
    main()
