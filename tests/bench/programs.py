"""
The programs that are measured, or measure: where they are, or why they cannot be had.

What is not on a machine (no compiler, no Go) is left out of the figures.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.realapi.controlplane import CACHE, program

_HERE = Path(__file__).parent


class UnavailableError(Exception):
    """A system cannot be built or started on this machine; the text says why."""


def compiled(source_name: str) -> Path:
    """
    Return the program that a C file of this folder becomes, compiled now if it is not yet.

    Raises:
        UnavailableError: there is no C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise UnavailableError("no C compiler (cc)")
    source = _HERE / source_name
    binary = CACHE / f"bench-{source.stem}"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-O2", "-o", binary, source], check=True)
    return binary


def found(name: str) -> Path:
    """
    Return where a program is.

    Raises:
        UnavailableError: nowhere.
    """
    path = program(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        raise UnavailableError(f"no {name}; tests/setup-tools.sh gets it")
    return Path(path)
