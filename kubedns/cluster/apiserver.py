"""
The API server: connection, credentials, raw lines. kubernetes.aio on the asyncio reactor.

Of the client only its configuration loaders and one raw REST call are used. Importing it in the
usual way executes the modules of every API and model there is: 30 MB and half a second. So its
packages are entered here by the door, as empty modules that know where their files lie, and the
few files that are used are imported through them. (`kubernetes.aio.client` itself is what pulls
all else in; nothing used here needs it for more than two names.) The loader of kubeconfig files,
with YAML behind it, is imported when there is such a file: a pod has none. And aiohttp is imported
without the system's certificate authorities, which it would read for a context that is not used
here: 150 certificates, 1.6 MB.
"""

import asyncio
import contextlib
import importlib
import importlib.machinery
import os
import random
import socket
import sys
import types
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from kubedns.cluster.listwatch import (
    ApiError,
    Event,
    ListWatch,
    Request,
    State,
    status_text,
)
from kubedns.cluster.objects import Decoded, EndpointNames, Kind, Reader
from kubedns.cluster.supervision import NEVER, deferred
from kubedns.errors import KubednsError


@contextlib.contextmanager
def _without_authorities() -> Iterator[None]:
    """Let nobody find the certificate authorities of the system meanwhile."""
    before = os.environ.copy()
    os.environ.update(SSL_CERT_FILE=os.devnull, SSL_CERT_DIR=os.devnull)
    try:
        yield
    finally:
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            del os.environ[name]
            if name in before:
                os.environ[name] = before[name]


with _without_authorities():
    import aiohttp

log = Logger()

CONNECT_S = 2.0  # a server that comes back must be found within three seconds
LIST_S = 30.0  # between two pieces of a list
PAGE_S = 300.0  # for all of a page; etcd does not keep a version much longer
_LOAD_S = 10.0  # for reading credentials, which a program may give
_SLACK_S = 10.0  # what any step may take beyond its limit before the supervisor acts
_IDLE_S = 1.0  # pages follow at once; a connection that idled may be forgotten on its way
_RELOAD_S = 60.0  # how old credentials may be at the start of a request


class CredentialsError(KubednsError):
    """No way to reach the API server can be read from flags and files."""


def _package(name: str, path: Sequence[str]) -> types.ModuleType:
    """Enter a package by the door: a module that knows its folder and has executed nothing."""
    module = types.ModuleType(name)
    module.__path__ = list(path)
    sys.modules[name] = module
    return module


def _load_client(loader: str) -> tuple[Any, Any, Any]:
    """Import the client's configuration, REST call and one configuration loader, and no more."""
    if "kubernetes" not in sys.modules:
        spec = importlib.machinery.PathFinder.find_spec("kubernetes")
        if spec is None or spec.submodule_search_locations is None:
            raise CredentialsError("the Python package kubernetes is not installed")
        root = spec.submodule_search_locations[0]
        for name in ("", ".aio", ".aio.utils", ".aio.config"):
            _package(f"kubernetes{name}", [str(Path(root, *name.split(".")[1:]))])
        client = _package("kubernetes.aio.client", [str(Path(root, "aio", "client"))])
        configuration = importlib.import_module("kubernetes.aio.client.configuration")
        # What the loaders import from the package; the second is for functions not used here.
        vars(client).update(Configuration=configuration.Configuration, ApiClient=None)
    return (
        importlib.import_module("kubernetes.aio.client.configuration").Configuration,
        importlib.import_module("kubernetes.aio.client.rest").RESTClientObject,
        importlib.import_module(f"kubernetes.aio.config.{loader}"),
    )


@dataclass(frozen=True, slots=True)
class Access:
    """Where the credentials come from; both empty: the pod's service account."""

    kubeconfig: str = ""
    master_url: str = ""


