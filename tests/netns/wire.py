"""
A link between two network namespaces that loses packets, and that can be cut.

Every packet passes through this process, by a TUN device at either end, so it needs neither a
kernel with netem nor firewall tools, and what is lost is the same for every run of packets.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import secrets
import select
import shutil
import socket
import struct
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

NEAR, FAR = "10.99.0.1", "10.99.0.2"
ALSO_FAR = "10.99.0.3"

_TUN = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000
_IPV4 = 4


def missing() -> str | None:
    """Return why there can be no such link here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "no ip; tests/setup-tools.sh gets it"
    if not _TUN.exists():
        return f"no {_TUN}"
    probe = _name()
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}"
    _ip("netns", "del", probe)
    return None


class Wire:
    """
    Two namespaces, ``near`` (10.99.0.1) and ``far`` (10.99.0.2 and .3), and the link.

    loss: the share of packets lost in each direction. cut: everything is lost.
    """

    def __init__(self, seed: int = 1) -> None:
        self.near, self.far = _name(), _name()
        self.loss = 0.0
        self.cut = False
        self._rng = random.Random(seed)
        self._ended, self._end = os.pipe()
        self._devices: list[int] = []

    def __enter__(self) -> Wire:
        try:
            for namespace, addresses in ((self.near, [NEAR]), (self.far, [FAR, ALSO_FAR])):
                _ip("netns", "add", namespace)
                self._devices.append(_device(namespace))
                _ip("-n", namespace, "link", "set", namespace, "up")
                _ip("-n", namespace, "link", "set", "lo", "up")
                for address in addresses:
                    _ip("-n", namespace, "address", "add", f"{address}/24", "dev", namespace)
        except BaseException:
            self._remove()
            raise
        self._carrier = threading.Thread(target=self._carry, name="wire", daemon=True)
        self._carrier.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.write(self._end, b"!")
        self._carrier.join(10.0)
        self._remove()

    def near_link(self, state: str) -> None:
        """Set the near end ``up`` or ``down``: without it there is no route to the far end."""
        _ip("-n", self.near, "link", "set", self.near, state)

    def socket(self, kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
        """Return an IPv4 socket of the near namespace, UDP unless told otherwise."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(_socket, self.near, kind).result()

    def _carry(self) -> None:
        near, far = self._devices
        other = {near: far, far: near}
        poll = select.poll()
        for fd in (near, far, self._ended):
            poll.register(fd, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == self._ended:
                    return
                self._pass(fd, other[fd])

    def _pass(self, source: int, target: int) -> None:
        """Carry one packet to the other end, or lose it."""
        try:
            packet = os.read(source, 65535)
            lost = self.cut or self._rng.random() < self.loss
            if packet[0] >> 4 == _IPV4 and not lost:
                os.write(target, packet)
        except OSError:  # that end is down
            return

    def _remove(self) -> None:
        for fd in (*self._devices, self._ended, self._end):
            os.close(fd)
        for namespace in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)


def _name() -> str:
    return f"kd-{secrets.token_hex(4)}"  # a device name has 15 octets at most


def _device(namespace: str) -> int:
    """Make a TUN device in a namespace, named like it; return its file descriptor."""
    fd = os.open(_TUN, os.O_RDWR)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH", namespace.encode(), _IFF_TUN | _IFF_NO_PI))
        _ip("link", "set", namespace, "netns", namespace)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _socket(namespace: str, kind: socket.SocketKind) -> socket.socket:
    """Move this thread, which ends soon, to a namespace; return a socket of it."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/run/netns/{namespace}").open("rb") as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    return socket.socket(socket.AF_INET, kind)


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True, text=True)
