"""A folder as the kubelet mounts it: a ConfigMap, or the files of a ServiceAccount."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

_versions = itertools.count(1)


def mount(folder: Path, files: Mapping[str, str]) -> None:
    """
    Give a folder exactly these files, all at once, now or again.

    As the kubelet does it: each is a link through ``..data``, which is a link to a hidden folder
    and is replaced in one step.
    """
    version = folder / f"..version_{next(_versions)}"
    version.mkdir(parents=True)
    for name, content in files.items():
        (version / name).write_text(content)
    following = folder / "..data_tmp"
    following.symlink_to(version.name)
    following.rename(folder / "..data")
    for link in folder.iterdir():
        if not link.name.startswith("..") and link.name not in files:
            link.unlink()
    for name in files:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
