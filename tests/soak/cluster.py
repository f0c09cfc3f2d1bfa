"""The objects of the cluster that the soak asks about, and how they change; noted as history."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random

from tests.realapi.api import Api, ApiError, Object
from tests.realapi.controlplane import ControlPlane
from tests.realapi.objects import (
    endpoint,
    external_name,
    headless,
    namespace,
    service,
    slice_,
)
from tests.soak.contents import (
    ALIASES,
    CHURNED,
    EXTERNAL,
    FIRSTS,
    FLIPS,
    NS,
    SETS,
    STEADY,
    ZONE,
    first,
    name,
    of_alias,
    of_service,
    of_set,
    pool,
    steady,
    stub_answers,
)
from tests.soak.history import History
from tests.soak.questions import MISSING, OUTSIDE, PTR, Answer, Key, data, foreign

_PATIENCE_S = 60.0
_CONFLICT, _NOT_FOUND, _TOO_MANY = 409, 404, 429


class Cluster:
    """
    Services that stay, headless ones whose endpoints change, others that come and go, aliases
    that lead elsewhere, namespaces that get their first service.

    `lock` is held while something is written; `past` says to write into the store, past the API
    server, as another one of the cluster would.
    """

    def __init__(self, plane: ControlPlane, rng: Random) -> None:
        self._plane, self._rng = plane, rng
        self.history = History()
        self.lock = threading.Lock()
        self.past = False
        self.changes = 0
        self._noting = threading.Lock()
        self._there: dict[int, str] = {}
        self._cluster_ips = itertools.count()
        self._churned = itertools.count()
        self._firsts = itertools.count()

    def create(self) -> None:
        """Create all that is there at first."""
        api = self._plane.api
        api.create(namespace(NS), external_name("out", NS, EXTERNAL))
        for number in range(STEADY):
            api.create(service(f"steady-{number}", NS, clusterIP=steady(number)))
            self._starts(f"steady-{number}", of_service(f"steady-{number}", steady(number)))
        for number in range(SETS):
            chosen = self._some(number)
            api.create(headless(f"set-{number}", NS), _slice(f"set-{number}", chosen))
            answers = of_set(number, chosen)
            backward = {key: each for key, each in answers.items() if key.type == PTR}
            self._starts(f"set-{number}", {k: v for k, v in answers.items() if k.type != PTR})
            self._starts("reverse", backward)
        for number in range(CHURNED):
            address = self._churned_address()
            api.create(headless(f"churn-{number}", NS))
            api.create(_slice(f"churn-{number}", [address]))
            self._starts(f"churn-{number}", {Key(name(f"churn-{number}")): data(address)})
        for number in range(ALIASES):
            api.create(external_name(f"alias-{number}", NS, EXTERNAL))
            self._starts("alias", {Key(name(f"alias-{number}")): of_alias(EXTERNAL)})
        for number in range(FLIPS):
            self._starts(f"flip-{number}", of_service(f"flip-{number}", None))
        for number in range(FIRSTS):
            self._starts(f"first-{number}", {first(number): MISSING})
        self._starts_others()

    def _starts_others(self) -> None:
        missing = [name(f"nope-{number}") for number in range(15)]
        missing += [f"www.{OUTSIDE}.{NS}.svc.{ZONE}", f"www.{OUTSIDE}.svc.{ZONE}"]
        missing += [f"www.{OUTSIDE}.{ZONE}", f"{name('steady-1')}.{NS}.svc.{ZONE}"]
        self._starts("missing", {Key(each): MISSING for each in missing})
        pods = {Key(f"10-1-2-{last}.{NS}.pod.{ZONE}"): data(f"10.1.2.{last}") for last in (3, 4)}
        self._starts("pod", pods)
        labels = [f"www-{number}" for number in range(15)]
        labels += [f"short-{number}" for number in range(10)] + ["nx-1", "nx-2"]
        outside = {Key(f"{label}.{OUTSIDE}"): foreign(f"{label}.{OUTSIDE}") for label in labels}
        self._starts("outside", {**outside, Key(name("out")): of_alias(EXTERNAL)})
        self._starts("stub", stub_answers(0))

    def _starts(self, group: str, answers: Mapping[Key, Answer]) -> None:
        self.history.starts(group, answers)

    # Changes

    def change(self) -> Key | None:
        """Change something; return a question whose answer it changed."""
        with self.lock:
            self.changes += 1
            draw = self._rng.random()
            if draw < 0.6:
                return self._move(self._rng.randrange(SETS))
            if draw < 0.85:
                return self._flip(self._rng.randrange(FLIPS))
            if draw < 0.97 or self.past:
                return self._lead(self._rng.randrange(ALIASES))
            return self._begin()

    def _move(self, number: int) -> Key:
        """Give a set other endpoints."""
        label, chosen = f"set-{number}", self._some(number)
        thing = _slice(label, chosen)
        self._write(
            of_set(number, chosen),
            lambda: self._plane.api.patch(thing),
            lambda: self._plane.store(f"endpointslices/{NS}/{label}", _stored(thing)),
        )
        return Key(name(label))

    def _flip(self, number: int) -> Key:
        """Let a service come, or go if it is there."""
        label = f"flip-{number}"
        key, api = f"services/specs/{NS}/{label}", self._plane.api
        gone = service(label, NS)
        if self._there.pop(number, None):
            self._write(
                of_service(label, None), lambda: api.delete(gone), lambda: self._plane.forget(key)
            )
        else:
            # Each address once: past the server none is claimed or given back.
            serial = next(self._cluster_ips)
            address = f"10.0.{serial // 250 % 200 + 20}.{serial % 250 + 1}"
            thing = service(label, NS, clusterIP=address)
            self._there[number] = address
            self._write(
                of_service(label, address),
                lambda: api.create(thing),
                lambda: self._plane.store(key, _stored(thing)),
            )
        return Key(name(label))

    def _lead(self, number: int) -> Key:
        """Let an alias lead to another name, inside or outside."""
        label = f"alias-{number}"
        inside = name(f"steady-{self._rng.randrange(STEADY)}")
        target = self._rng.choice((inside, inside, EXTERNAL, f"www-1.{OUTSIDE}"))
        thing = external_name(label, NS, target)
        self._write(
            {Key(name(label)): of_alias(target)},
            lambda: self._plane.api.patch(thing),
            lambda: self._plane.store(f"services/specs/{NS}/{label}", _stored(thing)),
        )
        return Key(name(label))

    def _begin(self) -> Key | None:
        """Let a namespace come, and its first service."""
        number = next(self._firsts)
        if number >= FIRSTS:
            return None
        address, ns = f"10.0.14.{number + 1}", f"soak-{number}"
        _insist(lambda: self._plane.api.create(namespace(ns)), self._plane.api)
        thing = service("first", ns, clusterIP=address)
        self._write({first(number): data(address)}, lambda: self._plane.api.create(thing), None)
        return first(number)

    def churn(self, count: int, within_s: float, writers: int = 2) -> float:
        """Move the sets for it so many times, evenly within some seconds; return how long."""
        began = time.monotonic()
        config = json.loads(self._plane.kubeconfig().read_text())
        token = config["users"][0]["user"]["token"]

        def write(offset: int) -> None:
            api = Api(self._plane.port, self._plane.authority, token)
            mine = [each for each in range(CHURNED) if each % writers == offset]
            for turn, number in zip(range(offset, count, writers), itertools.cycle(mine)):
                pause = began + turn / count * within_s - time.monotonic()
                if pause > 0:
                    time.sleep(pause)
                if time.monotonic() > began + 2 * within_s:
                    break
                label, address = f"churn-{number}", self._churned_address()
                thing = _slice(label, [address])
                self._write({Key(name(label)): data(address)}, partial(api.patch, thing), None, api)
            api.close()

        with ThreadPoolExecutor(writers) as threads:
            list(threads.map(write, range(writers)))
        return time.monotonic() - began

    def stub_becomes(self, world: int | None, do: Callable[[], object]) -> None:
        """Note that another server has the stub domain from now on; None: nobody has."""
        self._write(stub_answers(world), do, None)

    def _write(
        self,
        answers: Mapping[Key, Answer],
        ask: Callable[[], object],
        store: Callable[[], object] | None,
        api: Api | None = None,
    ) -> None:
        with self._noting:
            number = self.history.writes(time.monotonic())
        if self.past and store is not None:
            store()
        else:
            _insist(ask, api or self._plane.api)
        with self._noting:
            self.history.written(number, time.monotonic(), answers)

    def horizon(self) -> float:
        """Return up to when all changes are known."""
        with self._noting:
            return self.history.horizon(time.monotonic())

    def _some(self, number: int) -> list[str]:
        return self._rng.sample(pool(number), self._rng.choice((0, 1, 1, 2, 3)))

    def _churned_address(self) -> str:
        serial = next(self._churned)
        return f"10.{200 + (serial >> 16)}.{serial >> 8 & 255}.{serial & 255}"


def _insist(ask: Callable[[], object], api: Api) -> None:
    """Write until it is written: a busy API server may fail once."""
    until, again = time.monotonic() + _PATIENCE_S, False
    while True:
        try:
            ask()
        except ApiError as error:
            if again and error.status in (_CONFLICT, _NOT_FOUND):
                return  # the first try did it
            if error.status not in (_TOO_MANY, _CONFLICT) and error.status < 500:
                raise
            if time.monotonic() > until:
                raise
        except (OSError, http.client.HTTPException):
            if time.monotonic() > until:
                raise
        else:
            return
        again = True
        api.close()
        time.sleep(0.2)


def _slice(label: str, chosen: list[str]) -> Object:
    return slice_(label, NS, label, [endpoint(address) for address in chosen])


def _stored(thing: Object) -> Object:
    """Return an object as the API server would store it: with a UID, else none can be changed."""
    metadata = {
        **thing["metadata"],
        "uid": str(uuid.uuid4()),
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {**thing, "metadata": metadata}
