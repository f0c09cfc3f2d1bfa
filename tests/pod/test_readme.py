"""The examples of README.md, run as they stand there against the demo cluster."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOWN_PORT = "10053"


def examples() -> list[tuple[str, list[str]]]:
    """Give each `$ dig …` line of the README with the lines that it prints there."""
    return [
        (command, output.splitlines())
        for block in re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
        for command, output in re.findall(r"\$ (dig .*)\n((?:(?!\$ ).*\n)*)", block)
    ]


@pytest.mark.parametrize(("command", "printed"), examples(), ids=[c for c, _ in examples()])
def test_an_example_prints_what_the_readme_shows(command: str, printed: list[str], demo) -> None:
    if shutil.which("dig") is None:
        pytest.skip("dig is not installed")
    words = [str(demo.dns_port) if w == SHOWN_PORT else w for w in shlex.split(command)]
    output = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout
    assert sorted(output.splitlines()) == sorted(printed)
