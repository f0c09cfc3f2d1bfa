"""Objects from files: what is read, when it is read again, and what a bad file costs."""

import json
import os
from pathlib import Path

import pytest
import yaml
from twisted.internet.task import Clock

from kubedns.cluster.objectfiles import POLL_S, FilePoll, Loaded, ObjectFiles
from kubedns.cluster.objects import EndpointNames, Kind
from tests.builders import headless, namespace, pod, service, slice_

DEMO = Path(__file__).parents[2] / "manifests" / "demo"
RECORDED = Path(__file__).parents[1] / "fixtures" / "apiserver"


def _files(*paths: Path) -> ObjectFiles:
    return ObjectFiles(map(str, paths), EndpointNames.IP)


def _keys(loaded: Loaded) -> dict[str, list[str]]:
    return {
        kind.value: [each.key for each in objects]
        for kind, objects in loaded.objects.items()
        if objects
    }


def _write(path: Path, *values: object) -> None:
    path.write_text(yaml.safe_dump_all(values))
    # A change within one tick of the file system's clock is a change all the same.
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))


def test_the_demo_cluster_is_without_fault() -> None:
    """What `make run` serves."""
    loaded = _files(DEMO).load()
    assert loaded.complete
    assert loaded.problems == []
    assert {"services", "endpointslices", "endpoints", "namespaces"} <= _keys(loaded).keys()


@pytest.mark.parametrize("suffix", ["yaml", "yml", "json"])
def test_a_dump_of_kubectl(tmp_path: Path, suffix: str) -> None:
    """`kubectl get … -o yaml` prints a List; typed lists leave the kind of their items out."""
    untyped = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [service("a"), headless("b"), slice_("b")],
    }
    items = [{k: v for k, v in service("c").items() if k not in ("kind", "apiVersion")}]
    typed = {"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": items}
    for name, value in (("untyped", untyped), ("typed", typed)):
        text = json.dumps(value) if suffix == "json" else yaml.safe_dump(value)
        (tmp_path / f"{name}.{suffix}").write_text(text)
    loaded = _files(tmp_path).load()
    assert loaded.problems == []
    assert sorted(_keys(loaded)["services"]) == ["shop/a", "shop/b", "shop/c"]
    assert _keys(loaded)["endpointslices"] == ["shop/b-abcde"]


def test_a_dump_of_the_recorded_cluster(tmp_path: Path) -> None:
    """Bodies of the API itself."""
    for kind, name in ((Kind.SERVICE, "Service"), (Kind.SLICE, "EndpointSlice"), (Kind.POD, "Pod")):
        body = json.loads((RECORDED / f"{kind.value}.list.json").read_bytes())
        version = "discovery.k8s.io/v1" if kind is Kind.SLICE else "v1"
        body |= {"kind": f"{name}List", "apiVersion": version}
        (tmp_path / f"{kind.value}.json").write_text(json.dumps(body))
    loaded = _files(tmp_path).load()
    assert loaded.problems == []
    for kind in (Kind.SERVICE, Kind.SLICE, Kind.POD):
        body = json.loads((RECORDED / f"{kind.value}.list.json").read_bytes())
        assert len(loaded.objects[kind]) == len(body["items"])


