"""
The soak: ``python -m tests.soak [--minutes 20] [--seed 0] [--json FILE] [--keep FOLDER]``.

The plan of a seed is printed first; ``--plan`` prints it and ends.  Exit status 1: an answer was
wrong, stale or missing where the table does not allow it, something did not heal, a process of
ours wrote a traceback or takes ever more.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path

from tests.realapi.controlplane import ControlPlane, missing
from tests.soak import summary
from tests.soak.kinds import KINDS
from tests.soak.plan import plan, shown
from tests.soak.running import Running
from tests.soak.scene import RATE, Scene, scene

_OWN_MOUNTS = "--own-mounts"
_SHARE_MORE, _MORE_S = 1.3, 240.0  # than planned, after which it ends in any case


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=RATE, help="questions a second")
    parser.add_argument(
        "--only", action="append", default=[], choices=[kind.name for kind in KINDS],
        help="this kind; repeatable",
    )  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="show the plan, and nothing else")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--keep", type=Path, help="an empty folder for logs, to look at later")
    parser.add_argument(_OWN_MOUNTS, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.own_mounts and not options.plan and _may_mount():
        argv = [sys.executable, "-m", "tests.soak", *sys.argv[1:], _OWN_MOUNTS]
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", *argv])
    kinds = [kind for kind in KINDS if not options.only or kind.name in options.only]
    if not options.own_mounts and not options.plan:
        print("nothing may be mounted here: without the rows about the disk")
        kinds = [kind for kind in kinds if "disk" not in kind.uses or kind.name == "pod rolled"]
    episodes = plan(options.seed, 60 * options.minutes, kinds)
    print(f"seed {options.seed}, {options.minutes:g} minutes")
    print(*shown(episodes), sep="\n", flush=True)
    if options.plan:
        return 0
    if lacking := missing([*ControlPlane.NEEDS, "cc", "dnsperf"]):
        print(f"not installed: {lacking}; tests/setup-tools.sh gets what it can")
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all is put away
    _end_after(60 * options.minutes * _SHARE_MORE + _MORE_S)
    with tempfile.TemporaryDirectory() as made:
        folder = options.keep or Path(made)
        with scene(folder, options.seed, mounts=options.own_mounts, rate=options.rate) as stage:
            running = Running(stage, options.seed, options.rate)
            running.run(episodes, 60 * options.minutes)
            stage.stopped.set()
            stage.changing.stop()
            stage.asker.stop()
            took_s = time.monotonic() - stage.began
            running.end()
    _report(stage, running, took_s, options.json)
    return int(bool(stage.faults or stage.model.broken))


def _may_mount() -> bool:
    return not subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode


def _end_after(seconds: float) -> None:
    """End this process at the latest then; all that it started ends with it."""

    def end() -> None:
        print("the soak takes too long: it ends here", flush=True)
        faulthandler.dump_traceback(all_threads=True)
        os._exit(3)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _report(stage: Scene, running: Running, took_s: float, to: Path | None) -> None:
    model = stage.model
    print(*summary.table(model), sep="\n")
    print(f"{model.all.asked / took_s:,.0f} questions a second, {stage.asker.skipped:,} skipped;")
    print(f"{stage.cluster.changes:,} changes beside churn; verdicts: {dict(model.verdicts)}")
    print(summary.news(stage.changing.news_s))
    print(*summary.taken(running.samples), sep="\n")
    well = f"{summary.percentile(running.well_s, 0.5):.1f}, {max(running.well_s, default=0.0):.1f}"
    print(f"the pod said it is well after (median, most): {well} s")
    shares = ", ".join(f"{summary.percentile(running.waited, each):.2f}" for each in (0.5, 0.9, 1))
    print(f"of each second a thread waited for a processor (median, p90, most): {shares};")
    print(f"for {running.busy_s:.0f} s the machine was too busy: only wrong answers count then")
    if running.busy_s > took_s / 2:
        print("so this run says little: let it be alone on the machine")
    for text, count in model.broken.most_common():
        print(f"BROKEN {count} times: {text}")
    for text in stage.faults:
        print(f"FAULT: {text}")
    print("nothing was broken" if not (model.broken or stage.faults) else "NOT what was promised")
    if to:
        figures = {
            **summary.as_json(model),
            "faults": stage.faults,
            "news_s": stage.changing.news_s,
            "samples": [asdict(each) for each in running.samples],
            "notes": stage.notes,
            "waited": running.waited,
        }
        to.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    sys.exit(main())
