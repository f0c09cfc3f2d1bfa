"""
A real control plane on loopback: etcd, kube-apiserver and kube-controller-manager.

There is no node: Pods are objects whose status the test writes, but Endpoints and EndpointSlices
are made of them by the real controllers.  Two particulars of a server without a network:

- the ``kubernetes`` Service has no endpoints, as loopback addresses are not allowed in them;
- the ServiceAccount admission plugin is off, so Pods need no token.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.realapi.api import Api, ApiError, Object
from tests.realapi.ports import free_port
from tests.realapi.program import Program
from tests.realapi.waiting import until

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kube-dns-py" / "bin"
"""Where tests/setup-tools.sh puts the programs that a distribution does not have."""

SERVICE_RANGES = "10.0.0.0/16,fd00:10:96::/112"
CONTROLLERS = ",".join(
    f"{name}-controller"
    for name in ("endpoints", "endpointslice", "endpointslice-mirroring", "namespace")
)
NODE = "node-1"
KUBE_DNS_USER = "system:serviceaccount:kube-system:kube-dns"


def program(name: str) -> Path | None:
    """Return where a program is: in the cache, else on the PATH; None if nowhere."""
    found = shutil.which(name, path=f"{CACHE}{os.pathsep}{os.environ.get('PATH', '')}")
    return None if found is None else Path(found)


def missing(names: Sequence[str]) -> list[str]:
    return [name for name in names if program(name) is None]


class ControlPlane:
    """
    The servers, the credentials they accept, and what may happen to them.

    ``folder`` gets their logs; the data is removed at the end.  ``audit`` makes the API server
    write down every request, see :meth:`requests`.  ``service_ranges``: of cluster IPs.
    """

    NEEDS = ("etcd", "kube-apiserver", "kube-controller-manager", "openssl", "setpriv")

    def __init__(
        self, folder: Path, *, audit: bool = False, service_ranges: str = SERVICE_RANGES
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.authority = folder / "apiserver.crt"
        self._audit = audit
        self._service_ranges = service_ranges
        self.etcd_port = free_port()
        self._tokens = {KUBE_DNS_USER: secrets.token_hex(16), "admin": secrets.token_hex(16)}
        self._programs: dict[str, Program] = {}
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> ControlPlane:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """
        Start all servers; return when objects can be created.

        Raises:
            AssertionError: one of them ended or was not ready in time; holds its last words.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._write_certificate()
            self._write_tokens()
            self.api = Api(self.port, self.authority, self._tokens["admin"])
            self._ends.callback(self.api.close)
            self._start_etcd()
            self.start_apiserver()
            # Both come a moment after the server calls itself ready.
            self._wait("apiserver", lambda: self._exists("Namespace", "default"))
            self._wait("apiserver", lambda: self._exists("Service", "kubernetes", "default"))
            self.api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop what runs, clients first, and remove the data."""
        self._ends.close()
        for name in reversed(list(self._programs)):
            # Nothing here is worth the time of an orderly end.
            self._programs.pop(name).kill()
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)

    # What may happen to the API server

    def kill_apiserver(self) -> None:
        """End the API server as a crash does: open streams break, then connections are refused."""
        self._programs.pop("controllers").kill()
        self._programs.pop("apiserver").kill()

    def start_apiserver(self) -> None:
        """
        Start the API server and wait until it is ready.

        The controllers are started with it: else they would try again only after a pause that may
        have grown to half a minute, which is no matter of these tests.
        """
        self._start(
            "apiserver",
            [
                "kube-apiserver",
                f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={self.port}",
                "--endpoint-reconciler-type=none",
                f"--service-cluster-ip-range={self._service_ranges}",
                f"--tls-cert-file={self.authority}",
                f"--tls-private-key-file={self._key}",
                f"--service-account-key-file={self.authority}",
                f"--service-account-signing-key-file={self._key}",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--token-auth-file={self.folder / 'tokens.csv'}",
                f"--client-ca-file={self.authority}",
                "--authorization-mode=RBAC",
                "--disable-admission-plugins=ServiceAccount",
                "--profiling=false",
                *self._audit_flags(),
            ],
        )
        self._wait("apiserver", lambda: self._answers("/readyz"))
        self._start_controllers()

    def restart_apiserver(self) -> None:
        """Kill the API server and start it again; what it remembered of the past is gone."""
        self.kill_apiserver()
        self.start_apiserver()

    def kill_etcd(self) -> None:
        """End the store; the API server lives on without it."""
        self._programs.pop("etcd").kill()

    def start_etcd(self) -> None:
        """Start the store on what it held, and wait until the API server can write again."""
        self._start_etcd()
        self._wait("apiserver", lambda: self._answers("/readyz"))

    def back_up(self) -> None:
        """Keep what etcd holds now, for ``restore``."""
        self.kill_etcd()
        shutil.copytree(self.folder / "etcd", self.folder / "backup")
        self.start_etcd()

    def restore(self) -> None:
        """Bring etcd back to what it held at ``back_up``, with the revisions of then."""
        self.kill_apiserver()
        self.kill_etcd()
        shutil.rmtree(self.folder / "etcd")
        (self.folder / "backup").rename(self.folder / "etcd")
        self._start_etcd()
        self.start_apiserver()

    def compact(self) -> int:
        """Make etcd forget all revisions before now; return the number of this one."""
        nothing = base64.b64encode(b"/").decode()
        revision = int(self._etcd("kv/range", {"key": nothing})["header"]["revision"])
        self._etcd("kv/compaction", {"revision": revision, "physical": True})
        return revision

    def store(self, key: str, thing: Object) -> None:
        """
        Write an object into etcd past the API server's validation.

        ``key`` is the part of the path below ``/registry/``, for instance
        ``services/specs/shop/web``.  Works also while the API server is away.
        """
        value = base64.b64encode(json.dumps(thing).encode()).decode()
        self._etcd("kv/put", {"key": _etcd_key(key), "value": value})

    def store_all(self, things: Mapping[str, Object]) -> None:
        """Write many objects as ``store`` does, by key, in few transactions."""
        puts = [
            {
                "requestPut": {
                    "key": _etcd_key(key),
                    "value": base64.b64encode(json.dumps(thing).encode()).decode(),
                }
            }
            for key, thing in things.items()
        ]
        for start in range(0, len(puts), _TRANSACTION):
            self._etcd("kv/txn", {"success": puts[start : start + _TRANSACTION]})

    def forget_all(self, prefix: str) -> None:
        """Delete all objects whose keys begin so."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        self._etcd("kv/deleterange", {"key": _etcd_key(prefix), "range_end": _etcd_key(end)})

    def forget(self, key: str) -> None:
        """Delete an object from etcd, also while the API server is away; keys as in ``store``."""
        self._etcd("kv/deleterange", {"key": _etcd_key(key)})

    # Who may ask

    def kubeconfig(self, user: str = "admin", *, port: int | None = None) -> Path:
        """
        Return the file with which ``user`` reaches the API server.

        ``admin`` may do everything, ``KUBE_DNS_USER`` what the role ``system:kube-dns`` allows.
        ``port``: another way to the server, say a relay in front of it.
        """
        return self.write_kubeconfig({"token": self._tokens[user]}, port=port)

    def write_kubeconfig(self, user: Object, *, port: int | None = None) -> Path:
        """Return a kubeconfig whose ``user`` entry is as given: ``token``, ``tokenFile``, …"""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": f"https://127.0.0.1:{port or self.port}",
                        "certificate-authority": str(self.authority),
                    },
                }
            ],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        path = self.folder / f"kubeconfig-{secrets.token_hex(4)}"
        path.write_text(json.dumps(config))
        return path

    def client_certificate(self, user: str, group: str) -> tuple[str, str]:
        """Return a certificate by which the API server knows ``user``, and its key, in PEM."""
        certificate, key = self.folder / f"{user}.crt", self.folder / f"{user}.key"
        request = self.folder / f"{user}.csr"
        _openssl(
            *("req", "-subj", f"/O={group}/CN={user}", *_NEW_KEY),
            *("-keyout", key, "-out", request),
        )
        _openssl(
            *("x509", "-req", "-days", "30", "-CA", self.authority, "-CAkey", self._key),
            *("-in", request, "-out", certificate),
        )
        return certificate.read_text(), key.read_text()

    def service_account_token(self, namespace: str, name: str, secret: str) -> str:
        """Return a real token of a ServiceAccount; it is worth nothing once ``secret`` is gone."""
        answer = self.api.ask(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {
                    "expirationSeconds": 3600,
                    "boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": secret},
                },
            },
        )
        token: str = answer["status"]["token"]
        return token

    def accepts(self, token: str) -> bool:
        """Tell whether the API server knows whose token this is, whatever it allows them."""
        api = Api(self.port, self.authority, token)
        try:
            return api.request("GET", "/version")[0] != http.client.UNAUTHORIZED
        finally:
            api.close()

    def requests(self, agent: str) -> list[str]:
        """
        Return path and query of the requests that programs of this user agent began, in order.

        Raises:
            FileNotFoundError: the control plane was started without ``audit``.
        """
        lines = (self.folder / "audit.log").read_text().splitlines()
        events = (json.loads(line) for line in lines if line.endswith("}"))
        return [
            str(event["requestURI"])
            for event in events
            if event["stage"] == "RequestReceived" and agent in event.get("userAgent", "")
        ]

    # Inside

    @property
    def _key(self) -> Path:
        return self.folder / "apiserver.key"

    def _write_certificate(self) -> None:
        # One key for all: the server's certificate, which is the authority too, and the tokens.
        _openssl(
            *("req", "-x509", "-days", "30", "-subj", "/CN=kube-apiserver", *_NEW_KEY),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
            *("-keyout", self._key, "-out", self.authority),
        )

    def _write_tokens(self) -> None:
        groups = {"admin": "system:masters", KUBE_DNS_USER: "system:serviceaccounts"}
        lines = [f"{token},{user},{user},{groups[user]}" for user, token in self._tokens.items()]
        (self.folder / "tokens.csv").write_text("\n".join(lines) + "\n")

    def _audit_flags(self) -> list[str]:
        if not self._audit:
            return []
        policy = {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "rules": [{"level": "Metadata", "verbs": ["list", "watch"]}, {"level": "None"}],
        }
        path = self.folder / "audit-policy.json"
        path.write_text(json.dumps(policy))
        return [
            f"--audit-policy-file={path}",
            f"--audit-log-path={self.folder / 'audit.log'}",
            "--audit-log-maxsize=100",
        ]

    def _start_etcd(self) -> None:
        client = f"http://127.0.0.1:{self.etcd_port}"
        self._start(
            "etcd",
            [
                "etcd",
                "--name=test",
                f"--data-dir={self.folder / 'etcd'}",
                "--unsafe-no-fsync",
                "--log-level=warn",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                # A single member calls nobody, so this address is only a name.
                "--listen-peer-urls=http://127.0.0.1:0",
                "--initial-advertise-peer-urls=http://127.0.0.1:2380",
                "--initial-cluster=test=http://127.0.0.1:2380",
            ],
        )

    def _start_controllers(self) -> None:
        self._start(
            "controllers",
            [
                "kube-controller-manager",
                f"--kubeconfig={self.kubeconfig()}",
                "--secure-port=0",
                "--leader-elect=false",
                f"--controllers={CONTROLLERS}",
                "--kube-api-qps=200",
                "--kube-api-burst=400",
            ],
        )

    def _start(self, name: str, argv: Sequence[str]) -> None:
        path = program(argv[0])
        assert path is not None, f"{argv[0]} is not installed: see tests/setup-tools.sh"
        self._programs[name] = Program([path, *argv[1:]], log=self.folder / f"{name}.log")

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        server = self._programs[name]
        until(lambda: ready() or not server.alive(), within_s=60, wanted=f"a ready {name}")
        assert server.alive(), f"{name} ended:\n{server.last_words()}"

    def _answers(self, path: str) -> bool:
        try:
            return self.api.request("GET", path)[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def _exists(self, kind: str, name: str, namespace: str = "") -> bool:
        try:
            self.api.get(kind, name, namespace)
        except ApiError:
            return False
        return True

    def _etcd(self, method: str, body: Object) -> Object:
        connection = http.client.HTTPConnection("127.0.0.1", self.etcd_port, timeout=30)
        try:
            connection.request("POST", f"/v3/{method}", json.dumps(body))
            response = connection.getresponse()
            text = response.read()
            assert response.status == http.client.OK, f"etcd {method}: {text.decode()}"
            answer: Object = json.loads(text)
            return answer
        finally:
            connection.close()


_TRANSACTION = 100  # etcd takes 128 operations in one
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def _etcd_key(key: str) -> str:
    return base64.b64encode(f"/registry/{key}".encode()).decode()
