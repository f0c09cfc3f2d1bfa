"""
The resolvers that programs in containers have, and how each of them is asked here.

Each is a program that runs on and on in the client's namespace, see programs/: it reads lines
`kind name` (kind: addresses, srv, reverse) and writes for each a line of three fields with tabs
between: milliseconds, its own word for what went wrong or nothing, and what was found.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

PROGRAMS = Path(__file__).with_name("programs")
PATIENCE_S = 60.0
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kube-dns-py"
_JAVA = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx64m")

ALL = frozenset({"addresses", "srv", "reverse"})
_MODULE = "module:"
NOTHING, FAILURE = "nothing", "failure"
_WORDS = {
    NOTHING: r"nothing|EAI_NO\w+|no such (host|name)|E?NOTFOUND|ENODATA|HOST_NOT_FOUND|NO_DATA"
    r"|ARES_ENO(TFOUND|DATA|NAME)|Name or service not known|No address associated with hostname"
    r"|NameNotFoundException: .*",
    FAILURE: r"EAI_AGAIN|EAI_FAIL|TRY_AGAIN|NO_RECOVERY|E(SERVFAIL|TIMEOUT|REFUSED)"
    r"|ARES_E(SERVFAIL|TIMEOUT|REFUSED)|server misbehaving|.*i/o timeout"
    r"|Temporary failure in name resolution"
    r"|(ServiceUnavailable|Communication|OperationNotSupported|Naming)Exception: .*",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a resolver said. found: addresses or names, normal form; error: in its own words."""

    found: frozenset[str]
    error: str
    ms: float

    @property
    def outcome(self) -> frozenset[str] | str:
        """What was found, or NOTHING, or FAILURE."""
        if not self.error:
            return self.found
        for outcome, words in _WORDS.items():
            if re.fullmatch(words, self.error):
                return outcome
        return f"unknown error: {self.error}"


