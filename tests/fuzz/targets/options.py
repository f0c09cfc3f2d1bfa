"""
The forwarder's command line, its conf-files and hosts files: any text gives Options or one line.

Octets 0xFF stand between the words behind `--` (one on a line), two conf-files and a hosts file.
The words may name the files, `a` and `b`; no other file is there, so nothing of this machine is
read.
"""

import ipaddress
import os
from collections.abc import Iterator
from dataclasses import fields
from unittest.mock import patch

from dnsmasq_py import conffile, dnsmasqoptions, hostfiles, options, routing
from dnsmasq_py.extensions import Configured
from dnsmasq_py.getopt import OptionError
from dnsmasq_py.hostfiles import HostsFile
from dnsmasq_py.local import LocalData
from dnsmasq_py.options import Options, ShowText, UsageError
from dnsmasq_py.rules import Match
from kubedns.outside.routing import Own
from kubedns.wire import name as names
from kubedns.wire import reply, rr
from kubedns.wire.question import Query
from tests.fuzz import judge

MAX_LEN = 800
_NAMES = (
    "server local rev-server address cname host-record txt-record srv-host ptr-record cache-size "
    "port domain listen-address conf-file conf-dir log-queries min-port use-stale-cache neg-ttl "
    "rebind-domain-ok log-facility"
)
TOKENS = (
    *(f"{name}=".encode() for name in _NAMES.split()),
    b"/cluster.local/127.0.0.1#10053", b"\n--", b"\xff", b"10.0.0.0/9,", b"@eth0", b"#5353", b'"',
    b"tls://1.1.1.1#a.example", b"/*x/", b"//", b"/#/", b"no-resolv", b"::1", b",", b"%", b"\\n",
)  # fmt: skip
_MEMORY = 1 << 30
_PORTS = ("port", "min_port", "max_port", "query_port")
_files: dict[str, str] = {}


def check(octets: bytes) -> None:
    """Assert all that must hold for one start."""
    with patch.multiple(conffile, lines=_lines, folder=_folder, identity=_identity):
        _check(octets)


def _check(octets: bytes) -> None:
    parts = octets.replace(b"\0", b"").split(b"\xff")
    words = [word for word in os.fsdecode(parts[0]).split("\n") if word]
    _files.clear()
    _files.update(zip("ab", map(os.fsdecode, parts[1:3]), strict=False))
    found = _parsed(words)
    rules, errors = dnsmasqoptions.read_servers_file("b")
    assert all(map(judge.is_one_line, errors)), errors
    assert all(names.is_name(each.domain) for each in rules if each.match is not Match.TEXT)
    hosts, problems = hostfiles.parse(HostsFile("h", b"".join(parts[3:4])), names.from_text("d.e"))
    assert all(map(judge.is_one_line, problems)), problems
    for line in hosts:
        assert len(line.address) in (4, 16)
        assert line.names
        assert all(map(names.is_name, line.names))
    if found is not None:
        _is_sound(found)
        _is_served(found, LocalData(found, hosts, lambda _: 0), [n for h in hosts for n in h.names])


def _parsed(words: list[str]) -> Options | None:
    try:
        found = options.parse(["-v=2", "--", *words], "a", _MEMORY)
    except UsageError as error:
        assert judge.is_one_line(str(error)), str(error)
        assert isinstance(error, OptionError)
        return None
    except ShowText as text:
        assert str(text)
        return None
    assert all(map(judge.is_one_line, found.warnings)), found.warnings
    assert options.parse(["-v=2", "--", *words], "a", _MEMORY) == found
    return found


def _is_sound(found: Options) -> None:
    for name in _PORTS:
        assert 0 <= (getattr(found, name) or 0) <= 65535
    for field in fields(found):
        value = getattr(found, field.name)
        assert not isinstance(value, int) or 0 <= value < 1 << 64, field.name
    for rule in found.servers:
        assert rule.domain == rule.domain.lower()
        if rule.match is not Match.TEXT:
            assert names.is_name(rule.domain)
        if rule.server is not None:
            ipaddress.ip_address(rule.server.address)
            assert 0 <= rule.server.port <= 65535
            assert not rule.server.source or ipaddress.ip_address(rule.server.source)
    for address in found.listen_addresses:
        assert str(ipaddress.ip_address(address)) == address


def _is_served(found: Options, local: LocalData, hosts: list[bytes]) -> None:
    """Names of options have answers that can be read, and names have routes."""
    known = found.local
    owners = [*hosts, *(row[0] for row in (*known.cnames, *known.txts, *known.srvs, *known.ptrs))]
    owners += [name for row in known.host_records for name in row[0]]
    owners += [rule.domain for rule in found.addresses if rule.match is not Match.TEXT]
    for owner in owners[:20]:
        assert names.is_name(owner)
        for qtype in (rr.A, rr.ANY, rr.TXT, rr.SRV, rr.PTR):
            answer = local.answer(owner.lower(), qtype)
            if answer is not None:
                octets = owner + qtype.to_bytes(2) + b"\0\1"
                query = Query(b"id", 0x100, owner, owner.lower(), qtype, rr.IN, octets)
                turns = reply.compose(query, limit=4096, rcode=answer.rcode, answer=answer.answer)
                judge.read(query.id + turns[0])
    routes = routing.build(
        found,
        Configured(),
        (),
        own=Own((), lambda _: None),
        hosts=lambda _: (),
        previous=routing.NOTHING,
    )
    for name in (names.from_text("www.example.com"), *(o.lower() for o in owners[:20])):
        routes.find(name)


def _lines(path: str) -> Iterator[tuple[str, str]]:
    if path not in _files:
        raise conffile.unreadable(path, FileNotFoundError(2, "No such file or directory"))
    for number, line in enumerate(_files[path].split("\n"), 1):
        yield f"{path} line {number}", line


def _folder(text: str) -> list[str]:
    if not text.startswith("d"):
        raise conffile.unreadable(text, NotADirectoryError(20, "Not a directory"))
    return sorted(_files)


def _identity(path: str) -> tuple[int, int] | None:
    return (1, ord(path)) if path in _files else None
