"""The rows of the table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial

from tests.bench.upstream import fast
from tests.faults import (
    rows_api,
    rows_config,
    rows_floods,
    rows_host,
    rows_notify,
    rows_processes,
    rows_upstreams,
)
from tests.faults.peers import Dnsmasq
from tests.faults.stage import Row, Stage


@contextlib.contextmanager
def _fast(stage: Stage) -> Iterator[Mapping[str, object]]:
    # A flood must not be more than the server outside can take, but than the pod can.
    with fast(stage.folder) as upstream:
        stage.servers = [upstream.written("#")]
        yield {}


@contextlib.contextmanager
def _limited(stage: Stage) -> Iterator[Mapping[str, object]]:
    with rows_floods.memory_limit() as wrap:
        if not wrap:
            stage.note("no memory controller to write to: only looked at, not limited")
        with _fast(stage):
            yield {"wrap": wrap}


@contextlib.contextmanager
def _disk(options: str, stage: Stage) -> Iterator[Mapping[str, object]]:
    disk = stage.folder / "disk"
    wrap = {"kubedns": rows_host.small_disk(disk, options)}
    yield {"wrap": wrap, "snapshot": disk / "snapshot"}


@contextlib.contextmanager
def _drain(stage: Stage) -> Iterator[Mapping[str, object]]:
    # By default as long as the manifest lets them; no pod of the table needs all of it.
    yield (
        {"drain": "1.5s", "lame_duck": "2.5s"}
        if stage.short
        else {"drain": "8s", "lame_duck": "9s"}
    )


@contextlib.contextmanager
def _straight(stage: Stage) -> Iterator[Mapping[str, object]]:
    # What passes the gate costs this process more than the API server.
    stage.way = stage.plane.port
    yield {}


@contextlib.contextmanager
def _clock(stage: Stage) -> Iterator[Mapping[str, object]]:
    yield {"environment": rows_host.stepping(stage.folder / "clock")}


_TAPPED = {"tapped": True}

ROWS = [
    Row("1", "API server killed, changes, back", rows_api.away, stale=True),
    Row("2a", "API server 10 s late", rows_api.slow, stale=True),
    Row("2b", "API server answers 500", partial(rows_api.refusing, 500), stale=True),
    Row("2c", "API server answers 429", partial(rows_api.refusing, 429), stale=True),
    Row("3", "etcd compacted, API server restarted", rows_api.compacted, stale=True),
    Row("4a", "kubedns SIGKILL", rows_processes.authority_killed, stale=True),
    Row("4b", "kubedns SIGSTOP", rows_processes.authority_paused, stale=True),
    Row("5a", "kubedns restarted, API server away", rows_api.restarted_meanwhile, stale=True),
    Row(
        "5b", "the same, without a snapshot", rows_api.restarted_meanwhile, stale=True, peers=(),
        ours={"snapshot": None},
    ),
    Row("6a", "forwarder SIGKILL", rows_processes.cache_killed),
    Row(
        "6b", "rolling replacement behind one address", rows_processes.rolled, load=False,
        apart=True, given=_drain,
    ),
    Row("7", "sidecar SIGKILL", rows_processes.sidecar_killed, peers=(), ours={"sidecar": True}),
    Row("8a", "one of two upstreams dead", rows_upstreams.one_dead),
    Row("8b", "both upstreams dead", rows_upstreams.both_dead, outside_fails=True),
    Row("8c", "both upstreams flapping", rows_upstreams.flapping, outside_fails=True),
    Row("8d", "10 % loss", partial(rows_upstreams.lossy, 0.1)),
    Row("8e", "30 % loss", partial(rows_upstreams.lossy, 0.3), outside_fails=True),
    Row("8f", "upstreams 2 s late", rows_upstreams.delayed, outside_fails=True),
    Row(
        "9", "ConfigMap broken, emptied, replaced 100 times", rows_config.config_changes,
        peers=(), ours={"config": True},
    ),
    Row("10", "10,000 changes in 10 s", rows_floods.many_changes, stale=True, given=_straight),
    Row("11", "170 MiB, flood of unique names", rows_floods.unique_names, given=_limited),
    Row("12a", "query flood from one client", rows_floods.one_client, given=_fast),
    Row("12b", "600 idle TCP connections", rows_floods.connections),
    Row("12c", "half-open TCP connections", rows_floods.half_open),
    Row("12d", "TCP clients that do not read", rows_floods.slow_readers),
    Row(
        "13a", "disk full for the snapshot", rows_host.no_room, stale=True, peers=(),
        given=partial(_disk, "size=64k"),
    ),
    Row(
        "13b", "disk read-only for the snapshot", rows_host.no_room, stale=True, peers=(),
        given=partial(_disk, "ro"),
    ),
    Row("14", "clock stepped an hour", rows_host.clock_stepped, peers=(Dnsmasq,), given=_clock),
    Row("15a", "NOTIFY forged", rows_notify.forged, peers=(), ours=_TAPPED),
    Row("15b", "NOTIFY replayed", rows_notify.replayed, peers=(), ours=_TAPPED),
    Row("15c", "NOTIFY flooded", rows_notify.flooded, peers=(), ours=_TAPPED),
    Row("15d", "NOTIFY lost", rows_notify.lost, peers=(), stale=True, ours=_TAPPED),
]  # fmt: skip
