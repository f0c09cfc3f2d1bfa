"""
What a process does not need, it does not load: each module is paid for in the memory of every pod.

Each process is started as it is in the pod, works for a moment, and tells at its end what it had.
"""

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import dns.message
import dns.query
import pytest

from tests.pod.running import DEMO, ROOT, until
from tests.realapi.ports import free_port

_NAME = "kubernetes.default.svc.cluster.local"
_PROGRAM = """
import atexit, importlib, sys
package, path, *words = sys.argv[1:]
def tell():
    with open(path, "w") as file:
        print(*sys.modules, sep="\\n", file=file)
atexit.register(tell)
sys.argv[1:] = words
importlib.import_module(package + ".__main__").main()
"""

_NOBODYS = frozenset({
    "OpenSSL", "cryptography", "doctest", "ensurepip", "kubernetes.aio.client.api",
    "kubernetes.aio.client.api_client", "kubernetes.aio.client.models", "kubernetes.aio.watch",
    "kubernetes.client", "multiprocessing", "pip", "pkg_resources", "pydantic", "pydoc", "pytest",
    "requests", "setuptools", "sqlite3", "tkinter", "twisted.application", "twisted.conch",
    "twisted.internet.ssl", "twisted.names", "twisted.protocols.tls", "twisted.trial",
    "twisted.web.client", "unittest", "urllib3", "xml.dom", "xmlrpc",
})  # fmt: skip
_API_CLIENT = frozenset({"aiohttp", "kubernetes"})
_WEB_FRAMEWORK = frozenset({"click", "flask", "jinja2", "werkzeug"})
_SITE = frozenset({"twisted.plugin", "twisted.spread", "twisted.web.server", "zipfile"})
"""What Twisted's sites and services bring; kubedns/serve/http.py says what is used instead."""
_ZONE = frozenset({"kubedns.cluster", "kubedns.serve.responder", "kubedns.zone.tree", "msgspec"})
_FORWARDER = frozenset({"dnsmasq_py.forwarder", "dnsmasq_py.service"})


@dataclass(frozen=True, slots=True)
class Process:
    """
    One process and what it must not have loaded.

    command: with {dns} and {page} for its ports and {nobody} for a port where nobody listens.
    pages: to be read, on the port {page}. dns: whether it answers questions.
    """

    story: str
    package: str
    command: str
    pages: tuple[str, ...]
    without: frozenset[str]
    dns: bool = False


_KUBEDNS = (
    "--dns-bind-address=127.0.0.1 --dns-port={dns} --healthz-port=0 --lame-duck=0s "
    "--nameservers=127.0.0.1:{nobody} --status-address=127.0.0.1:{page} "
)
_DNSMASQ = (
    "--admin-address=127.0.0.1:{page} --drain=0s -configDir={folder} -- -k --conf-file= --no-hosts "
    "--no-resolv --port={dns} --listen-address=127.0.0.1 --bind-interfaces --log-facility=- "
    "--address=/kubernetes.default.svc.cluster.local/192.0.2.1 --server=127.0.0.1#{nobody}"
)
_SIDECAR = (
    "--probe=kubedns,127.0.0.1:{nobody},kubernetes.default.svc.cluster.local,1,A "
    "--dnsmasq-port={nobody} --prometheus-addr=127.0.0.1 --prometheus-port={page} "
    "--kubedns-status=127.0.0.1:{nobody} --dnsmasq-status=127.0.0.1:{nobody} "
    "--operator-address=off --drain=0s"
)
_PROCESSES = [
    Process(
        "kubedns that serves files",
        "kubedns",
        _KUBEDNS + f"--objects={DEMO}",
        ("/status", "/metrics", "/readiness", "/explain?name=a.b.svc.cluster.local"),
        _NOBODYS | _API_CLIENT | _WEB_FRAMEWORK | _SITE | {"difflib", "dns"} | _FORWARDER,
        dns=True,
    ),
    Process(
        "kubedns with an API server",
        "kubedns",
        _KUBEDNS + "--kube-master-url=http://127.0.0.1:{nobody}",
        ("/status", "/metrics"),
        _NOBODYS | _WEB_FRAMEWORK | _SITE | {"difflib", "dns", "yaml"} | _FORWARDER,
        dns=True,
    ),
    Process(
        "the forwarder",
        "dnsmasq_py",
        _DNSMASQ,
        ("/status", "/metrics", "/healthz", "/explain?name=a.example", "/top", "/findings"),
        _NOBODYS | _API_CLIENT | _WEB_FRAMEWORK | _SITE | _ZONE | {"difflib", "dns", "yaml"},
        dns=True,
    ),
    Process(
        "the sidecar",
        "sidecar",
        _SIDECAR,
        ("/", "/metrics", "/healthcheck/kubedns"),
        _NOBODYS | _API_CLIENT | _ZONE | _FORWARDER | {"kubedns.service", "yaml"},
    ),
]


@pytest.mark.parametrize("process", _PROCESSES, ids=attrgetter("story"))
def test_a_process_loads_no_module_that_it_does_not_need(process: Process, tmp_path: Path) -> None:
    """An operator who adds a replica pays for what is used, and for nothing else."""
    found = _modules(process, tmp_path)
    assert f"{process.package}.service" in found, "it has not worked at all"
    assert not _of(process.without, found)


def _modules(process: Process, folder: Path) -> set[str]:
    """Start a process, let it do some of its work, end it, and return what it had loaded."""
    ports = {each: free_port() for each in ("dns", "page", "nobody")}
    told = folder / "modules"
    words = process.command.format(folder=folder, **ports).split()
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, process.package, told, *words], cwd=ROOT, stderr=log
        )
    try:
        for path in process.pages:
            until(lambda path=path: _page(ports["page"], path), f"no page {path}")
        if process.dns:
            asked = dns.message.make_query(_NAME, "A")
            dns.query.udp(asked, "127.0.0.1", port=ports["dns"], timeout=10)
            dns.query.tcp(asked, "127.0.0.1", port=ports["dns"], timeout=10)
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0, (folder / "log").read_text()
    finally:
        if running.poll() is None:
            running.kill()
        running.wait()
    return set(told.read_text().split())


def _page(port: int, path: str) -> bool:
    """Tell whether there is a page, be it one that says that nothing works."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
            return bool(reply.read())
    except urllib.error.HTTPError as error:
        return error.code == 503
    except OSError:
        return False


def _of(packages: Iterable[str], modules: set[str]) -> list[str]:
    """Return the packages of which something was loaded."""
    return sorted(
        name
        for name in packages
        if any(each == name or each.startswith(f"{name}.") for each in modules)
    )
