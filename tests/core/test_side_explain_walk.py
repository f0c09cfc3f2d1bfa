"""The search list, as glibc and musl go through it, and what is cut of resolv.conf."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sidecar.explain import resolv, walk
from sidecar.explain.resolv import Resolv
from sidecar.explain.walk import ANSWER, FAILURE, NOT_FOUND, Reply

PROD = Resolv(resolv.of_namespace("prod", "cluster.local."))
FIRST, SECOND, THIRD = PROD.search
YES, NODATA = Reply("NOERROR", 1, 1), Reply("NOERROR")
ALIAS = Reply("NOERROR", 1, 0)
NO, BROKEN, REFUSED = Reply("NXDOMAIN"), Reply("SERVFAIL"), Reply("REFUSED")
SILENCE = Reply(walk.TIMEOUT)


def go(
    walking: walk.Walking, said: Mapping[str, Reply | tuple[Reply, Reply]]
) -> tuple[list[str], str]:
    """Walk to the end; what is not in `said` does not exist. Return the names, and the end."""
    names = []
    try:
        name = next(walking)
        while True:
            names.append(name)
            reply = said.get(name, NO)
            name = walking.send(reply if isinstance(reply, tuple) else (reply, reply))
    except StopIteration as ended:
        return names, ended.value


def stems(names: list[str], name: str) -> list[str]:
    """Return what was appended to the name."""
    return [each.removeprefix(f"{name}.") for each in names]


@pytest.mark.parametrize("way", [walk.glibc, walk.musl], ids=["glibc", "musl"])
def test_all_of_the_list_and_the_name_last(way: walk.Walking) -> None:
    """Both, for a name with fewer dots than ndots."""
    names, ends = go(way("web", PROD), {})  # type: ignore[operator]
    assert (stems(names, "web"), ends) == ([FIRST, SECOND, THIRD, ""], NOT_FOUND)


@pytest.mark.parametrize("way", [walk.glibc, walk.musl], ids=["glibc", "musl"])
def test_a_final_dot(way: walk.Walking) -> None:
    """Only the name itself is asked."""
    assert go(way("web.", PROD), {}) == (["web."], NOT_FOUND)  # type: ignore[operator]
    assert go(way("web.", PROD), {"web.": YES}) == (["web."], ANSWER)  # type: ignore[operator]


def test_enough_dots() -> None:
    """glibc tries the name first and then the list; musl the name alone."""
    few = Resolv(PROD.search, 1)
    names, _ = go(walk.glibc("web.prod", few), {})
    assert stems(names, "web.prod") == ["", FIRST, SECOND, THIRD]
    assert go(walk.musl("web.prod", few), {})[0] == ["web.prod."]


@pytest.mark.parametrize(
    ("reply", "glibc", "musl"),
    [
        (YES, (1, ANSWER), (1, ANSWER)),
        ((YES, NODATA), (1, ANSWER), (1, ANSWER)),
        (NODATA, (4, NOT_FOUND), (1, NOT_FOUND)),
        (BROKEN, (4, FAILURE), (1, FAILURE)),
        (REFUSED, (2, NOT_FOUND), (1, FAILURE)),
        (SILENCE, (2, NOT_FOUND), (1, FAILURE)),
        ((NODATA, BROKEN), (4, NOT_FOUND), (1, FAILURE)),
        (ALIAS, (1, ANSWER), (1, NOT_FOUND)),
    ],
    ids=["found", "only A", "NODATA", "SERVFAIL", "REFUSED", "silence", "half", "alias of nothing"],
)
def test_what_ends_a_walk(reply: Reply, glibc: tuple[int, str], musl: tuple[int, str]) -> None:
    """How many names are asked for if the first one gets this reply, and all others NXDOMAIN."""
    for way, expected in ((walk.glibc, glibc), (walk.musl, musl)):
        names, ends = go(way("web", PROD), {f"web.{FIRST}": reply})
        assert (len(names), ends) == expected, way


def test_the_root_in_the_list() -> None:
    """The name is then not asked for a second time."""
    names, _ = go(walk.glibc("web", Resolv((".", FIRST))), {})
    assert names == ["web.", f"web.{FIRST}"]


def test_a_name_that_becomes_too_long() -> None:
    """No such question can be written: glibc goes to the end at once."""
    long = ".".join(["x" * 60] * 4)
    assert go(walk.glibc(long, PROD), {})[0] == [f"{long}."]


def test_candidates_hold_each_walk() -> None:
    """What may be fetched beforehand is all that may be asked."""
    for name in ("web", "web.prod", "web."):
        for ndots in (1, 5):
            file = Resolv(PROD.search, ndots)
            assert set(go(walk.glibc(name, file), {})[0]) == set(walk.candidates(name, file))


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (PROD, []),
        (Resolv(servers=3), []),
        (Resolv(servers=4), [
            "nameserver 4 of 4 is cut: glibc, musl and Kubernetes take the first 3"
        ]),
        (Resolv(tuple(f"{n}.example." for n in range(9))), [
            "search domain 7 of 9 and later are cut by glibc before 2.26 and by Kubernetes before "
            "1.28: they take the first 6"
        ]),
        (Resolv(("x" * 124 + ".", "y" * 123 + ".")), [
            "musl ignores the whole search list: the line has 255 characters, and it reads no line "
            "of more than 254"
        ]),
        (Resolv(("x" * 124 + ".", "y" * 122 + ".")), []),
        (Resolv(ndots=16), ["ndots:16 counts as 15 for glibc and for musl"]),
    ],
    ids=["a pod", "3 servers", "4 servers", "9 domains", "255", "254", "ndots"],
)  # fmt: skip
def test_limits(file: Resolv, told: list[str]) -> None:
    """One sentence for each thing that is cut, and who cuts it."""
    assert list(resolv.limits(file)) == told


def test_limits_of_kubernetes() -> None:
    """32 domains, 2048 characters."""
    told = list(resolv.limits(Resolv(tuple(f"{n}.example." for n in range(33)))))
    assert "Kubernetes takes at most 32 with 2048" in told[-1]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("search corp.example CORP.example. a.example\n", ("corp.example.", "a.example.")),
        ("search a.example\nsearch b.example\n", ("b.example.",)),
        ("domain a.example\n", ("a.example.",)),
        (
            "search prod.svc.cluster.local svc.cluster.local cluster.local a.example",
            ("a.example.",),
        ),
    ],
)
def test_search_domains_of_the_node(text: str, found: tuple[str, ...]) -> None:
    """From our own resolv.conf, but for what the kubelet appends to pods."""
    assert resolv.node_search(text, "cluster.local.") == found
