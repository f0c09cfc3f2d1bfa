"""The API server as a test asks it: plain requests, JSON in and out."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

Object = dict[str, Any]
"""An API object, or any other JSON body."""

_RESOURCES = {
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    "Endpoints": "/api/v1/namespaces/{}/endpoints",
    "Namespace": "/api/v1/namespaces",
    "Node": "/api/v1/nodes",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
}


class ApiError(Exception):
    """The API server refused: HTTP ``status`` and the reason it gave."""

    def __init__(self, request: str, status: int, reason: str) -> None:
        super().__init__(f"{request}: {status} {reason}")
        self.status = status


class Api:
    """A connection to the API server, opened again when it was lost."""

    def __init__(self, port: int, authority: Path, token: str, *, patience_s: float = 30.0) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection = http.client.HTTPSConnection(
            "127.0.0.1",
            port,
            timeout=patience_s,
            context=ssl.create_default_context(cafile=authority),
        )

    def close(self) -> None:
        self._connection.close()

    def request(self, method: str, path: str, body: Object | None = None) -> tuple[int, bytes]:
        """
        Return status and body of one request; a body that is sent with PATCH is a merge patch.

        Raises:
            OSError, http.client.HTTPException: no server, or none that finishes its answer.
        """
        kind = "merge-patch+json" if method == "PATCH" else "json"
        headers = {**self._headers, "Content-Type": f"application/{kind}"}
        content = None if body is None else json.dumps(body)
        try:
            return self._send(method, path, content, headers)
        except ConnectionError:
            # A kept connection may have died with the server since the last request.
            return self._send(method, path, content, headers)

    def _send(
        self, method: str, path: str, content: str | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, content, headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def ask(self, method: str, path: str, body: Object | None = None) -> Object:
        """
        Return the JSON answer to a request.

        Raises:
            ApiError: any status but 2xx.
        """
        status, text = self.request(method, path, body)
        answer: Object = json.loads(text) if text[:1] == b"{" else {"message": text.decode()}
        if not 200 <= status < 300:
            raise ApiError(f"{method} {path}", status, str(answer.get("message")))
        return answer

    def get(self, kind: str, name: str, namespace: str = "") -> Object:
        return self.ask("GET", f"{_RESOURCES[kind].format(namespace)}/{name}")

    def create(self, *objects: Object) -> None:
        for thing in objects:
            self.ask("POST", _collection(thing), thing)

    def patch(self, thing: Object, *, subresource: str = "") -> None:
        """Merge a part of an object, which must name its kind, name and namespace, into it."""
        self.ask("PATCH", f"{path_of(thing)}{subresource}", thing)

    def delete(self, *objects: Object) -> None:
        for thing in objects:
            # Pods would wait 30 s for a node that never answers.
            self.ask("DELETE", f"{path_of(thing)}?gracePeriodSeconds=0")


def path_of(thing: Object) -> str:
    return f"{_collection(thing)}/{thing['metadata']['name']}"


def _collection(thing: Object) -> str:
    return _RESOURCES[thing["kind"]].format(thing["metadata"].get("namespace", ""))
