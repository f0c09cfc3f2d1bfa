"""``python -m tests.bench [--quick] [--only GROUP]``: measure, print, draw, never judge."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import report
from tests.bench.bench import Bench
from tests.bench.figures import table, verdict
from tests.bench.machine import LOAD_CORES, describe, pinned
from tests.bench.plan import GROUPS, Plan, chosen
from tests.bench.systems import FORWARDER, KUBEDNS

_SHARED_MEMORY = Path("/dev/shm")
_OURS = {KUBEDNS: "kubedns", FORWARDER: "forwarder"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the groups asked for; return 1 when one of them broke, however the figures are."""
    options = _parse(argv)
    begun = time.monotonic()
    machine = describe()
    given = {name: shlex.split(getattr(options, flag)) for name, flag in _OURS.items()}
    plan = Plan(chosen(options.only or (), quick=options.quick))
    with pinned(LOAD_CORES), tempfile.TemporaryDirectory(dir=_scratch_root()) as scratch:
        bench = Bench(Path(scratch), options.quick, given)
        try:
            plan.run(bench)
        finally:
            bench.close()
    machine["minutes taken"] = f"{(time.monotonic() - begun) / 60:.0f}"
    print(", ".join(f"{name}: {value}" for name, value in machine.items()), end="\n\n")
    print(table(plan.figures), verdict(plan.figures), sep="\n\n")
    print("".join(f"left out: {reason}\n" for reason in bench.left_out), end="")
    folder = _folder(options)
    report.write(folder, machine, plan.figures, bench.left_out)
    if folder == report.RESULTS and not report.show(report.README, machine, plan.figures):
        print("README.md has no place for figures")
    return 1 if plan.failed else 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    stories = "\n".join(
        f"  {group.key:10}{group.story}{' (only when asked for)' if group.asked else ''}"
        for group in GROUPS
    )
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        epilog=f"groups:\n{stories}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="fewer, shorter rounds and groups")
    keys = [group.key for group in GROUPS]
    parser.add_argument("--only", action="append", choices=keys, metavar="GROUP", help="repeatable")
    parser.add_argument("--results", metavar="FOLDER", type=Path, help="where to write them")
    for flag in _OURS.values():
        parser.add_argument(
            f"--{flag}", metavar="COMMAND", default="", help=f"start our {flag} with this instead"
        )
    return parser.parse_args(argv)


def _folder(options: argparse.Namespace) -> Path:
    if options.results:
        folder: Path = options.results
        return folder
    return report.PARTIAL if options.only or options.quick else report.RESULTS


def _scratch_root() -> Path | None:
    """Return where etcd's writes cost nothing, if there is such a place."""
    return _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
