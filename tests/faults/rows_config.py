"""Row 9: the ConfigMap is broken, emptied, replaced a hundred times."""

from __future__ import annotations

import json

from tests.faults.stage import Stage
from tests.realapi.mounted import mount

_BROKEN = [
    {"stubDomains": "{", "upstreamNameservers": "[", "extensions": "{{"},
    {"stubDomains": '{"cluster.local": "x"}', "upstreamNameservers": '["no address"]'},
    {"upstreamNameservers": "\0\1\2", "stubDomains": "[]"},
    {"stubDomains": "null", "federations": "42", "extensions": "- 1"},
]


def config_changes(stage: Stage) -> None:
    """Replace it under load, with good ones, broken ones and nothing."""
    good = {
        "upstreamNameservers": json.dumps([each.nameserver for each in stage.upstreams]),
    }
    mount(stage.ours.config, good)
    stage.calm(1.5)
    stage.began()
    for files in (*_BROKEN, {}):
        mount(stage.ours.config, files)
        stage.calm(0.2, 1.5)
    for turn in range(100):
        stubs = {f"stub-{turn}.test": [stage.upstreams[turn % 2].nameserver]}
        files = {"stubDomains": json.dumps(stubs), **good}
        mount(stage.ours.config, _BROKEN[turn // 10 % 4] if turn % 10 == 9 else files)
        stage.calm(0.02, 0.1)
    mount(stage.ours.config, good)
    stage.world.change(3)
    stage.over()
    stage.heals()