def test_what_is_read_of_a_folder(tmp_path: Path) -> None:
    """Folders inside of it, not hidden ones; files by their suffix; other kinds are passed over."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "..2026").mkdir()
    _write(tmp_path / "a.yaml", service("a"), {"apiVersion": "apps/v1", "kind": "Deployment"}, None)
    _write(tmp_path / "sub" / "b.yaml", service("b"))
    _write(tmp_path / "..2026" / "c.yaml", service("c"))
    _write(tmp_path / ".hidden.yaml", service("d"))
    (tmp_path / "notes.txt").write_text("{")
    (tmp_path / "run.sh").write_text("#!/bin/sh")
    loaded = _files(tmp_path).load()
    assert loaded.problems == []
    assert _keys(loaded) == {"services": ["shop/a", "shop/b"]}


def test_a_mounted_config_map(tmp_path: Path) -> None:
    """Files are links into a hidden folder; a change is one rename."""
    for number in (1, 2):
        (tmp_path / f"..{number}").mkdir()
        _write(tmp_path / f"..{number}" / "a.yaml", service(f"v{number}"))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    files = _files(tmp_path)
    assert _keys(files.load()) == {"services": ["shop/v1"]}
    assert not files.changed()
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert files.changed()
    assert _keys(files.load()) == {"services": ["shop/v2"]}


def test_a_dump_without_namespaces() -> None:
    """Says nothing about them: the kind is left out, so that those with services exist."""
    assert Kind.NAMESPACE in _files(DEMO).load().objects


def test_namespaces_are_left_out_when_there_are_none(tmp_path: Path) -> None:
    """An empty list would say that there is no namespace at all."""
    _write(tmp_path / "a.yaml", service("a"))
    assert Kind.NAMESPACE not in _files(tmp_path).load().objects
    _write(tmp_path / "b.yaml", namespace("shop"))
    assert Kind.NAMESPACE in _files(tmp_path).load().objects


BAD = {
    "broken YAML": b"a: [",
    "a tab": b"a:\n\t- b",
    "no UTF-8": b"\xff\xfe\x00",
    "an unknown tag": b"!!python/object:os.system {}",
    "a NUL": b"a: \0",
    "an anchor that is not there": b"a: *b",
}


@pytest.mark.parametrize("octets", BAD.values(), ids=BAD.keys())
def test_a_file_that_cannot_be_parsed(tmp_path: Path, octets: bytes) -> None:
    """One line that names it; the others are served; not complete, since it never was read."""
    _write(tmp_path / "a.yaml", service("a"))
    (tmp_path / "bad.yaml").write_bytes(octets)
    loaded = _files(tmp_path).load()
    assert _keys(loaded) == {"services": ["shop/a"]}
    (problem,) = loaded.problems
    assert "bad.yaml" in problem
    assert problem.isprintable()
    assert not loaded.complete


@pytest.mark.parametrize("octets", [b"{", b"", b"[1,", b"\xff", b'{"a": 1} x'])
def test_a_json_file_that_cannot_be_parsed(tmp_path: Path, octets: bytes) -> None:
    """The same for JSON."""
    (tmp_path / "bad.json").write_bytes(octets)
    (problem,) = _files(tmp_path).load().problems
    assert "bad.json" in problem
    assert problem.isprintable()


ODD = ["text", [1, 2], 7, {"kind": "Service"}, {"kind": 7, "apiVersion": "v1"},
       {"kind": ["Service"], "apiVersion": "v1"}, {"kind": "Service", "apiVersion": ["v1"]},
       {"kind": "List", "apiVersion": "v1", "items": 7},
       {"kind": "List", "apiVersion": "v1", "items": {"a": 1}},
       {"kind": "List", "apiVersion": "v1", "items": [None, 7, "x", []]},
       {"kind": "List", "apiVersion": "v1", "items": None},
       {"kind": "Service", "apiVersion": "v1"},
       {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "a"}, "spec": 7}]  # fmt: skip


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_document_that_is_no_object(tmp_path: Path, value: object, suffix: str) -> None:
    """At most a problem; the good file beside it and the good document behind it are served."""
    _write(tmp_path / "a.yaml", service("a"))
    if suffix == "yaml":
        _write(tmp_path / "odd.yaml", value, service("b"))
    else:
        (tmp_path / "odd.json").write_text(json.dumps(value))
    loaded = _files(tmp_path).load()
    assert "shop/a" in _keys(loaded)["services"]
    assert ("shop/b" in _keys(loaded)["services"]) is (suffix == "yaml")
    assert all(problem.isprintable() for problem in loaded.problems)


def test_a_deep_document(tmp_path: Path) -> None:
    """Lists in lists without end are a problem of that file, not the end of the process."""
    _write(tmp_path / "a.yaml", service("a"))
    (tmp_path / "deep.yaml").write_text("[" * 3000 + "]" * 3000)
    (tmp_path / "deep.json").write_text("[" * 100_000)
    loaded = _files(tmp_path).load()
    assert _keys(loaded) == {"services": ["shop/a"]}
    assert len(loaded.problems) == 2


def test_a_value_that_yaml_reads_as_something_else(tmp_path: Path) -> None:
    """`clusterIP: None` is text; `name: on`, a date, a number without quotes cost their object."""
    (tmp_path / "a.yaml").write_text(
        "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop}, "
        "spec: {clusterIP: None}}\n---\n"
        "{apiVersion: v1, kind: Service, metadata: {name: on, namespace: shop}}\n---\n"
        "{apiVersion: v1, kind: Service, metadata: {name: 2026-01-01, namespace: shop}}\n---\n"
        "{apiVersion: v1, kind: Service, metadata: {name: b, namespace: shop, "
        "creationTimestamp: 2026-01-01T00:00:00Z}, spec: {clusterIP: 10.0.0.1}}\n"
    )
    loaded = _files(tmp_path).load()
    assert _keys(loaded) == {"services": ["shop/a", "shop/b"]}
    assert len(loaded.problems) == 2


def test_a_file_that_became_bad_keeps_what_it_gave(tmp_path: Path) -> None:
    """Half of an edit must not empty the zone; what is gone for good is dropped."""
    path, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    _write(path, service("a"))
    _write(other, service("b"))
    files = _files(tmp_path)
    files.load()
    path.write_text("a: [")
    assert files.changed()
    loaded = files.load()
    assert _keys(loaded) == {"services": ["shop/a", "shop/b"]}
    assert loaded.complete
    assert len(loaded.problems) == 1
    path.unlink()
    assert files.changed()
    assert _keys(files.load()) == {"services": ["shop/b"]}


def test_a_path_that_is_not_there_yet(tmp_path: Path) -> None:
    """Named, not complete, and found when it comes."""
    path = tmp_path / "later" / "a.yaml"
    files = _files(path)
    loaded = files.load()
    assert not loaded.complete
    assert loaded.problems == [f"--objects {path}: No such file or directory"]
    assert not files.changed()
    path.parent.mkdir()
    _write(path, service("a"))
    assert files.changed()
    assert files.load().complete


def test_an_empty_folder_is_complete(tmp_path: Path) -> None:
    """A cluster without objects."""
    loaded = _files(tmp_path).load()
    assert loaded.complete
    assert loaded.problems == []


def test_changes_are_seen_within_a_second(tmp_path: Path) -> None:
    """And handed on once; nothing is read while nothing changed."""
    clock, got = Clock(), list[Loaded]()
    path = tmp_path / "a.yaml"
    _write(path, service("a"), pod())
    poll = FilePoll(_files(tmp_path), clock, got.append)
    poll.start()
    assert len(got) == 1
    clock.pump([POLL_S] * 5)
    assert len(got) == 1
    _write(path, service("b"))
    clock.advance(POLL_S)
    assert [_keys(each) for each in got[1:]] == [{"services": ["shop/b"]}]
    poll.stop()
    assert clock.getDelayedCalls() == []


def test_a_loop_of_links(tmp_path: Path) -> None:
    """A folder that links to itself is not walked for ever."""
    _write(tmp_path / "a.yaml", service("a"))
    (tmp_path / "self").symlink_to(tmp_path)
    (tmp_path / "broken.yaml").symlink_to(tmp_path / "nowhere.yaml")
    loaded = _files(tmp_path).load()
    assert "shop/a" in _keys(loaded)["services"]


def test_two_paths_one_of_them_missing(tmp_path: Path) -> None:
    """The one that is there is served."""
    _write(tmp_path / "a.yaml", service("a"))
    loaded = _files(tmp_path, tmp_path / "missing").load()
    assert _keys(loaded) == {"services": ["shop/a"]}
    assert not loaded.complete


def test_one_bad_entry_of_a_folder_costs_no_other_one(tmp_path: Path) -> None:
    """A dangling link, a pipe that would be read for ever, a name with a line feed."""
    (tmp_path / "a.yaml").symlink_to("nowhere")
    os.mkfifo(tmp_path / "b.yaml")
    (tmp_path / "c\n.yaml").write_text("{")
    (tmp_path / "z.yaml").write_text("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
    loaded = ObjectFiles([str(tmp_path)], EndpointNames.IP).load()
    assert [each.key for each in loaded.objects[Kind.NAMESPACE]] == ["/shop"]
    assert len(loaded.problems) == 1
    assert loaded.problems[0].isprintable()
