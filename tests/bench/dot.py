"""An upstream that speaks TLS: unbound, with one record for all names, on the load's cores."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.bench.machine import LOAD_CORES, pinned
from tests.bench.programs import UnavailableError, found
from tests.bench.question_files import DOMAIN
from tests.bench.systems import Address, Authority, Setting
from tests.realapi.ports import free_port
from tests.realapi.program import Program
from tests.tlsserver import Certificates

if TYPE_CHECKING:
    from tests.bench.bench import Bench

_NAME = "dns.example.com"
_START_S = 20.0
_CONF = """\
server:
    do-daemonize: no
    use-syslog: no
    username: ""
    chroot: ""
    pidfile: ""
    interface: 127.0.0.1@{port}
    tls-port: {port}
    tls-service-pem: "{pem}"
    tls-service-key: "{key}"
    access-control: 127.0.0.0/8 allow
    module-config: "iterator"
    num-threads: 1
    incoming-num-tcp: 1000
    local-zone: "{domain}." redirect
    local-data: "{domain}. 3600 A 192.0.2.1"
remote-control:
    control-enable: no
"""


def setting(bench: Bench, stack: ExitStack) -> Setting:
    """
    Run this upstream until the stack is closed; return what systems that ask it are started with.

    Raises:
        UnavailableError: there is no unbound, or it does not start.
    """
    binary = found("unbound")
    port = free_port()
    folder = bench.scratch / f"tls-{port}"
    folder.mkdir()
    certificates = Certificates(folder)
    certificates.server(f"DNS:{_NAME}")
    conf = folder / "unbound.conf"
    pem, key = folder / "server1.pem", folder / "server1.key"
    conf.write_text(_CONF.format(port=port, pem=pem, key=key, domain=DOMAIN))
    with pinned(LOAD_CORES):
        program = Program([binary, "-d", "-c", conf], log=folder / "log")
    stack.callback(program.kill)
    _wait(port, program)
    tls = Authority(certificates.ca, _NAME)
    return replace(bench.apart(), upstreams=[Address("127.0.0.1", port)], tls=tls)


def _wait(port: int, program: Program) -> None:
    deadline = time.monotonic() + _START_S
    while program.alive() and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise UnavailableError(f"unbound as upstream does not start: {program.last_words()}")
