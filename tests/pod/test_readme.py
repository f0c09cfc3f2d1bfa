"""The examples of README.md, run as they stand there against what `make run` starts."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dnsmasq_py import extensions, options
from tests.pod.running import ROOT, MadeRun, until
from tests.realapi.ports import free_port

README = (ROOT / "README.md").read_text()
Step = tuple[str, list[str]]  # a command, and the lines that it prints


def examples() -> list[list[Step]]:
    """Give each block of a console: its `$` lines in order, with what they print there."""
    return [
        [
            (command, output.splitlines())
            for command, output in re.findall(r"\$ (.*)\n((?:(?!\$ ).*\n)*)", block)
        ]
        for block in re.findall(r"```console\n(.*?)```", README, re.S)
    ]


def here(command: str, made_run: MadeRun, other_port: int) -> str:
    """Write a command as it must be for this run: its ports, its folders."""
    ports = {
        "1053": made_run.dnsmasq_port, "10053": made_run.dns_port,
        "10054": made_run.sidecar_port, "1054": other_port,
    }  # fmt: skip
    command = re.sub(r"\b(1005[34]|105[34])\b", lambda port: str(ports[port[1]]), command)
    folders = {".venv/demo-config": made_run.config, ".venv/bin": Path(sys.executable).parent}
    for shown, folder in folders.items():
        command = command.replace(shown, shlex.quote(str(folder)))
    return command


def prints(command: str) -> list[str]:
    """Run a command of the shell, and return the lines that it prints, sorted."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=30, cwd=ROOT)
    return sorted(done.stdout.splitlines())


@pytest.mark.parametrize("steps", examples(), ids=lambda steps: steps[0][0])
def test_an_example_prints_what_the_readme_shows(steps: list[Step], made_run: MadeRun) -> None:
    """A question is repeated until the answer is there, as a slow reader would see it."""
    if shutil.which("dig") is None:
        pytest.skip("dig is not installed")
    other_port = free_port()
    with contextlib.ExitStack() as stack:
        for shown, output in steps:
            command = here(shown, made_run, other_port)
            if command.endswith("&"):
                background = subprocess.Popen(
                    command.removesuffix("&"), shell=True, cwd=ROOT, start_new_session=True,
                    stderr=subprocess.DEVNULL,
                )  # fmt: skip
                stack.callback(background.wait)
                stack.callback(os.killpg, background.pid, signal.SIGINT)
            elif command.startswith("dig "):
                expected = sorted(output)
                until(lambda c=command, e=expected: prints(c) == e, f"{shown} prints {output}")
            else:
                assert prints(command) == sorted(output)


def test_the_command_line_of_the_forwarder() -> None:
    """It is understood, and there is nothing to warn of."""
    (block,) = re.findall(r"```sh\n(dnsmasq-nanny .*?)```", README, re.S)
    parsed = options.parse(shlex.split(block)[1:], conf_file="")
    assert parsed.warnings == ()
    assert parsed.cache_size == 1000


def test_the_key_extensions() -> None:
    """It is valid as it stands there."""
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.S)
    found, errors, warnings = extensions.parse(block, extensions.Extensions())
    assert (errors, warnings) == ([], [])
    assert len(found.upstream_nameservers) == 2


def test_each_flag_of_the_forwarder_is_told_of() -> None:
    """With the default that it has, and no flag that there is not."""
    _, rest = README.split("## dnsmasq-nanny: the forwarder")
    table = rest.split("### Who is asked")[0]
    rows = re.findall(r"^\| `-+([\w-]+)[^|]*\| ([^|]*)\|", table, re.M)
    told = {name: default.strip().strip("`") for name, default in rows}
    usage = options.usage().split("Flags that are accepted")[0]
    defaults = re.findall(r"^  (?:-v, )?--([\w-]+).*?(?:\(default (.*)\))?$", usage, re.M)
    for name, default in defaults:
        if name in ("v", "version"):
            continue
        assert name in told, name
        if default not in ("", "false"):
            assert told[name] == default, name
    assert told.keys() <= {name for name, _ in defaults}


@pytest.mark.parametrize("process", ["kubedns", "dnsmasq_py"])
def test_metrics_have_the_names_that_the_readme_gives(process: str, made_run: MadeRun) -> None:
    """Those worth an alert."""
    (alerts,) = re.findall(r"^Metrics worth an alert:(.*?)\n\n", README, re.S | re.M)
    named = re.findall(r"`(kubedns_\w+)", alerts)
    wanted = [n for n in named if n.startswith("kubedns_forwarder_") == (process == "dnsmasq_py")]
    port = made_run.admin_port if process == "dnsmasq_py" else made_run.status_port
    said = made_run.metrics(port)
    assert wanted
    for name in wanted:
        assert re.search(rf"^# TYPE {name.removesuffix('_total')}", said, re.M), name
