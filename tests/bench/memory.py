"""What processes take of the machine's memory, as the kernel counts it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ (?P<place>[0-9a-f]+ \S+ (?P<inode>\d+))")


@dataclass(frozen=True, slots=True)
class Memory:
    """
    Octets of one process.

    proportional: a page that several processes have counts for each with its part (PSS), other
    programs of the machine included. own: what no file holds, nearly all of it no other's.
    """

    resident: int
    proportional: int
    own: int


def of(pid: int) -> Memory:
    """Return what a process takes now."""
    found = dict(_fields(Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]))
    return Memory(found["Rss"], found["Pss"], found["Anonymous"])


def alone(pids: Iterable[int]) -> int:
    """
    Return what processes take together where no other one has their files open.

    Of each part of a file the process with most pages of it counts: the others have the same ones.
    """
    own = 0
    shared: Counter[str] = Counter()
    for pid in pids:
        mapped = _mapped(pid)
        own += mapped.pop("")
        shared |= mapped  # the larger one of both
    return own + shared.total()


def _mapped(pid: int) -> Counter[str]:
    """Return the octets that are resident, by the part of a file; the own ones under ''."""
    found: Counter[str] = Counter({"": 0})
    place, resident = "", 0
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if mapping := _MAPPING.match(line):
            place = mapping["place"] if mapping["inode"] != "0" else ""
            continue
        for name, octets in _fields([line]):
            if name == "Rss":
                resident = octets
            elif name == "Anonymous":
                found[place] += resident - octets
                found[""] += octets
    return found


def _fields(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield the names and octets of lines as `Pss:  1234 kB`."""
    for line in lines:
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            yield name, int(value.split()[0]) * 1024
