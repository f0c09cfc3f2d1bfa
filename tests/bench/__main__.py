"""``python -m tests.bench [--quick] [--only GROUP] [--json FILE]``: measure, print, never judge."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.figures import as_json, table, verdict
from tests.bench.machine import LOAD_CORES, describe, pinned
from tests.bench.plan import GROUPS, Plan

_SHARED_MEMORY = Path("/dev/shm")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the groups asked for; return 1 when something could not be measured at all."""
    options = _parse(argv)
    begun = time.monotonic()
    machine = describe()
    plan = Plan(
        frozenset(options.only or GROUPS),
        options.quick,
        shlex.split(options.kubedns),
        shlex.split(options.forwarder),
    )
    with pinned(LOAD_CORES), tempfile.TemporaryDirectory(dir=_scratch_root()) as scratch:
        plan.run(Path(scratch))
    machine["seconds taken"] = f"{time.monotonic() - begun:.0f}"
    print(", ".join(f"{name}: {value}" for name, value in machine.items()), end="\n\n")
    print(table(plan.figures), verdict(plan.figures), sep="\n\n")
    print("".join(f"left out: {reason}\n" for reason in plan.left_out), end="")
    if options.json:
        result = {"machine": machine, "left_out": plan.left_out, "figures": as_json(plan.figures)}
        Path(options.json).write_text(json.dumps(result, indent=2) + "\n")
    return 1 if plan.left_out else 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller clusters")
    parser.add_argument("--only", action="append", choices=GROUPS, help="repeatable")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON as well")
    for name in ("kubedns", "forwarder"):
        parser.add_argument(
            f"--{name}", metavar="COMMAND", default="", help=f"start our {name} with this instead"
        )
    return parser.parse_args(argv)


def _scratch_root() -> Path | None:
    """Return where etcd's writes cost nothing, if there is such a place."""
    return _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
