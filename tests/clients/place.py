"""
Where the clients are: a network namespace with an /etc of its own, beside that of the pod.

Both are on one link, 1500 octets wide as in most clusters, with both families; needs root.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")

DNS, ALSO_DNS, DNS6 = "10.96.0.10", "10.96.0.11", "fd00:10:96::a"
"""Where the forwarder answers; it listens everywhere."""
SEARCH = "default.svc.cluster.local svc.cluster.local cluster.local"
RESOLV = f"nameserver {DNS}\nsearch {SEARCH}\noptions ndots:5\n"
"""As the kubelet writes it for a pod in the namespace `default`."""

_CLONE_NEWNET = 0x40000000
# The client's files over those of the machine, and no cache of the machine between: nscd.
_ETC = (
    "for each in resolv.conf nsswitch.conf hosts; do "
    '[ ! -e "/etc/$each" ] || mount --bind "$0/$each" "/etc/$each" || exit 99; done; '
    '[ ! -d /run/nscd ] || mount -t tmpfs none /run/nscd; exec "$@"'
)


def missing() -> str | None:
    """Return why there can be no such place here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "no ip; tests/setup-tools.sh gets it"
    try:
        with Place():
            return None
    except subprocess.CalledProcessError as error:
        return f"no network namespaces can be made: {error.stderr.strip()}"


class Place:
    """The two namespaces: `pod` (10.99.0.2, and the addresses of DNS) and `client` (10.99.0.1)."""

    def __init__(self) -> None:
        self.pod, self.client = (f"kd-{secrets.token_hex(4)}" for _ in range(2))

    def __enter__(self) -> Place:
        try:
            for namespace in (self.pod, self.client):
                _ip("netns", "add", namespace)
                _ip("-n", namespace, "link", "set", "lo", "up")
            self._link()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()

    def in_pod(self) -> list[str]:
        """Return the words in front of a command that is to run in the pod."""
        return ["ip", "netns", "exec", self.pod]

    def at_client(self, folder: Path, resolv: str = RESOLV) -> list[str]:
        """Return the words in front of a client's command; folder: for its own part of /etc."""
        folder.mkdir()
        (folder / "resolv.conf").write_text(resolv)
        (folder / "nsswitch.conf").write_text("hosts: files dns\n")
        (folder / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        return ["ip", "netns", "exec", self.client, "sh", "-c", _ETC, str(folder)]

    def _link(self) -> None:
        _ip(
            "-n", self.pod, "link", "add", "name", "eth0", "type", "veth",
            "peer", "name", "eth0", "netns", self.client,
        )  # fmt: skip
        for namespace, last in ((self.client, 1), (self.pod, 2)):
            _ip("-n", namespace, "address", "add", f"10.99.0.{last}/24", "dev", "eth0")
            _ip("-n", namespace, "address", "add", f"fd00:99::{last}/64", "dev", "eth0", "nodad")
            _ip("-n", namespace, "link", "set", "eth0", "up")
        for address in (f"{DNS}/32", f"{ALSO_DNS}/32", f"{DNS6}/128"):
            _ip("-n", self.pod, "address", "add", address, "dev", "lo")
        _ip("-n", self.client, "route", "add", "default", "via", "10.99.0.2")
        _ip("-n", self.client, "-6", "route", "add", "default", "via", "fd00:99::2")

    def _remove(self) -> None:
        for namespace in (self.client, self.pod):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)


def enter(namespace: str) -> None:
    """Move this thread, and only this, to a namespace, for good."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/run/netns/{namespace}").open("rb") as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def within(namespace: str, make: Callable[[], T]) -> T:
    """Return what is made in a namespace, by a thread that ends with that: a socket, say."""
    with ThreadPoolExecutor(1, initializer=enter, initargs=(namespace,)) as thread:
        return thread.submit(make).result()


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True, text=True)
