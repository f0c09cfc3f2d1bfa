"""
What explanations cost: how long the sidecar takes for one, as a person waits for it (without the
live try), and how much dearer a hit is that the flight recorder notes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from urllib.parse import urlencode

from tests.bench.bench import Bench, say
from tests.bench.figures import Figure, figure
from tests.bench.fronts import FRONTS, PLAIN
from tests.bench.goals import WITHOUT_RECORDER
from tests.bench.pairs import hits
from tests.bench.systems import POD
from tests.realapi.mounted import mount
from tests.sidecar.pod import Pod

_SEARCH = ",".join(f"{each}cluster.local" for each in ("shop.svc.", "svc.", "", "a.", "b.", "c."))
_PAUSE_S = 0.25  # more often than five times a second it does not explain
_WARM_UP = 5
_QUESTIONS = 14  # A and AAAA, with each of the six domains and as it is


def measure(bench: Bench) -> Iterator[Figure]:
    """Explain external names with six search domains, on the demo cluster: new ones, then again."""
    bench.release()
    say("explain a name with six search domains")
    folder = bench.scratch / "explain"
    mount(folder / "config", {"upstreamNameservers": json.dumps([bench.upstream.written(":")])})
    count = 8 if bench.quick else 25
    names = [f"www-{n}.example.com" for n in range(_WARM_UP + count)]
    with Pod(folder) as pod:
        new = [_took_ms(pod, name) for name in names]
        known = [_took_ms(pod, name) for name in names[_WARM_UP:]]
    title = "explain a name with 6 search domains"
    note = f"the first one after the start {new[0]:.0f}"
    new = new[_WARM_UP:]
    yield figure("explain.new", f"{title}, that nobody asked for yet", "ms", {POD: new}, note)
    yield figure("explain.known", f"{title}, all in the cache", "ms", {POD: known})
    for key, title, ours in (
        ("explain.hit", "a hit with the recorder and without", FRONTS[0]),
        ("explain.hit-plain", "the same in pure Python", PLAIN[0]),
    ):
        without = ours.named(WITHOUT_RECORDER, more=("--recorder=off",))
        yield hits(bench, key, title, ours, without)


def _took_ms(pod: Pod, name: str) -> float:
    """Return how long the page takes, of which there must be the whole walk."""
    path = f"/explain?{urlencode({'name': name, 'search': _SEARCH})}"
    time.sleep(_PAUSE_S)
    begun = time.perf_counter()
    status, text = pod.sidecar.get(path, port=pod.sidecar.operator)
    took_s = time.perf_counter() - begun
    walk = json.loads(text)["walks"][0] if status == 200 else {"queries": 0}
    if walk["queries"] != _QUESTIONS:
        raise ValueError(f"{status}: {text[:300]}")
    return took_s * 1000
