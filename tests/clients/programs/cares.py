"""
c-ares by aiodns: one question per line of standard input, `kind name`; see resolvers.py.

Addresses by ares_getaddrinfo(), which walks the search list; SRV by ares_query(), which does not.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time

import aiodns
import pycares


async def ask(resolver: aiodns.DNSResolver, kind: str, name: str) -> list[str]:
    """Ask one question."""
    match kind:
        case "addresses":
            result = await resolver.getaddrinfo(name, family=socket.AF_UNSPEC)
            return [_text(node.addr[0]) for node in result.nodes]
        case "reverse":
            return [(await resolver.gethostbyaddr(name)).name]
        case _:
            reply = await resolver.query_dns(name, "SRV")
            found = [r.data for r in reply.answer]
            return [
                f"{each.priority}:{each.weight}:{each.port}:{each.target}"
                for each in found
                if isinstance(each, pycares.SRVRecordData)
            ]


def _text(address: bytes | str) -> str:
    return address.decode() if isinstance(address, bytes) else address


async def main() -> None:
    """Answer line by line: milliseconds, error or nothing, what was found; tabs between."""
    resolver = aiodns.DNSResolver()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        kind, name = line.split()
        begun = time.perf_counter()
        found, error = [], ""
        try:
            found = await ask(resolver, kind, name)
        except aiodns.error.DNSError as fault:
            error = pycares.errno.errorcode.get(fault.args[0], str(fault))
        ms = (time.perf_counter() - begun) * 1000
        print(f"{ms:.2f}", error, " ".join(found), sep="\t", flush=True)


asyncio.run(main())
