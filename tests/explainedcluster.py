"""A cluster that explains itself, without sockets: the Served of tests/builders with sentences."""

from typing import Any

from kubedns.explain.account import Accounts
from kubedns.explain.border import Border
from kubedns.explain.sentences import Sentences
from kubedns.serve.responder import Responder
from kubedns.wire import name as names
from tests.builders import (
    Object,
    Served,
    World,
    external,
    headless,
    namespace,
    serve,
    service,
    slice_,
)


class Explained(Served):
    """What `serve` gives, with sentences; `now` is the clock of all of it, in seconds."""

    def __init__(self, served: Served, border: Border = Border.FULL) -> None:
        super().__init__(served.cluster, served.zone, served.world)
        self.now = 1000.0
        self.worked = 0.0  # seconds that all sentences took
        self.sentences = Sentences(
            self.zone, self.pairing, border, clock=lambda: self.now, stopwatch=lambda: self.worked
        )
        self.responder = Responder(
            self.zone, self.answers, self.world, self.counters,
            version="kube-dns-py 0", host="dns-0", explains=self.sentences, clock=lambda: self.now,
        )  # fmt: skip

    @property
    def pairing(self) -> Any:
        """Return what the sentences are made of beside the zone."""
        return self.cluster.pairing

    def octets(self, message: bytes, *, tcp: bool = False) -> bytes | None:
        """Return the reply to a message; a kept answer that is too old is made anew."""
        ready = None if tcp else self.answers.table.get(message[2:])
        if ready is None or ready.until > self.now or ready.age(self.now):
            return super().octets(message, tcp=tcp)
        answered = self.responder.answer(message, tcp=tcp)
        assert isinstance(answered, bytes)
        return answered

    def told(self, question: str, **rest: Any) -> str:
        """Ask, and return the reply's code with the extended error: `NXDOMAIN 0 no service x`."""
        reply = self.ask(question, **rest)
        told = [f"{int(error.code)} {error.text}" for error in reply.extended_errors()]
        return " ".join([reply.rcode().name, *told])

    def account(self, name: str, rtype: int = 1) -> dict[str, Any]:
        """Return what /explain shows."""
        accounts = Accounts(self.zone, self.pairing, self.sentences)
        return accounts.of(names.from_text(name), rtype)


def explained(
    *values: Object, border: Border = Border.FULL, world: World | None = None, **options: Any
) -> Explained:
    """Build a DNS that explains what it answers; options: those of `serve`."""
    return Explained(serve(*values, world=world, **options), border)


def unready(ip: str, pod: str) -> Object:
    """Build an endpoint that is not ready."""
    target = {"kind": "Pod", "name": pod}
    return {"addresses": [ip], "conditions": {"ready": False}, "targetRef": target}


def shop() -> list[Object]:
    """Build a cluster with something of everything that can go wrong."""
    chain = [external(f"c{i + 1}.prod.svc.cluster.local", f"c{i}", "prod") for i in range(12)]
    return [
        *map(namespace, ("prod", "test", "dev", "qa", "prod-eu", "empty", "kube-system")),
        service("web", "prod", ip="10.0.0.1", ports=["http:80", "metrics:9090"]),
        service("six", "prod", ip="fd00::1"),
        service("nameless", "prod", ip="10.0.0.9", ports=["80"]),
        *(
            service("api", each, ip=f"10.0.1.{i}")
            for i, each in enumerate(("dev", "prod-eu", "qa", "test"))
        ),
        headless("db", "prod", ports=["pg:5432"]),
        slice_(
            "db", "prod", ports=["pg:5432"],
            addresses=[("10.1.0.1", "db-0"), ("10.1.0.2", "db-1"), unready("10.1.0.3", "db-2")],
        ),
        headless("dead", "prod"),
        slice_("dead", "prod", addresses=[unready(f"10.2.0.{i}", f"dead-{i}") for i in range(3)]),
        headless("none", "prod"),
        external("10.9.9.9", "address", "prod"),
        external("loop2.prod.svc.cluster.local", "loop1", "prod"),
        external("loop1.prod.svc.cluster.local", "loop2", "prod"),
        external("gone.test.svc.cluster.local", "astray", "prod"),
        external("gone.prod.svc.cluster.local", "stray", "prod"),
        external("api.test.svc.cluster.local", "alias", "prod"),
        external("x.example", "away", "prod"),
        *chain,
    ]  # fmt: skip
