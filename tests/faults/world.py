"""The objects of the cluster that the load asks about, and how they change; all noted as truth."""

from __future__ import annotations

import contextlib
import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from tests.faults.store import Store
from tests.faults.truth import MISSING, Answer, Truth, addresses
from tests.realapi.api import Object
from tests.realapi.controlplane import ControlPlane
from tests.realapi.objects import (
    endpoint,
    external_name,
    headless,
    namespace,
    service,
    slice_,
)

ZONE = "cluster.local"
OUTSIDE = "example.com"
FRESH = f"fresh.{OUTSIDE}"
OUTSIDE_ADDRESS = "192.0.2.1"
_AT_ONCE = 10  # changes in a transaction
STEADY, SETS, FLIPS, MISSES, OUTSIDERS = 120, 20, 10, 20, 20

_numbers = itertools.count(1)


class World:
    """
    One namespace with services that stay, headless ones that change, and ones that come and go.

    `write` says how a change is written: by the API server, or past it into its store.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self.number = next(_numbers)
        self.ns = f"faults-{self.number}"
        self._addresses = itertools.count(1)
        self.truth = Truth()
        self._there: set[int] = set()
        self._past_it = False

    def create(self) -> None:
        """Create all that is there at first."""
        api, truth = self._plane.api, self.truth
        api.create(namespace(self.ns), external_name("out", self.ns, f"ext.{OUTSIDE}"))
        for number in range(STEADY):
            address = f"10.0.{self.number % 200 + 16}.{number + 1}"
            api.create(service(f"steady-{number}", self.ns, clusterIP=address))
            truth.is_always([self.name(f"steady-{number}")], addresses(address))
        for number in range(SETS):
            address = self._address()
            api.create(headless(f"set-{number}", self.ns), self._slice(number, address))
            truth.is_always([self.name(f"set-{number}")], addresses(address))
        truth.is_always([self.name("out")], addresses(OUTSIDE_ADDRESS))
        missing = [self.name(f"flip-{number}") for number in range(FLIPS)]
        missing += [self.name(f"nope-{number}") for number in range(MISSES - 2)]
        missing += [f"www.{OUTSIDE}.{self.ns}.svc.{ZONE}", f"www.{OUTSIDE}.svc.{ZONE}"]
        truth.is_always(missing, MISSING)
        outside = [f"www-{number}.{OUTSIDE}" for number in range(OUTSIDERS)]
        truth.is_always([*outside, FRESH], addresses(OUTSIDE_ADDRESS))
        truth.known = {self.name(f"steady-{number}") for number in range(STEADY)}
        truth.known |= {self.name(f"set-{number}") for number in range(SETS)}
        truth.outside = {*outside, FRESH, self.name("out")}

    def names(self) -> list[str]:
        """Return the names to ask for; all but the fresh ones."""
        return [name for name in self.truth if name != FRESH]

    def name(self, label: str) -> str:
        return f"{label}.{self.ns}.svc.{ZONE}"

    # Changes

    @contextlib.contextmanager
    def past_the_server(self) -> Iterator[None]:
        """Write into the store meanwhile, as another API server of the cluster would."""
        self._past_it = True
        try:
            yield
        finally:
            self._past_it = False

    def change(self, count: int = 3) -> None:
        """Give so many sets another address, let half as many services come or go."""
        self._plane.api.close()  # the server may have, if the last change was long ago
        for _ in range(count):
            self.move(next(_moves) % SETS)
        for _ in range((count + 1) // 2):
            self.flip(next(_moves) % FLIPS)

    def move(self, number: int) -> None:
        """Give a set another address."""
        address = self._address()
        thing = self._slice(number, address)
        self._write(
            self.name(f"set-{number}"),
            addresses(address),
            lambda: self._plane.api.patch(thing),
            lambda: self._plane.store(self._set_key(number), _stored(thing)),
        )

    def flip(self, number: int) -> None:
        """Let a service come, or go if it is there."""
        label, thing = self._flipped(number)
        key = self._service_key(label)
        api = self._plane.api
        if thing is None:
            gone = service(label, self.ns)
            self._write(
                self.name(label), MISSING, lambda: api.delete(gone),
                lambda: self._plane.forget(key),
            )  # fmt: skip
        else:
            self._write(
                self.name(label), addresses(thing["spec"]["clusterIP"]),
                lambda: api.create(thing), lambda: self._plane.store(key, _stored(thing)),
            )  # fmt: skip

    def churn(self, count: int, within_s: float) -> float:
        """
        Change so many things, evenly within some seconds; return how long it took.

        Ten at once: nine sets get another address, and one service comes or goes.
        """
        began = time.monotonic()
        with Store(self._plane) as store:
            for done in range(0, count, _AT_ONCE):
                pause = began + done / count * within_s - time.monotonic()
                if pause > 0:
                    time.sleep(pause)
                self._change_at_once(store, done // _AT_ONCE)
        return time.monotonic() - began

    def _change_at_once(self, store: Store, turn: int) -> None:
        things: dict[str, Object | None] = {}
        answers: dict[str, Answer] = {}
        for step in range(_AT_ONCE - 1):
            number = (turn * (_AT_ONCE - 1) + step) % SETS
            address = self._address()
            things[self._set_key(number)] = _stored(self._slice(number, address))
            answers[self.name(f"set-{number}")] = addresses(address)
        label, thing = self._flipped(turn % FLIPS)
        things[self._service_key(label)] = thing and _stored(thing)
        answers[self.name(label)] = addresses(thing["spec"]["clusterIP"]) if thing else MISSING
        began = time.monotonic()
        store.write(things)
        ended = time.monotonic()
        for name, answer in answers.items():
            self.truth.becomes(name, answer, began, ended)

    def _flipped(self, number: int) -> tuple[str, Object | None]:
        """Return a service that comes now, or None if it goes, and its name."""
        label = f"flip-{number}"
        if number in self._there:
            self._there.discard(number)
            return label, None
        self._there.add(number)
        # Past the server the cluster IP is not claimed, so it is one that nobody else gets.
        address = f"10.0.15.{next(self._addresses) % 250 + 1}"
        return label, service(label, self.ns, clusterIP=address)

    def _set_key(self, number: int) -> str:
        return f"endpointslices/{self.ns}/set-{number}"

    def _service_key(self, label: str) -> str:
        return f"services/specs/{self.ns}/{label}"

    def _write(
        self, name: str, answer: Any, ask: Callable[[], object], store: Callable[[], object]
    ) -> None:
        began = time.monotonic()
        if self._past_it:
            store()
        else:
            ask()
        self.truth.becomes(name, answer, began, time.monotonic())

    def _slice(self, number: int, address: str) -> Object:
        return slice_(f"set-{number}", self.ns, f"set-{number}", [endpoint(address)])

    def _address(self) -> str:
        number = next(self._addresses)
        return f"10.{self.number % 100 + 100}.{number >> 8 & 255}.{number & 255}"


def _stored(thing: Object) -> Object:
    """Return an object as the API server would store it: with a UID, else none can be changed."""
    named = f"{thing['metadata']['namespace']}/{thing['metadata']['name']}"
    metadata = {
        **thing["metadata"],
        "uid": str(uuid.uuid5(uuid.NAMESPACE_DNS, named)),
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {**thing, "metadata": metadata}


_moves = itertools.count()
