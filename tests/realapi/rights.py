"""Who may read what: ServiceAccounts with real tokens, roles and their bindings."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from tests.realapi.api import Api, Object
from tests.realapi.controlplane import ControlPlane

_numbers = itertools.count(1)

STOCK_ROLE = "system:kube-dns"
"""The role that every cluster has: list and watch services and endpoints."""


def role(name: str, **resources: str) -> Object:
    """Return a ClusterRole to list and watch; ``resources`` gives each its API group."""
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": ["list", "watch"]}
        for resource, group in resources.items()
    ]
    return {**_rbac("ClusterRole", name), "rules": rules}


def binding(role: str, account: Account) -> Object:
    """Return what gives a ServiceAccount the rights of a ClusterRole."""
    return {
        **_rbac("ClusterRoleBinding", f"{role}-for-{account.namespace}-{account.name}"),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [
            {"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}
        ],
    }


class Account:
    """A new ServiceAccount, which may do nothing yet."""

    def __init__(self, control_plane: ControlPlane, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self._control_plane = control_plane
        self._api: Api = control_plane.api
        self._secrets: dict[str, Object] = {}
        self._api.create(self._object("ServiceAccount", name))

    def token(self) -> str:
        """Return a token of its own kind: it is valid until it is revoked."""
        secret = self._object("Secret", f"{self.name}-{next(_numbers)}")
        self._api.create(secret)
        name = secret["metadata"]["name"]
        token = self._control_plane.service_account_token(self.namespace, self.name, name)
        self._secrets[token] = secret
        return token

    def revoke(self, token: str) -> None:
        """Make a token invalid.  The API server goes on to take it for ten seconds."""
        self._api.delete(self._secrets.pop(token))

    def _object(self, kind: str, name: str) -> Object:
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def _rbac(kind: str, name: str) -> Mapping[str, object]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
    }
