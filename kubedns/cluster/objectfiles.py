"""
The same objects from files: a folder or a file, YAML or JSON, several documents, `List` kinds as
`kubectl get … -o yaml` prints them. Read again when they change, and then all at once, as a list of
the API would be.

A file that cannot be read or parsed keeps what it gave last, with one line that names it; the other
files are served.
"""

import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from kubedns.cluster.objects import Decoded, EndpointNames, Kind, Reader

log = Logger()

POLL_S = 1.0
_SUFFIXES = (".yaml", ".yml", ".json")
_KINDS = {
    ("v1", "Service"): Kind.SERVICE,
    ("v1", "Endpoints"): Kind.ENDPOINTS,
    ("v1", "Namespace"): Kind.NAMESPACE,
    ("v1", "Pod"): Kind.POD,
    ("discovery.k8s.io/v1", "EndpointSlice"): Kind.SLICE,
    ("discovery.k8s.io/v1beta1", "EndpointSlice"): Kind.SLICE,
}
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Objects = dict[Kind, list[Decoded]]


@dataclass(slots=True)
class Loaded:
    """
    What a reading gave: all objects by kind, and what was wrong, one line each.

    complete: every path is there and every file could be read, now or earlier.
    """

    complete: bool = True
    objects: Objects = field(default_factory=lambda: {kind: [] for kind in Kind})
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class ObjectFiles:
    """Reads paths again whenever their files change; keeps only what each file last gave."""

    def __init__(self, paths: Iterable[str], naming: EndpointNames) -> None:
        self._paths = [Path(path) for path in paths]
        self._readers = {kind: Reader(kind, naming) for kind in Kind}
        self._stamps: dict[Path, tuple[int, int, int]] = {}
        self._last: dict[Path, list[tuple[Kind, Decoded]]] = {}

    def changed(self) -> bool:
        """Tell whether any file is new, gone, or another one than at the last `load`."""
        return self._stamps != self._look()[0]

    def load(self) -> Loaded:
        """Read everything."""
        loaded = Loaded()
        self._stamps, unseen = self._look()
        loaded.problems += unseen
        loaded.complete = not unseen
        for path in self._last.keys() - self._stamps.keys():
            del self._last[path]
        for path in self._stamps:
            try:
                self._last[path] = list(self._read(path, loaded))
            except Exception as error:  # anybody may write anything: parsers raise all kinds
                reason = " ".join(str(error).split()) or type(error).__name__
                reason = reason.encode("unicode_escape").decode("ascii")
                loaded.problems.append(f"{_escaped(path)}: {reason[:300]}")
                loaded.complete &= path in self._last
            for kind, decoded in self._last.get(path, ()):
                loaded.objects[kind].append(decoded)
        if not loaded.objects[Kind.NAMESPACE]:
            self._namespaces_of_services(loaded.objects)
        return loaded

    def _look(self) -> tuple[dict[Path, tuple[int, int, int]], list[str]]:
        """Return each file with what tells its versions apart; and what cannot be read."""
        stamps: dict[Path, tuple[int, int, int]] = {}
        problems: list[str] = []
        for root in self._paths:
            try:
                found = sorted(root.rglob("*")) if root.is_dir() else [root]
            except OSError as error:
                problems.append(f"--objects {_escaped(root)}: {error.strerror or error}")
                continue
            for path in found:
                hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
                if path != root and (hidden or path.suffix not in _SUFFIXES):
                    continue  # hidden: also the folders behind a mounted ConfigMap's links
                try:
                    status = path.stat()
                except OSError as error:
                    if path == root or not isinstance(error, FileNotFoundError):
                        problems.append(f"--objects {_escaped(path)}: {error.strerror or error}")
                    continue  # a dangling link, or gone since a moment ago
                if stat.S_ISREG(status.st_mode):  # a pipe would be read for ever
                    stamps[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return stamps, problems

    def _read(self, path: Path, loaded: Loaded) -> Iterator[tuple[Kind, Decoded]]:
        text = path.read_bytes()
        documents = (
            [msgspec.json.decode(text)]
            if path.suffix == ".json"
            else list(yaml.load_all(text, Loader=_Loader))
        )
        for document in documents:
            yield from self._objects(document, path, loaded)

    def _objects(self, value: Any, path: Path, loaded: Loaded) -> Iterator[tuple[Kind, Decoded]]:
        if value is None:
            return
        if not isinstance(value, dict):
            loaded.problems.append(f"{_escaped(path)}: a document that is no object")
            return
        name, version = value.get("kind"), value.get("apiVersion")
        if not isinstance(name, str) or not isinstance(version, str):
            loaded.problems.append(f"{_escaped(path)}: a document without kind or apiVersion")
            return
        if name.endswith("List"):
            # A typed list (ServiceList) leaves kind and version of its items out.
            inner = {} if name == "List" else {"kind": name[:-4], "apiVersion": version}
            items = value.get("items") or ()
            if not isinstance(items, list | tuple):
                loaded.problems.append(f"{_escaped(path)}: a {name} whose items are no list")
                return
            for item in items:
                yield from self._objects(
                    inner | item if isinstance(item, dict) else item, path, loaded
                )
            return
        kind = _KINDS.get((version, name))
        if kind is None:
            return  # a dump holds many kinds that are not DNS'
        reader = self._readers[kind]
        decoded = reader.convert(value)
        loaded.problems += [f"{_escaped(path)}: {problem}" for problem in reader.problems]
        loaded.remarks += [f"{_escaped(path)}: {remark}" for remark in reader.remarks]
        reader.problems.clear()
        reader.remarks.clear()
        if decoded is not None:
            yield kind, decoded

    @staticmethod
    def _namespaces_of_services(objects: Objects) -> None:
        """A dump without namespaces is no cluster without any: leave the kind out."""
        del objects[Kind.NAMESPACE]


def _escaped(path: Path) -> str:
    """Write a path fit for a log: its names are anybody's."""
    return str(path).encode("unicode_escape").decode("ascii")


class FilePoll:
    """Looks every second whether the files changed, and hands on what they hold then."""

    def __init__(
        self, files: ObjectFiles, reactor: IReactorTime, loaded: Callable[[Loaded], None]
    ) -> None:
        self._files = files
        self._loaded = loaded
        self._loop = LoopingCall(self._poll)
        self._loop.clock = reactor

    def start(self) -> None:
        """Read once, now, and watch from then on."""
        self._loaded(self._files.load())
        self._loop.start(POLL_S, now=False)

    def stop(self) -> None:
        """Watch no more."""
        if self._loop.running:
            self._loop.stop()

    def _poll(self) -> None:
        try:
            if self._files.changed():
                self._loaded(self._files.load())
        except Exception:  # an exception would end the loop, and nobody would notice
            log.failure("while looking at object files")
