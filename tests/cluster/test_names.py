"""Every kind of name, as pods with the default DNS policy ask for it."""

from __future__ import annotations

from tests.cluster import podtext, questions
from tests.cluster.cluster import Cluster


def test_only_the_three_image_lines_differ_from_the_published_manifest() -> None:
    """An operator of kube-dns changes three lines and nothing else."""
    before, after = podtext.PUBLISHED.splitlines(), podtext.with_our_images().splitlines()
    assert len(before) == len(after)
    changed = [old.split() for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [["image:", image] for image in podtext.PUBLISHED_IMAGES.values()]


def test_short_names_are_found_by_the_search_path(cluster: Cluster, installed: str) -> None:
    """Short, namespaced, full, external and reverse names resolve with glibc in a pod."""
    assert questions.differences(cluster, questions.BY_SEARCH_PATH) == []


def test_full_names_have_their_records(cluster: Cluster, installed: str) -> None:
    """Services, endpoints, ports, reverse names, pods, external names: every record type."""
    asked = list(questions.FULL_NAMES)
    if installed == "ours":  # the published role shows one family of headless services
        asked += questions.BOTH_FAMILIES
    assert questions.differences(cluster, asked) == []


def test_tables_of_these_tests_can_fail(cluster: Cluster, installed: str) -> None:
    """A wrong expectation is told, so the two tests above are worth something."""
    wrong = questions.dig(f"web-vip.{questions.FULL} A", "an address that nobody has")
    assert len(questions.differences(cluster, [wrong])) == 1
