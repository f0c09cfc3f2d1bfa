"""The image's Python packages: those that setup.cfg asks for, in the versions that are tested."""

from __future__ import annotations

import configparser
from importlib.metadata import distribution, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.manifests.kustomized import MANIFESTS, ROOT


def pinned() -> dict[str, str]:
    """Return the versions in the image's list by name."""
    lines = (MANIFESTS / "requirements.txt").read_text().splitlines()
    found = dict(line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in found.items()}


def needed() -> list[Requirement]:
    """Return what is asked for: by setup.cfg, and by what that asks for in turn."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    asked = setup["options"]["install_requires"].strip().splitlines()
    waiting, found, seen = [Requirement(line) for line in asked], [], set()
    while waiting:
        requirement = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        found.append(requirement)
        if (name := canonicalize_name(requirement.name)) not in seen:
            seen.add(name)
            waiting += map(Requirement, distribution(name).requires or [])
    return found


def test_the_list_is_complete_and_holds_nothing_else() -> None:
    """The build takes it as it is, with --no-deps."""
    assert pinned().keys() == {canonicalize_name(each.name) for each in needed()}


def test_every_version_is_one_that_is_asked_for() -> None:
    wanted = pinned()
    for requirement in needed():
        found = wanted[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(found, prereleases=True), requirement


def test_the_versions_are_those_of_the_other_tests() -> None:
    """
    Of this environment: what was not tested is not shipped.

    When this fails, try the new versions and write them into manifests/requirements.txt.
    """
    assert pinned() == {name: version(name) for name in pinned()}
