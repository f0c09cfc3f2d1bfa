"""The questions of the workloads, as files: in an order that is the same in every run."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.objects import NAMESPACES, BenchService

DOMAIN = "corp.example.com"
"""Of the external names."""

SEARCH = (
    f"{NAMESPACES[0]}.svc.cluster.local",
    "svc.cluster.local",
    "cluster.local",
    "node.internal",
)
"""The search list of a pod: that of the cluster, and of the node it runs on."""

WALK = 2 * (len(SEARCH) + 1)
"""Questions of a look-up of an external name with ndots:5: each name for A and AAAA."""

_QUESTIONS = 4_000
_EXTERNAL = 300
_WALKS = 1_000
_UNIQUE = 100_000


@dataclass(frozen=True, slots=True)
class QuestionFiles:
    """Writes the files of questions into a folder; those that hold the same are written once."""

    folder: Path
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def cluster(self, services: Sequence[BenchService], *, zipf: bool = True) -> Path:
        """Return names of services with a cluster IP: the n-th as often as 1/n, or all alike."""
        names = [service.dns_name for service in services if service.cluster_ip]
        weights = [1 / rank for rank in range(1, len(names) + 1)] if zipf else None
        return self._mixed(f"cluster-{len(names)}-{zipf}", names, weights)

    def of(self, name: str, names: Sequence[str], qtype: str = "A") -> Path:
        """Return these names, all alike."""
        return self._mixed(name, names, None, qtype)

    def external(self) -> Path:
        """Return some external names, all alike."""
        return self._mixed("external", [f"n{each}.{DOMAIN}" for each in range(_EXTERNAL)], None)

    def unique(self, count: int = _UNIQUE) -> Path:
        """Return names that no other file has; by default more than are asked in a second."""
        number = next(self._numbers)
        names = (f"u{number}x{each:06}.{DOMAIN}" for each in range(count))
        return self.write("unique", (f"{name}. A" for name in names))

    def walk(self) -> Path:
        """Return the questions that glibc asks for a thousand external names, in its order."""
        names = (f"w{each:04}.{DOMAIN}" for each in range(_WALKS))
        asked = (f"{name}.{domain}" for name in names for domain in (*SEARCH, ""))
        return self.write("walk", (f"{x.rstrip('.')}. {t}" for x in asked for t in ("A", "AAAA")))

    def write(self, name: str, lines: Iterable[str]) -> Path:
        """Write a file; one of the same name is replaced."""
        path = self.folder / f"questions-{name}"
        with path.open("w") as file:
            file.writelines(f"{line}\n" for line in lines)
        return path

    def _mixed(
        self, name: str, names: Sequence[str], weights: Sequence[float] | None, qtype: str = "A"
    ) -> Path:
        mixed = random.Random(3).choices(names, weights, k=_QUESTIONS)
        return self.write(name, (f"{each}. {qtype}" for each in mixed))
