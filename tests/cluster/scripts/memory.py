"""
Print the memory of containers as JSON: {container ID: {"Pss": KiB, "Anonymous": KiB, ...}}.

memory.py ID...: of all processes in their control groups.  "pod" holds what these containers take
together as if no other process of the node used the same files: anonymous memory, and each part
of a file once, as resident as in the process that has most of it.  Runs on the node.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

HEAD = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ (\S+) (\S+) (\d+)")


def main(wanted: list[str]) -> None:
    found: dict[str, Counter[str]] = {name: Counter() for name in wanted}
    files: dict[tuple[str, ...], int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            groups = (process / "cgroup").read_text().splitlines()
            name = next((n for g in groups for n in wanted if g.endswith(n)), None)
            if name is None:
                continue
            text = (process / "smaps").read_text()
        except OSError:  # it ended
            continue
        part: tuple[str, ...] = ()
        for line in text.splitlines():
            if head := HEAD.match(line):
                part = head.groups()  # offset, device, inode
                continue
            key, _, value = line.partition(":")
            if key in ("Rss", "Pss", "Anonymous"):
                amount = int(value.split()[0])
                found[name][key] += amount
                if key == "Rss":
                    resident = amount
                elif key == "Anonymous" and part[2] != "0":
                    files[part] = max(files.get(part, 0), resident - amount)
    alone = sum(counts["Anonymous"] for counts in found.values()) + sum(files.values())
    print(json.dumps({**found, "pod": {"alone": alone}}))


if __name__ == "__main__":
    main(sys.argv[1:])
