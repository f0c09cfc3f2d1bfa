"""
Ask one question every 20 ms, each from a fresh socket and only once, until a line comes in.

steady.py SERVER NAME...: the names in turn, type A; SERVER "-" is the first one of resolv.conf.  It
asks on at this pace while answers are missing.  Prints "started", and in the end a JSON object:
asked; lost: no answer in 2 s, or port unreachable; wrong: answered otherwise than by an address;
when: seconds since the start of each one lost or wrong; worst_ms of those answered.
Runs in pods, so it needs the standard library alone.
"""

import json
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path

PERIOD_S = 0.02
PATIENCE_S = 2.0


def question(name: str) -> bytes:
    """Return a query for A, without the two octets of its ID."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!5H", 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)


def main(server: str, names: list[str]) -> None:
    if server == "-":
        with Path("/etc/resolv.conf").open() as lines:
            server = next(line.split()[1] for line in lines if line.startswith("nameserver"))
    questions = [question(name) for name in names]
    poll = select.poll()
    poll.register(0, select.POLLIN)
    waiting: dict[int, tuple[socket.socket, bytes, float]] = {}
    lost, wrong, when = 0, 0, []
    asked, worst, going = 0, 0.0, True
    print("started", flush=True)
    start = due = time.monotonic()
    while going or waiting:
        now = time.monotonic()
        if going and now >= due:
            due += PERIOD_S
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.connect((server, 53))
            number = os.urandom(2)
            try:
                client.send(number + questions[asked % len(questions)])
            except OSError:
                lost += 1
                when.append(round(now - start, 2))
            else:
                waiting[client.fileno()] = (client, number, now)
                poll.register(client, select.POLLIN)
            asked += 1
        for number_of_file, _ in poll.poll(
            max(0, (due - time.monotonic()) * 1000) if going else 50
        ):
            if number_of_file == 0:
                going = False
                poll.unregister(0)
                continue
            client, number, sent = waiting.pop(number_of_file)
            poll.unregister(client)
            try:
                reply = client.recv(4096)
                good = reply[:2] == number and reply[3] & 15 == 0 and reply[6:8] != b"\0\0"
                wrong += not good
                worst = max(worst, time.monotonic() - sent)
            except OSError:
                good = False
                lost += 1
            if not good:
                when.append(round(sent - start, 2))
            client.close()
        for client, _, sent in list(waiting.values()):
            if time.monotonic() - sent < PATIENCE_S:
                break  # the younger ones follow
            poll.unregister(client)
            del waiting[client.fileno()]
            client.close()
            lost += 1
            when.append(round(sent - start, 2))
    counts = {"asked": asked, "lost": lost, "wrong": wrong, "when": sorted(when)}
    print(json.dumps(counts | {"worst_ms": round(worst * 1000, 1)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
