"""What a client sees: one question put by the real dig, and what it prints about the reply."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

_PATIENCE_S = 8  # the forwarder gives up after 4.5 s


@dataclass(frozen=True, slots=True)
class Said:
    """
    A reply. errors: INFO-CODE and text of each extended DNS error; answers: its records' data.

    edns: whether dig shows an OPT.
    """

    rcode: str
    errors: tuple[tuple[int, str], ...]
    answers: tuple[str, ...]
    edns: bool


def ask(port: int, *question: str) -> Said | None:
    """Put a question, as on dig's command line, to a port of 127.0.0.1; None: silence."""
    command = ["dig", "@127.0.0.1", "-p", str(port), "+tries=1", f"+time={_PATIENCE_S}"]
    done = subprocess.run([*command, *question], capture_output=True, text=True, timeout=60)
    return None if done.returncode == 9 else read(done.stdout)


def read(printed: str) -> Said:
    """Read what dig 9.18 or a later one prints."""
    status = re.search(r", status: (\w+),", printed)
    assert status is not None, printed
    errors = re.findall(r"^; EDE: (\d+)(?: \([^)]*\))?(?:: \((.*)\))?$", printed, re.MULTILINE)
    section = re.search(r"^;; ANSWER SECTION:\n(.*?)\n\n", printed, re.MULTILINE | re.DOTALL)
    lines = section[1].splitlines() if section else []
    return Said(
        rcode=status[1],
        errors=tuple((int(code), text) for code, text in errors),
        answers=tuple(line.split(None, 4)[4] for line in lines),
        edns="OPT PSEUDOSECTION" in printed,
    )
