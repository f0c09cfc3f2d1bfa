"""
Ask the real resolvers of this machine, against a DNS server that says what a table tells it.

Run as a program, in network and mount namespaces of its own: standard input is JSON, a list of
{"library", "search", "ndots", "name", "table": {"name. TYPE": "RCODE" | [address, …]}}, where what
the table does not hold is NXDOMAIN; standard output a list of {"asked": [names in the order of the
first question], "error": "…", "found": […]}.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

ADDRESS = ("127.0.0.1", 53)
SILENT = "SILENT"


class Server:
    """Answers from a table, and keeps what was asked."""

    def __init__(self) -> None:
        self.table: dict[str, Any] = {}
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(ADDRESS)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            wire, client = self._socket.recvfrom(4096)
            reply = self._reply(dns.message.from_wire(wire))
            if reply is not None:
                self._socket.sendto(reply, client)

    def _reply(self, query: dns.message.Message) -> bytes | None:
        question = query.question[0]
        name = question.name.to_text().lower()
        if name not in self.asked:
            self.asked.append(name)
        said = self.table.get(f"{name} {question.rdtype.name}", "NXDOMAIN")
        if said == SILENT:
            return None
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if isinstance(said, str):
            reply.set_rcode(dns.rcode.from_text(said))
        elif said:
            reply.answer.append(
                dns.rrset.from_text(question.name, 5, "IN", question.rdtype.name, *said)
            )
        return reply.to_wire()


def main(commands: dict[str, Sequence[str]], resolv: Path) -> None:
    """Do all that standard input asks for; each question by a new process."""
    server = Server()
    told = []
    for case in json.load(sys.stdin):
        server.table, server.asked = case["table"], []
        resolv.write_text(
            f"nameserver {ADDRESS[0]}\nsearch {' '.join(case['search'])}\n"
            f"options ndots:{case['ndots']} timeout:1 attempts:1\n"
        )
        kind = case.get("kind", "addresses")
        with subprocess.Popen(
            commands[case["library"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as program:
            assert program.stdin and program.stdout
            program.stdin.write(f"{kind} {case['name']}\n")
            program.stdin.close()
            assert select.select([program.stdout], [], [], 60)[0]
            _, error, found = program.stdout.readline().rstrip("\n").split("\t")
        told.append({"asked": server.asked, "error": error, "found": found.split()})
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]))
