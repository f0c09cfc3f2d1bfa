"""
One target fuzzed in a process of its own, and what came of it.

What libFuzzer writes (inputs that made it end, the corpus that grows) goes to a folder of the
caller's, never into the repository.
"""

import importlib
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SEEDS = HERE / "seeds"
TARGETS = tuple(sorted(path.stem for path in (HERE / "targets").glob("[a-z]*.py")))

_UNIT_S = 60  # one input; a loaded machine is slow, a hang is a hang
_RSS_MB = 2048
_START_S = 300  # to import, and to run the corpus, however busy the machine is
_STATISTIC = re.compile(r"^stat::(\w+):\s+(\d+)$", re.MULTILINE)
_COVERAGE = re.compile(r"\bcov: (\d+) ft: (\d+) corp: (\d+)")
_FINDING = re.compile(r"Test unit written to (\S+)$", re.MULTILINE)
_NOISE = re.compile(r"INFO: |\[INFO\] |stat::|#\d+\s|MS: |\\|0x|Base64: |SUMMARY: ")


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What came of fuzzing a target.

    executions: inputs that were run. coverage: places reached in the product; features: with how
    often. new_units: inputs that reached something new. finding: the input that failed, None if
    none did; told: the end of what the process said then.
    """

    target: str
    executions: int
    coverage: int
    features: int
    new_units: int
    rss_mb: int
    finding: bytes | None
    told: str

    @property
    def is_clean(self) -> bool:
        """Tell whether it ran to its end and found nothing."""
        return self.finding is None and not self.told

    def __str__(self) -> str:
        row = f"{self.target:12} {self.executions:9} executions, {self.coverage:5} places"
        row += f" ({self.features} features), {self.new_units:4} new units, {self.rss_mb} MB"
        return row if self.is_clean else f"{row}\n{self.trouble()}"

    def trouble(self) -> str:
        """Say what was found, for a person."""
        octets = "no input" if self.finding is None else f"input {self.finding.hex()}"
        return f"{self.target}: {octets}\n{self.told}"


def module_of(target: str) -> ModuleType:
    """Import a target, without instruments."""
    return importlib.import_module(f"tests.fuzz.targets.{target}")


def seeds(target: str) -> list[Path]:
    """Return the seeds of a target."""
    return sorted(path for path in (SEEDS / target).glob("*") if path.is_file())


def fuzz(
    target: str,
    folder: Path,
    *,
    seconds: int,
    seed: int = 1,
    runs: int = -1,
) -> Outcome:
    """
    Fuzz a target for some seconds, or fewer when `runs` executions are done.

    folder: where the corpus is kept and findings are written. seed: of the chance; the same one
    does not quite repeat a run that time has bounded.
    """
    corpus, findings = folder / "corpus", folder / "findings"
    for each in (corpus, findings):
        each.mkdir(parents=True, exist_ok=True)
    words = folder / "words"
    module = module_of(target)
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in module.TOKENS))
    flags = {
        "max_total_time": seconds,
        "runs": runs,
        "seed": seed,
        "max_len": module.MAX_LEN,
        "timeout": _UNIT_S,
        "rss_limit_mb": _RSS_MB,
        "dict": words,
        "artifact_prefix": f"{findings}/",
        "reload": 0,
        "print_final_stats": 1,
    }
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:  # libFuzzer ends without clean-up
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.worker", target]
            + [f"-{name}={value}" for name, value in flags.items()]
            + [str(corpus), str(SEEDS / target)],
            cwd=ROOT,
            env=os.environ
            | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "TMPDIR": scratch},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + _START_S,
            check=False,
        )
    return _outcome(target, done)


def _outcome(target: str, done: "subprocess.CompletedProcess[str]") -> Outcome:
    text = done.stderr
    statistics = {name: int(number) for name, number in _STATISTIC.findall(text)}
    coverage, features, _ = map(int, (_COVERAGE.findall(text) or [(0, 0, 0)])[-1])
    written = _FINDING.search(text)
    told = ""
    if done.returncode or written:
        lines = [line for line in text.splitlines() if not _NOISE.match(line)]
        told = done.stdout[-2000:] + "\n".join(lines[-60:])
    return Outcome(
        target,
        statistics.get("number_of_executed_units", 0),
        coverage,
        features,
        statistics.get("new_units_added", 0),
        statistics.get("peak_rss_mb", 0),
        Path(written[1]).read_bytes() if written else None,
        told,
    )


def _escaped(word: bytes) -> str:
    """Write a word as libFuzzer's dictionaries want it."""
    return "".join(f"\\x{octet:02x}" for octet in word)
