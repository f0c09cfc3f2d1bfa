"""Many changes of the cluster at once: written into the store, as another API server would."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from tests.realapi.api import Object
from tests.realapi.controlplane import ControlPlane


class Store:
    """
    A connection to the store of a control plane.

    A write by the API server costs it 3 to 5 ms of CPU on a busy machine, so that two cores which
    also carry pods and their load get a few hundred a second done. Its watches, which are what the
    pods see of a change, it makes of the store's alone, whoever wrote there.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", plane.etcd_port, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def write(self, changes: Mapping[str, Object | None]) -> None:
        """
        Write objects in one transaction: each is a change of its own to those who watch.

        Keys are those below ``/registry/``; None deletes.
        """
        steps = [_step(f"/registry/{key}", thing) for key, thing in changes.items()]
        self._connection.request("POST", "/v3/kv/txn", json.dumps({"success": steps}))
        response = self._connection.getresponse()
        text = response.read()
        assert response.status == http.client.OK, f"the store: {text.decode()}"


def _step(key: str, thing: Object | None) -> Object:
    named = _base64(key.encode())
    if thing is None:
        return {"requestDeleteRange": {"key": named}}
    return {"requestPut": {"key": named, "value": _base64(json.dumps(thing).encode())}}


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
