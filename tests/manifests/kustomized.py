"""The manifests as kubectl puts them together, and as they stand in the files."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.realapi.api import Object
from tests.realapi.controlplane import program

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
SETS = {"manifests": MANIFESTS} | {name: MANIFESTS / "overlays" / name for name in OVERLAYS}
"""What `kubectl apply -k` may be given, by name."""


def text(folder: Path) -> str:
    """Return what would be applied."""
    done = subprocess.run(
        [str(program("kubectl")), "kustomize", str(folder)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "kustomize has something to complain of"
    return done.stdout


def objects(folder: Path) -> list[Object]:
    """Return the objects that would be applied."""
    return list(yaml.safe_load_all(text(folder)))


def one(found: list[Object], kind: str, name: str = "kube-dns") -> Object:
    """Return the object of that kind and name."""
    (thing,) = (t for t in found if t["kind"] == kind and t["metadata"]["name"] == name)
    return thing


def base(name: str) -> Object:
    """Return one file of the base."""
    thing: Object = yaml.safe_load((MANIFESTS / "base" / f"{name}.yaml").read_text())
    return thing


def containers(deployment: Object) -> dict[str, dict[str, Any]]:
    """Return the containers of a Deployment by name."""
    return {each["name"]: each for each in deployment["spec"]["template"]["spec"]["containers"]}