@dataclass(frozen=True, slots=True)
class Resolver:
    """
    One resolver.

    command: how it is started, from the folder of what was built. needs: what must be installed,
    see `missing`. kinds: what it can. searches: those for which it walks the search list.
    """

    title: str
    what: str
    command: Callable[[Path], Sequence[str]]
    needs: tuple[str, ...] = ()
    kinds: frozenset[str] = ALL
    searches: frozenset[str] = frozenset()
    build: Sequence[str] = ()
    source: str = ""

    def built(self) -> Path:
        """Build the program, once for each text of it and of this file; return its folder."""
        if not self.build:
            return PROGRAMS
        source = PROGRAMS / self.source
        texts = sorted(source.iterdir()) if source.is_dir() else [source]
        digest = hashlib.sha256(repr(self.build).encode())
        for each in texts:
            digest.update(each.read_bytes())
        folder = _CACHE / "clients" / digest.hexdigest()[:16]
        if not folder.is_dir():
            part = folder.with_name(f"{folder.name}.{os.getpid()}")
            part.mkdir(parents=True)
            environment = os.environ | {"CGO_ENABLED": "0"}
            words = [each.format(out=part, source=source) for each in self.build]
            done = subprocess.run(words, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{' '.join(words)}\n{done.stderr}"
            if folder.is_dir():  # built by another run meanwhile
                shutil.rmtree(part)
            else:
                part.rename(folder)
        return folder


@cache
def missing(needs: tuple[str, ...]) -> str | None:
    """Return which programs or modules of Python (`module:…`) are missing here, or None."""
    lacking = [
        each
        for each in needs
        if (
            find_spec(each.removeprefix(_MODULE)) is None
            if each.startswith(_MODULE)
            else shutil.which(each) is None
        )
    ]
    return f"not installed: {', '.join(lacking)}" if lacking else None


def _python(program: str, *args: str) -> Callable[[Path], Sequence[str]]:
    return lambda folder: [sys.executable, str(folder / program), *args]


def _java(way: str) -> Callable[[Path], Sequence[str]]:
    uncached = [f"-Dsun.net.inetaddr{middle}.ttl=0" for middle in ("", ".negative")]
    return lambda folder: [*_JAVA, *uncached, "-cp", str(folder), "Ask", way]


_JAVAC = ("javac", "-d", "{out}", "{source}")
_FORWARD = frozenset({"addresses"})
GETENT = Resolver(
    "getent", "glibc, a program for each question: getent ahosts, getent hosts",
    _python("glibc.py", "getent"), ("getent",),
    kinds=ALL - {"srv"}, searches=_FORWARD,
)  # fmt: skip
GLIBC = Resolver(
    "python", "glibc, getaddrinfo(), gethostbyaddr(), res_search() of one process",
    _python("glibc.py", "python"),
    searches=frozenset({"addresses", "srv"}),
)  # fmt: skip
MUSL = Resolver(
    "musl", "musl, getaddrinfo(), getnameinfo(), res_query(); its res_search() does not search",
    lambda folder: [str(folder / "musl")], ("musl-gcc",),
    searches=_FORWARD,
    build=("musl-gcc", "-static", "-O1", "-Wall", "-o", "{out}/musl", "{source}"), source="musl.c",
)  # fmt: skip
NODE_LOOKUP = Resolver(
    "node lookup", "Node's dns.lookup(): getaddrinfo() of the C library",
    lambda folder: ["node", str(folder / "ask.js"), "lookup"], ("node",),
    kinds=ALL - {"srv"}, searches=_FORWARD,
)  # fmt: skip
NODE_RESOLVE = Resolver(
    "node resolve", "Node's dns.resolve*(): c-ares, which is told not to search",
    lambda folder: ["node", str(folder / "ask.js"), "resolve"], ("node",),
)  # fmt: skip
AIODNS = Resolver(
    "aiodns", "c-ares by aiodns: ares_getaddrinfo(), which searches, ares_query(); it caches",
    _python("cares.py"), ("module:aiodns",),
    searches=_FORWARD,
)  # fmt: skip
GO = Resolver(
    "go", "Go's own resolver, CGO_ENABLED=0",
    lambda folder: [str(folder / "ask")], ("go",),
    searches=frozenset({"addresses", "srv"}),
    build=("go", "build", "-C", "{source}", "-buildvcs=false", "-trimpath", "-o", "{out}/ask", "."),
    source="go",
)  # fmt: skip
JAVA = Resolver(
    "java", "Java's InetAddress: getaddrinfo() of the C library; its own cache is off here",
    _java("inet"), ("java", "javac"),
    kinds=ALL - {"srv"}, searches=_FORWARD,
    build=_JAVAC, source="Ask.java",
)  # fmt: skip
JNDI = Resolver(
    "jndi", "Java's JNDI provider for DNS, which does not search",
    _java("jndi"), ("java", "javac"),
    build=_JAVAC, source="Ask.java",
)  # fmt: skip
RESOLVERS = (GETENT, GLIBC, MUSL, NODE_LOOKUP, NODE_RESOLVE, AIODNS, GO, JAVA, JNDI)


class Asker:
    """One running resolver. wrapper: the words that bring it into the client's namespace."""

    def __init__(self, resolver: Resolver, wrapper: Sequence[str], log: Path) -> None:
        self.resolver = resolver
        command = [*wrapper, *resolver.command(resolver.built())]
        environment = {k: v for k, v in os.environ.items() if k not in _NOT_FOR_CLIENTS}
        with log.open("ab") as errors:
            self._program = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            )  # fmt: skip
        self._log = log

    def __enter__(self) -> Asker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._program.stdin and self._program.stdout
        self._program.stdin.close()
        try:
            self._program.wait(10)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait()
        self._program.stdout.close()

    def ask(self, name: str, kind: str = "addresses") -> Said:
        """Look a name up, and wait until the resolver has said something."""
        assert self._program.stdin and self._program.stdout
        self._program.stdin.write(f"{kind} {name}\n".encode())
        self._program.stdin.flush()
        poll = select.poll()
        poll.register(self._program.stdout, select.POLLIN)
        assert poll.poll(PATIENCE_S * 1000), f"{self.resolver.title} says nothing about {name}"
        line = self._program.stdout.readline().decode().rstrip("\n")
        assert line.count("\t") == 2, f"{line!r}\n{self._log.read_text()}"
        ms, error, found = line.split("\t")
        return Said(frozenset(map(_normal, found.split())), error, float(ms))


_NOT_FOR_CLIENTS = ("RES_OPTIONS", "LOCALDOMAIN", "GODEBUG", "JAVA_TOOL_OPTIONS", "NODE_OPTIONS")


def _normal(text: str) -> str:
    """Return an address in its shortest form, a name in lower case without the final dot."""
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return text.lower().rstrip(".")
