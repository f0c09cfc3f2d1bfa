"""The load, seen from outside: started, and ended with its record."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from tests.faults.load import Asked, Plan, Result
from tests.faults.part import ROOT


class Loading:
    """A running load."""

    def __init__(self, plan: Plan, out: Path) -> None:
        self._out = out
        with out.with_suffix(".log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.load", json.dumps(asdict(plan)), out],
                cwd=ROOT, stdin=subprocess.PIPE, stderr=log, stdout=log,
            )  # fmt: skip

    def stop(self) -> Result:
        """Let it end, and return its record."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            assert self._process.wait(30) == 0, self._out.with_suffix(".log").read_text()
        finally:
            self._process.kill()
        with self._out.open("rb") as file:
            rows, skipped, stalls = pickle.load(file)
        self._out.unlink()
        return Result([Asked(*each) for each in rows], skipped, stalls)
