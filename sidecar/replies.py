"""What each reply carries, and one reply written to a request of Twisted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from twisted.web.http import datetimeToString

from kubedns.serve.http import JSON, PLAIN

HTML = "text/html; charset=utf-8"
__all__ = ["HTML", "JSON", "PLAIN", "Reply", "head", "headers", "write"]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole one. more: further headers."""

    body: str
    media_type: str = PLAIN
    status: int = 200
    more: Mapping[str, str] = field(default_factory=dict)


def headers(policy: str) -> dict[str, str]:
    """Return the headers of all replies: nothing is kept, guessed, embedded or told onwards."""
    return {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def head(request: Any, reply: Reply, policy: str) -> None:
    """Write all but the body."""
    # Twisted's own words for it are older than some of the numbers.
    request.setResponseCode(reply.status, HTTPStatus(reply.status).phrase.encode())
    request.setHeader("Date", datetimeToString())
    request.setHeader("Content-Type", reply.media_type)
    for name, value in {**headers(policy), **reply.more}.items():
        request.setHeader(name, value)


def write(request: Any, reply: Reply, policy: str) -> None:
    """Write all of it, and be done with the request."""
    octets = reply.body.encode("utf-8", "replace")
    head(request, reply, policy)
    request.setHeader("Content-Length", str(len(octets)))
    request.write(octets)
    request.finish()
