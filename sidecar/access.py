"""
Who is an operator, and how much they may ask for.

Names that are asked for, and who asks for them, are for operators: who reaches the loopback
listener (kubectl exec, kubectl port-forward), and elsewhere who has the token. A page in an
operator's browser is nobody: it may send requests to loopback addresses, by names of its own too
(DNS rebinding), so Host must be a loopback one, and what another site starts is refused.
"""

import errno
import hashlib
import hmac
import logging
import stat
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from math import inf
from pathlib import Path

from kubedns.nameserver import ip_text, split_host_port

log = logging.getLogger(__name__)

_MAX_TOKEN = 4096


class Bucket:
    """Lets so many pass in a second, and so many at once. now: monotonic seconds."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._at = -inf

    def take(self, now: float) -> float:
        """Take one and return 0, or return how many seconds to wait for one."""
        since_s = max(0.0, now - self._at)
        self._left = min(float(self._burst), self._left + since_s * self._rate)
        self._at = now
        if self._left >= 1.0:
            self._left -= 1.0
            return 0.0
        return (1.0 - self._left) / self._rate


class TokenFile:
    """
    The token of the operators, read again when its file changes.

    A file that is missing, empty or too large lets nobody in; that is logged once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | str | None = None
        self._digest: bytes | None = None

    def fits(self, token: bytes) -> bool:
        """Tell whether it is the token; as long for a wrong one as for the right one."""
        self._look()
        given = hashlib.sha256(token).digest()
        return self._digest is not None and hmac.compare_digest(given, self._digest)

    def _look(self) -> None:
        seen: tuple[int, int, int] | str
        try:
            found = self._path.stat()
            seen = found.st_mtime_ns, found.st_size, found.st_ino
            if seen == self._seen:
                return
            if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for
                raise OSError(errno.EINVAL, "it is no file")
            # From here on a change is seen at the next look.
            with self._path.open("rb") as opened:
                token = opened.read(_MAX_TOKEN + 1).strip()
            why = "" if token else "it is empty"
            if len(token) > _MAX_TOKEN:
                token, why = b"", "it is too large"
        except OSError as error:
            token, why = b"", error.strerror or str(error)
            seen = why
        if why and self._seen != seen:
            log.warning("no token of operators in %s: %s; nobody is let in", self._path, why)
        self._seen = seen
        self._digest = hashlib.sha256(token).digest() if token else None


@dataclass(frozen=True, slots=True)
class Headers:
    """What a request says of itself; None: it does not say it."""

    host: str | None = None
    origin: str | None = None
    fetch_site: str | None = None
    fetch_mode: str | None = None
    authorization: str | None = None


def bearer(headers: Headers) -> bytes | None:
    """Return the token that a request brings."""
    scheme, _, token = (headers.authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    return token.strip().encode("latin-1", "replace")


def foreign(headers: Headers) -> str:
    """Return why a request to a loopback listener is not an operator's own; empty: it is."""
    if headers.host is not None and not _is_loopback(headers.host):
        return "the Host of a request to this port must be localhost or a loopback address"
    if headers.origin not in (None, "null") and not _is_loopback(_of_origin(headers.origin or "")):
        return "a page of another site asks"
    cross = headers.fetch_site in ("cross-site", "same-site")
    if (cross and headers.fetch_mode != "navigate") or headers.origin == "null":
        return "a page of another site asks"
    return ""


def _of_origin(origin: str) -> str:
    return origin.partition("://")[2]


def _is_loopback(authority: str) -> bool:
    """Tell whether `host`, `host:port` or `[IPv6]:port` is localhost or a loopback address."""
    text = authority.strip().lower()
    host = split_host_port(text)[0] or text.removeprefix("[").removesuffix("]")
    if host in ("localhost", "localhost."):
        return True
    address = ip_text(host)
    return address is not None and ip_address(address).is_loopback


Check = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """operator: let in. status, reason: of the refusal; 0: as if there were no such page."""

    operator: bool
    status: int = 0
    reason: str = ""


def judge(headers: Headers, *, loopback: bool, check: Check | None) -> Answer:
    """
    Decide on a request for a page of the operators.

    check: tells whether a token is the right one; None: there is none, and outside of the loopback
    listener there are no such pages.
    """
    token = bearer(headers)
    if check is not None and token is not None and check(token):
        return Answer(True)
    if loopback:
        why = foreign(headers)
        return Answer(False, 403, why) if why else Answer(True)
    if check is None:
        return Answer(False)
    return Answer(False, 401, "this is for operators: give their token (Authorization: Bearer)")
