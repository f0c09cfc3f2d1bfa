"""The pages /explain and /pods, on the loopback port only: see account.py and pods.py."""

import json
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred

from kubedns.explain.account import Accounts
from kubedns.explain.pods import Pods, answer
from kubedns.explain.spelling import type_number
from kubedns.serve import http
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone import address

_MAX_ADDRESSES = 50
_NO_ANSWERS = (rr.OPT, rr.ANY, rr.AXFR, rr.IXFR)


class Explaining:
    """What the two pages are made of."""

    def __init__(self, accounts: Accounts, pods: Pods) -> None:
        self._accounts = accounts
        self._pods = pods

    def pages(self) -> http.Pages:
        """Return the pages by path."""
        return {
            "/explain": http.with_query(self._explain),
            "/pods": http.with_query(self._named),
        }

    def _explain(self, asked: Mapping[str, str]) -> "http.Page | Deferred[http.Page]":
        text = asked.get("name", "")
        if not text:
            return http.bad_request(
                "name: which name to explain, for example web.prod.svc.cluster.local"
            )
        try:
            name = names.from_text(text)
        except names.BadNameError as error:
            return http.bad_request(f"name: {error}")
        rtype = type_number(asked.get("type") or "A")
        if rtype is None or rtype in _NO_ANSWERS:
            return http.bad_request("type: a type of records, for example A, SRV or TYPE65")
        if asked.get("pods", "0") not in ("0", "1"):
            return http.bad_request("pods: 0 or 1")
        account = self._accounts.of(name, rtype)
        if asked.get("pods") != "1":
            return _json(account)
        return Deferred.fromCoroutine(self._with_reasons(account, name))

    async def _with_reasons(self, account: dict[str, Any], name: bytes) -> http.Page:
        unready = self._accounts.unready_pods(name)
        account["unready_reasons"] = await self._pods.reasons(unready)
        return _json(account)

    def _named(self, asked: Mapping[str, str]) -> "http.Page | Deferred[http.Page]":
        texts = [text for text in asked.get("ip", "").split(",") if text]
        if not 0 < len(texts) <= _MAX_ADDRESSES:
            return http.bad_request(
                f"ip: one to {_MAX_ADDRESSES} addresses with commas between them"
            )
        packed = {text: address.pack(text) for text in texts}
        for text, octets in packed.items():
            if octets is None:
                return http.bad_request(
                    f"ip: {names.label_to_text(text.encode())[:60]} is no address"
                )
        return Deferred.fromCoroutine(
            self._pods_page(
                texts,
                {
                    text: address.unpack(octets)
                    for text, octets in packed.items()
                    if octets is not None
                },
            )
        )

    async def _pods_page(self, texts: list[str], spelled: Mapping[str, str]) -> http.Page:
        found = await self._pods.named(spelled.values())
        return _json(answer({text: found[spelled[text]] for text in texts}, self._pods))


def _json(value: object) -> http.Page:
    return http.Page(json.dumps(value, indent=2) + "\n", media_type=http.JSON)
