"""
The whole table: ``python -m tests.faults [--short] [--json FILE] [--keep FOLDER] [ROW ...]``.

A row is given by its number; "8" means all from 8a on. Exit status 1: our own broke a promise.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from tests.faults.pods import Ours
from tests.faults.promises import broken
from tests.faults.rows import ROWS
from tests.faults.stage import play, scene
from tests.faults.table import HEAD, details, line


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--short", action="store_true", help="as the tests do it: ours alone")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--keep", type=Path, help="an empty folder for logs, to look at later")
    parser.add_argument("rows", nargs="*")
    options = parser.parse_args()
    wanted = [
        row
        for row in ROWS
        if not options.rows
        or any(row.number == each or row.number.rstrip("abcdef") == each for each in options.rows)
    ]
    found: list[dict[str, Any]] = []
    kept = 0
    with (
        tempfile.TemporaryDirectory() as made,
        scene(options.keep or Path(made), short=options.short) as stage_of,
    ):
        print(HEAD, flush=True)
        for row in wanted:
            began = time.monotonic()
            stage = stage_of(row.number)
            try:
                outcomes = play(row, stage)
            except Exception:  # of this row; the others are worth their time
                traceback.print_exc()
                continue
            took = time.monotonic() - began
            for who, outcome in outcomes.items():
                print(line(row.number, row.story, who, outcome))
                for text in details(outcome, stage.notes if who == Ours.name else ()):
                    print(text)
                found.append({"row": row.number, "who": who, **outcome.as_json()})
            problems = list(broken(row, stage, outcomes))
            kept += not problems
            for problem in problems:
                print(f"       BROKEN: {problem}")
            print(f"       took {took:.1f} s", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1, default=str))
    return int(kept < len(wanted))


if __name__ == "__main__":
    sys.exit(main())