class ApiServer:
    """
    One API server, with credentials that are read anew before they age, and after a 401.

    clock: monotonic seconds.
    """

    def __init__(self, access: Access, clock: Callable[[], float], user_agent: str) -> None:
        self._access = access
        self._clock = clock
        self._user_agent = user_agent
        self._configuration: Any = None
        self._loaded = 0.0
        self._rest: Any = None
        self._identity: tuple[object, ...] = ()
        self._loading = asyncio.Lock()
        self._streams = 0  # responses that are being read
        self._failing_since: float | None = None  # without any response since
        self._Configuration, self._Rest, self._loader = _load_client(
            "kube_config" if access.kubeconfig else "incluster_config"
        )

    async def load(self) -> None:
        """
        Read the credentials.

        Raises:
            CredentialsError: the files or the environment do not give any, in one line.
        """
        configuration = self._Configuration()
        access = self._access
        try:
            if access.kubeconfig:
                Path(access.kubeconfig).read_bytes()  # the loader's words for "not there" mislead
                await self._loader.load_kube_config(
                    access.kubeconfig, client_configuration=configuration
                )
            elif not access.master_url:
                self._loader.load_incluster_config(configuration)
        except Exception as error:  # the loaders raise what their parsers raise: any kind
            raise CredentialsError(self._where(error)) from error
        if access.master_url:
            configuration.host = access.master_url.rstrip("/")
        identity = (
            configuration.host,
            _content(configuration.ssl_ca_cert),
            _content(configuration.cert_file),
            _content(configuration.key_file),
            configuration.verify_ssl,
            configuration.tls_server_name,
        )
        if identity != self._identity:
            last, self._rest = self._rest, _rest_client(self._Rest, configuration)
            self._identity = identity
            if last is not None:
                await last.close()
        self._configuration = configuration
        self._loaded = self._clock()

    def _where(self, error: BaseException) -> str:
        """Name what was read, and for a person at a terminal the ways there are."""
        text = _line(getattr(error, "strerror", None) or error)
        if self._access.kubeconfig:
            return f"--kubecfg-file {self._access.kubeconfig}: {text}"
        return f"in-cluster credentials: {text} (or --kubecfg-file, --kube-master-url, --objects)"

    @property
    def host(self) -> str:
        """Return the URL of the server, for logs."""
        return "" if self._configuration is None else str(self._configuration.host)

    def away_s(self, now: float) -> float | None:
        """
        Return for how many seconds the server has neither replied nor had a response open.

        An error of its own (HTTP 5xx) is no reply: a load balancer in front may have made it.
        """
        return None if self._failing_since is None else now - self._failing_since

    async def close(self) -> None:
        """Close all connections."""
        rest, self._rest = self._rest, None
        if rest is not None:
            await rest.close()

    @contextlib.asynccontextmanager
    async def get(
        self, request: Request, silence_s: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """
        Send a request and give its response, to be read within the block.

        silence_s: how long the server may say nothing.

        Raises:
            ApiError: not reached, refused, or silent for too long; also while the block reads.
        """
        try:
            async with asyncio.timeout(_LOAD_S):
                headers = await self._credentials()
        except TimeoutError as error:
            raise ApiError(f"no credentials within {_LOAD_S:.0f} s") from error
        headers |= {"Accept": "application/json", "User-Agent": self._user_agent}
        # Compression would cost both sides more than loopback or a data centre's network does.
        headers["Accept-Encoding"] = "identity"
        timeout = aiohttp.ClientTimeout(
            total=None, connect=CONNECT_S, sock_connect=CONNECT_S, sock_read=silence_s
        )
        try:
            reply = await self._rest.request(
                "GET",
                f"{self._configuration.host}{request.path}?{urlencode(request.query)}",
                headers=headers,
                _request_timeout=timeout,
            )
            response: aiohttp.ClientResponse = reply.response
            try:
                if response.status >= 500:
                    self._missed()
                else:
                    self._failing_since = None
                if response.status != 200:
                    raise await self._refused(response)
                self._streams += 1
                try:
                    yield response
                finally:
                    self._streams -= 1
            finally:
                response.close()  # nothing, once the body has ended
        except aiohttp.ConnectionTimeoutError as error:
            self._missed()
            raise ApiError(f"{self.host}: no connection within {CONNECT_S:.0f} s") from error
        except TimeoutError as error:
            self._missed()
            raise ApiError(f"{self.host}: no word for {silence_s:.0f} s", silent=True) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._missed()
            raise ApiError(f"{self.host}: {_line(error)}") from error

    def _missed(self) -> None:
        """Note that the server did not reply, or broke off the last response that was open."""
        if not self._streams and self._failing_since is None:
            self._failing_since = self._clock()

    async def page(self, request: Request) -> bytes:
        """
        Send a request and return the body of its response.

        Raises:
            ApiError: as `get`; also when the body comes, but not to an end.
        """
        try:
            async with asyncio.timeout(PAGE_S), self.get(request, LIST_S) as response:
                return await response.read()
        except TimeoutError as error:
            raise ApiError(f"{self.host}: no whole page within {PAGE_S:.0f} s") from error

    def pods(self, path: str, query: dict[str, str]) -> "Deferred[bytes]":
        """Send a request about pods, beside the watches; see `page`."""
        return deferred(self.page(Request(path, query, watch=False)))

    async def _credentials(self) -> dict[str, str]:
        """Return the headers that say who we are, after reading them anew if they are old."""
        async with self._loading:
            if self._rest is None or self._clock() - self._loaded > _RELOAD_S:
                try:
                    await self.load()
                except CredentialsError as error:
                    raise ApiError(str(error)) from error
        return {
            # Some write the file with a newline at its end, which no header may hold.
            setting["key"]: setting["value"].strip()
            for setting in (await self._configuration.auth_settings()).values()
            if setting["value"]
        }

    async def _refused(self, response: aiohttp.ClientResponse) -> ApiError:
        if response.status == 401:
            self._loaded = float("-inf")  # the token may have been rotated
        octets = (await response.content.read(4096)) or b""
        reason = status_text(octets) or _line(response.reason or "")
        try:
            retry_after_s = float(response.headers.get("Retry-After", 0))
        except ValueError:
            retry_after_s = 0.0
        return ApiError(f"HTTP {response.status} {reason}", response.status, retry_after_s)


class Sink(Protocol):
    """Who takes the objects."""

    def listed(self, kind: Kind, objects: list[Decoded]) -> None:
        """All objects of a kind."""

    def changed(self, kind: Kind, events: list[Event], received: float) -> None:
        """Events that arrived together; received is monotonic seconds."""

    def forbidden(self, kind: Kind, reason: str) -> None:
        """The kind may not be read now; said once, and again after it could be."""

    def failing(self, kind: Kind, reason: str) -> None:
        """A request failed; it will be tried again."""


class Reflector:
    """
    Keeps one kind of object in step with the API server; see listwatch.py for its states.

    overdue_at: when the next word is due, or the next step; see supervision.py.
    """

    def __init__(
        self,
        server: ApiServer,
        kind: Kind,
        sink: Sink,
        *,
        clock: Callable[[], float],
        naming: EndpointNames,
        silence_s: float,
        forbidden_retry_s: float,
        rng: random.Random,
        one: tuple[str, str] | None = None,
    ) -> None:
        """silence_s: how long a watch may say nothing; one: see ListWatch."""
        self.kind = kind
        self.name = kind.value
        self.overdue_at = NEVER
        self.machine = ListWatch(
            Reader(kind, naming), rng=rng, forbidden_retry_s=forbidden_retry_s, one=one
        )
        self._server = server
        self._sink = sink
        self._clock = clock
        self._silence_s = silence_s

    async def run(self) -> None:
        """List and watch until cancelled."""
        machine = self.machine
        while True:
            if machine.pause_s:
                self.overdue_at = self._clock() + machine.pause_s + _SLACK_S
                await asyncio.sleep(machine.pause_s)
                machine.pause_s = 0.0
            now = self._clock()
            request = machine.request(now)
            limit = self._silence_s if request.watch else PAGE_S
            self.overdue_at = now + _LOAD_S + CONNECT_S + limit + _SLACK_S
            try:
                await (self._watch(request) if request.watch else self._list(request))
            except ApiError as error:
                self._failed(error)
            except Exception as error:  # one bad reply must not end the watching of a kind
                log.failure("while reading {kind}", kind=self.kind.value)
                # Events may be lost half-way: list again, which brings them once more.
                self._failed(ApiError(_line(error), status=410))

    def interrupted(self, reason: str) -> None:
        """Note that `run` was ended: events may be lost half-way, so all is listed again."""
        self._failed(ApiError(reason, status=410))

    def _failed(self, error: ApiError) -> None:
        was = self.machine.state
        self.machine.failed(error, self._clock())
        try:
            if self.machine.state is State.FORBIDDEN:
                self._sink.forbidden(self.kind, str(error))
            elif was is not State.WATCHING or not (error.status == 410 or error.silent):
                # Of a kind that never changes some servers say nothing for minutes; if the way to
                # them is broken, the next request tells.
                self._sink.failing(self.kind, str(error))
        except Exception:  # this is the last place: nobody would watch the kind any more
            log.failure("while giving {kind} up for now", kind=self.kind.value)

    async def _list(self, request: Request) -> None:
        octets = await self._server.page(request)
        objects = self.machine.listed(octets, self._clock())
        if objects is not None:
            self._sink.listed(self.kind, objects)

    async def _watch(self, request: Request) -> None:
        async with self._server.get(request, self._silence_s) as response:
            async for piece in response.content.iter_any():
                received = self._clock()
                events = self.machine.received(piece, received)
                if self.machine.heard == received:  # a whole line, at least a bookmark
                    self.overdue_at = received + self._silence_s + _SLACK_S
                if events:
                    self._sink.changed(self.kind, events, received)
                self.machine.check()
        self.machine.ended(self._clock())


def _rest_client(rest_class: Any, configuration: Any) -> Any:
    """Make the client's REST object with sockets that notice a dead peer."""

    class Rest(rest_class):  # type: ignore[misc]
        def _create_connector(self) -> aiohttp.TCPConnector:
            return aiohttp.TCPConnector(
                limit=self.maxsize,
                ssl=self.ssl_context,
                socket_factory=_keepalive_socket,
                keepalive_timeout=_IDLE_S,
            )

    return Rest(configuration)


def _keepalive_socket(info: Any) -> socket.socket:
    """
    Make a TCP socket that gives a vanished peer up after about 15 s.

    Without it a half-open connection (node gone, NAT entry dropped) looks like a quiet watch.
    """
    family, kind, protocol, *_ = info
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15_000)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _content(path: str | None) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def _line(error: object) -> str:
    """Write an error as one escaped line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.encode("unicode_escape").decode("ascii")[:300]
