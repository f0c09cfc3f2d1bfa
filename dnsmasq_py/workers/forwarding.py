"""The queries to one worker that concern all: changes of the cluster, and statistics."""

from collections.abc import Callable
from functools import partial
from typing import Any

from dnsmasq_py import chaos
from dnsmasq_py.answering import Client
from dnsmasq_py.forwarder import Forwarder
from dnsmasq_py.local import LocalAnswer
from kubedns.wire.notify import Notice
from kubedns.wire.question import Query, WireError


class SharedForwarder(Forwarder):
    """
    One of several.

    relay: takes a NOTIFY that may come from the cluster's server: its octets, what it says, and how
    to send its receipt. gather: calls something when the statistics of all workers are at hand.
    """

    relay: Callable[[bytes, Notice, Callable[[bytes], Any]], None]
    gather: Callable[[Callable[[], None]], None]

    def _notified(
        self, message: bytes, sender: Any, send: Callable[[bytes], Any], *, tcp: bool
    ) -> None:
        source = sender[0].removeprefix("::ffff:"), sender[1]
        found = self.feed.admit(message, source, tcp=tcp)
        if isinstance(found, Notice):
            self.relay(message, found, send)
        else:
            self._refuse_message(message, WireError("a NOTIFY", found), sender, send, tcp=tcp)

    def _other_class(self, client: Client, query: Query) -> None:
        if not chaos.is_allowed(client.address):
            super()._other_class(client, query)
            return
        self._count(client, hit=True)
        self.gather(partial(self._tell, client, query))

    def _tell(self, client: Client, query: Query) -> None:
        rcode, answer = self._chaos.answer(query)
        found = LocalAnswer(rcode, tuple(answer), authoritative=bool(answer))
        self.answering.give_local(client, found)
