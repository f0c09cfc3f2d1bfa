"""The walks of glibc and musl as we tell them, against both libraries themselves."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.explain import walk
from sidecar.explain.resolv import Resolv
from tests.absent import unavailable
from tests.clients import place
from tests.clients.resolvers import GLIBC, MUSL, missing
from tests.sidecar.resolving import SILENT

ROOT = Path(__file__).parents[2]
DOMAINS = ["prod.svc.cluster.local", "svc.cluster.local", "cluster.local"]
NAMES = ["web", "web.prod", "a.b.c", "web.prod.svc.cluster.local", "web.", "a.b."]
SAID = ["NXDOMAIN", "NXDOMAIN", [], "SERVFAIL", "REFUSED", "1.2.3.4"]
WALKS = {"glibc": walk.glibc, "musl": walk.musl}
NOTHING = {"EAI_NONAME", "EAI_NODATA"}


@pytest.fixture(autouse=True, scope="module")
def here() -> None:
    """Skip where no network namespace can be made."""
    why = place.missing() or missing(MUSL.needs)
    if why:
        unavailable(why)


def ask(folder: Path, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Have a real resolver asked, in namespaces of their own."""
    resolv, hosts, switch = folder / "resolv.conf", folder / "hosts", folder / "nsswitch.conf"
    resolv.write_text("")
    hosts.write_text("")
    switch.write_text("hosts: dns\n")
    commands = {
        "glibc": GLIBC.command(GLIBC.built()),
        "musl": MUSL.command(MUSL.built()),
    }
    mounts = "; ".join(
        f"[ ! -e /etc/{each.name} ] || mount --bind {each} /etc/{each.name}"
        for each in (resolv, hosts, switch)
    )
    unshare = shutil.which("unshare")
    assert unshare
    done = subprocess.run(
        [unshare, "-n", "-m", "sh", "-c",
         f'ip link set lo up; {mounts}; [ ! -d /run/nscd ] || mount -t tmpfs none /run/nscd; '
         'exec "$@"', "sh",
         sys.executable, "-m", "tests.sidecar.resolving", json.dumps(commands), str(resolv)],
        input=json.dumps(cases), capture_output=True, text=True, timeout=240, cwd=ROOT,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


def ours(case: dict[str, Any]) -> tuple[list[str], str]:
    """Return which names our walk asks for, each once, and how it ends."""
    resolv = Resolv(tuple(f"{each}." for each in case["search"]), case["ndots"])
    walking = WALKS[case["library"]](case["name"], resolv)
    asked: list[str] = []
    try:
        name = next(walking)
        while True:
            if name not in asked:
                asked.append(name)
            name = walking.send([reply(case, name, rtype) for rtype in walk.ADDRESSES])
    except StopIteration as ended:
        return asked, ended.value


def reply(case: dict[str, Any], name: str, rtype: str) -> walk.Reply:
    """Return what the table says."""
    said = case["table"].get(f"{name} {rtype}", "NXDOMAIN")
    if isinstance(said, str):
        return walk.Reply(walk.TIMEOUT if said == SILENT else said)
    return walk.Reply("NOERROR", len(said), len(said))


def ends(told: dict[str, Any]) -> str:
    """Return how a real walk ended."""
    if not told["error"]:
        return walk.ANSWER
    return walk.NOT_FOUND if told["error"] in NOTHING else walk.FAILURE


def cases(
    library: str, count: int, rng: random.Random, said: list[Any]
) -> Iterator[dict[str, Any]]:
    """Make up tables: most names say the same to A and AAAA, as servers do."""
    for _ in range(count):
        name, search = rng.choice(NAMES), rng.sample(DOMAINS, rng.randint(0, 3))
        table: dict[str, Any] = {}
        stem = name.rstrip(".")
        for full in [f"{stem}."] + [f"{stem}.{each}." for each in search]:
            both = rng.choice(said)
            for rtype, address in (("A", "192.0.2.1"), ("AAAA", "2001:db8::1")):
                mine = both
                if both not in ("NXDOMAIN", "1.2.3.4") and rng.random() < 0.4:
                    mine = rng.choice(said)
                elif both == "1.2.3.4" and rng.random() < 0.3:
                    mine = []
                table[f"{full} {rtype}"] = [address] if mine == "1.2.3.4" else mine
        yield {
            "library": library, "name": name, "search": search,
            "ndots": rng.choice([1, 2, 5]), "table": table,
        }  # fmt: skip


def check(folder: Path, tables: list[dict[str, Any]]) -> None:
    """Have both asked, and compare which names they asked for and what came of it."""
    wrong = []
    for case, told in zip(tables, ask(folder, tables), strict=True):
        ask_, end = ours(case)
        if (told["asked"], ends(told)) != (ask_, end):
            wrong.append({"case": case, "real": told, "ours": [ask_, end]})
    print(len(tables), len(wrong))
    assert not wrong, "\n".join(map(json.dumps, wrong[:5]))


def test_glibc(tmp_path: Path) -> None:
    """The same names in the same order, and the same outcome, whatever servers say."""
    check(tmp_path, list(cases("glibc", 100, random.Random(8), SAID)))


def test_musl(tmp_path: Path) -> None:
    """The same; fewer failures, for each one costs it a time-out."""
    calm = [each for each in SAID if each not in ("SERVFAIL", "REFUSED")]
    check(tmp_path, list(cases("musl", 60, random.Random(9), calm)))
    check(tmp_path, list(cases("musl", 10, random.Random(10), SAID)))


@pytest.mark.parametrize("library", ["glibc", "musl"])
def test_a_search_list_at_the_limit(tmp_path: Path, library: str) -> None:
    """musl reads a line of 254 characters, and nothing of one that is longer; glibc reads both."""
    tables = []
    for length in (253, 254, 255, 256, 300):
        domains = [f"{n}.{'x' * 55}.example" for n in range(3)]
        rest = length - len(f"search {' '.join(domains)} ")
        domains.append("y" * min(rest - 2, 50) + "." + "z" * max(1, rest - 2 - 50 + 1))
        tables.append(
            {"library": library, "name": "web", "search": domains, "ndots": 5, "table": {}}
        )
        line = f"search {' '.join(domains)}"
        assert len(line) == length
    check(tmp_path, tables)
