"""Octets that nobody thought of: all seeds, and about a minute of looking for more."""

import os
from pathlib import Path

import pytest

from tests.fuzz import running
from tests.fuzz.__main__ import main

_SECONDS = 3  # of fuzzing for each target; starting it takes as long again
_RUNS = 20_000


@pytest.fixture
def atheris() -> None:
    """Skip the test where the fuzzer is not installed; CI must have it."""
    try:
        import atheris  # noqa: F401
    except ImportError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no coverage-guided fuzzing: {error}")


@pytest.mark.parametrize("target", running.TARGETS)
def test_seeds_hold(target: str) -> None:
    """Every input that is kept, also those that once failed, has the properties of its target."""
    paths = running.seeds(target)
    assert paths, "a target without seeds"
    check = running.module_of(target).check
    check(b"")
    for path in paths:
        check(path.read_bytes())


@pytest.mark.usefixtures("atheris")
@pytest.mark.parametrize("target", running.TARGETS)
def test_nothing_is_found_in_seconds(target: str, tmp_path: Path) -> None:
    """Bounded by time and by executions: a slow machine looks at less, and finds no less."""
    outcome = running.fuzz(target, tmp_path, seconds=_SECONDS, runs=_RUNS)
    assert outcome.is_clean, outcome.trouble()
    assert outcome.executions > len(running.seeds(target))


@pytest.mark.usefixtures("atheris")
def test_the_fuzzer_finds_what_is_there_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a quiet run would mean nothing: a fault that is planted comes out with its input."""
    monkeypatch.setenv("KUBE_DNS_FUZZ_PLANT", "1")
    assert main(["names", "--seconds", "30", "--folder", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "names: input " in out
    assert "planted" in out
    assert list((tmp_path / "names" / "findings").iterdir())
