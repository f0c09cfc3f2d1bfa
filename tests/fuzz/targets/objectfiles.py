"""
Object files, as an operator leaves them: YAML or JSON of any kind is served, or told of.

The first octet says which; the rest is the file.
"""

import tempfile
from pathlib import Path

import msgspec

from kubedns.cluster.objectfiles import Loaded, ObjectFiles
from kubedns.cluster.objects import EndpointNames, Kind
from kubedns.cluster.pairing import Pairing
from kubedns.wire import name as names
from kubedns.zone.tree import Tree
from tests.fuzz.judge import is_one_line

MAX_LEN = 1500
TOKENS = (
    b"kind: Service\n", b"kind: List\n", b"kind: ServiceList\n", b"kind: EndpointSlice\n",
    b"items:\n",
    b"apiVersion: v1\n", b"apiVersion: discovery.k8s.io/v1\n",
    b"metadata: {name: a, namespace: b}\n",
    b"spec: {clusterIP: 10.0.0.1}\n", b"- ", b"---\n", b"&a ", b"*a", b"<<: *a", b"!!binary ",
    b"!!python/object:x ", b"2024-01-01", b"0x1F", b"yes", b".inf", b"? ", b"%YAML 1.1\n", b"|\n",
    b"!!set ", b"!!timestamp ",
)  # fmt: skip
_SUFFIXES = ("yaml", "yml", "json")
_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-objects-")


def check(octets: bytes) -> None:
    """Assert all that must hold for one file."""
    if not octets:
        return
    path = Path(_FOLDER.name) / f"o.{_SUFFIXES[octets[0] % 3]}"
    path.write_bytes(octets[1:])
    try:
        loaded = _load(path)
        assert _load(path) == loaded
        if path.suffix != ".json":
            return
        if loaded.complete:
            # JSON is YAML, but for a few characters.
            value = msgspec.json.decode(octets[1:])
            again = path.with_suffix(".yaml")
            again.write_bytes(msgspec.json.encode(value))
            try:
                if again.read_text().isprintable() and b"\\" not in octets:
                    assert _load(again).objects == loaded.objects, "the same as YAML"
            finally:
                again.unlink()
    finally:
        path.unlink()


def _load(path: Path) -> Loaded:
    loaded = ObjectFiles([str(path)], EndpointNames.IP).load()
    for told in (*loaded.problems, *loaded.remarks):
        assert is_one_line(told)
    pairing = Pairing(Tree(names.from_text("cluster.local")))
    for kind in Kind:
        pairing.replace(kind, loaded.objects.get(kind, []))
    pairing.flush(1)
    assert not pairing.failed
    return loaded
