"""What processes take of the machine's memory, as the kernel counts it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ (?P<place>[0-9a-f]+ \S+ (?P<inode>\d+))")


def of(pid: int) -> int:
    """
    Return the octets that a process takes now (PSS).

    A page that several processes have counts for each with its part, other programs included.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return dict(_fields(lines))["Pss"]


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
