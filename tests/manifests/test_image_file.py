"""What manifests/Dockerfile says, read without building anything."""

from __future__ import annotations

import fnmatch
import re

import pytest

from tests.manifests.kustomized import MANIFESTS, ROOT

TEXT = (MANIFESTS / "Dockerfile").read_text()
PARTS = re.split(r"^FROM ", "\n".join(
    line for line in TEXT.replace("\\\n", " ").splitlines() if not line.startswith("#")
), flags=re.M)  # fmt: skip
STAGES = {part.splitlines()[0].split(" AS ")[1]: part.splitlines() for part in PARTS[1:]}
USERS = {"kube-dns": "1001:1001", "sidecar": "1001:1001", "dnsmasq-nanny": "0:0"}


@pytest.mark.parametrize("target", USERS)
def test_targets_differ_in_user_and_entry_point_alone(target: str) -> None:
    """So all their layers are the same ones. The original's manifest gives args and no command."""
    assert [line for line in STAGES[target] if line.strip()] == [
        f"pod AS {target}", f"USER {USERS[target]}", f'ENTRYPOINT ["/{target}"]'
    ]  # fmt: skip


def test_no_other_stage_becomes_an_image() -> None:
    assert STAGES.keys() == {"build", "pod", *USERS}


def test_the_image_begins_with_nothing() -> None:
    """Of the base it has what was taken over, and no layer in which more was."""
    assert STAGES["pod"][0] == "scratch AS pod"
    assert not any(line.startswith("RUN") for line in STAGES["pod"])


def test_it_is_stopped_as_it_expects() -> None:
    """SIGTERM drains."""
    assert "STOPSIGNAL SIGTERM" in STAGES["pod"]


def test_the_base_can_be_chosen() -> None:
    """By argument, before the first stage."""
    assert re.search(r"^ARG BASE=\S+", PARTS[0], re.M)
    assert STAGES["build"][0] == "${BASE} AS build"


def test_nothing_comes_from_the_network_but_the_listed_packages() -> None:
    """No index, mirror or host is named; no package brings others with it."""
    assert "://" not in TEXT
    (install,) = re.findall(r"pip install(.*?)$", "\n".join(STAGES["build"]), re.M)
    assert {"--no-deps", "--only-binary", "--no-cache-dir"} <= set(install.split())


def test_the_build_sees_only_what_it_copies() -> None:
    """.dockerignore leaves out all but that: no secrets of a working copy, and fast."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    seen = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        line.split()[1]
        for line in STAGES["build"]
        if line.startswith("COPY") and "--from" not in line
    }
    assert seen == copied
    assert all(any(fnmatch.fnmatch(path, name) for path in copied) for name in seen)
