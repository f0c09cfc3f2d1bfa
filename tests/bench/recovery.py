"""The API server goes away and comes back: seconds until a change made at once is answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

from tests.bench.authorities import AUTHORITIES
from tests.bench.bench import Bench, say
from tests.bench.figures import Figure, figure
from tests.bench.objects import of_ten
from tests.bench.question import Question
from tests.bench.updates import one_more

_START_S = 30.0
_ROUND_PAUSE_S = 0.005


def measure(bench: Bench) -> Iterator[Figure]:
    """Take the API server away for some seconds, with all systems watching it side by side."""
    bench.release()
    outages = {10: 1} if bench.quick else {10: 2, 45: 1}
    patience_s = 20.0 if bench.quick else 100.0
    for gone_s, times in outages.items():
        rounds = [_outage(bench, gone_s, patience_s) for _ in range(times)]
        yield figure(
            f"recovery.{gone_s}",
            f"API server back after {gone_s} s, to new answer",
            "s",
            {name: [one[name] for one in rounds] for name in rounds[0]},
            f"{patience_s:.0f} means: not within that time",
        )


def _outage(bench: Bench, gone_s: int, patience_s: float) -> dict[str, float]:
    """Return the seconds from the API server's readiness to the new answer, by system."""
    say(f"API server away for {gone_s} s")
    with ExitStack() as stack:
        questions: dict[str, Question] = {}
        for one in bench.start(AUTHORITIES, bench.setting, stack):
            questions[one.name] = Question(of_ten().dns_name, one.dns_port)
        with bench.cluster.connect() as api:
            _, added = one_more(api)
        for question in questions.values():
            question.wait_for([added], deadline=time.monotonic() + _START_S, pause_s=0.05)
        bench.cluster.kill_apiserver()
        time.sleep(gone_s)
        bench.cluster.start_apiserver()
        back = time.monotonic()
        with bench.cluster.connect() as api:
            _, added = one_more(api)
        return _seen(questions, added, since=back, patience_s=patience_s)


def _seen(
    questions: dict[str, Question], added: bytes, *, since: float, patience_s: float
) -> dict[str, float]:
    """Ask all in turn until each has the address; one that never has it gets ``patience_s``."""
    seen: dict[str, float] = {}
    while len(seen) < len(questions):
        for name in questions.keys() - seen.keys():
            now = time.monotonic()
            if now - since > patience_s:
                seen[name] = patience_s
            elif questions[name].holds([added]):
                seen[name] = time.monotonic() - since
        time.sleep(_ROUND_PAUSE_S)
    for question in questions.values():
        question.close()
    return {name: seen[name] for name in questions}
