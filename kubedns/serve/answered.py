"""
What both sides of a query agree on: those that carry it, and those that answer it.

A leaf, so that a process that carries queries of its own need not import kubedns' answers.
"""

from collections.abc import Awaitable

Answered = bytes | Awaitable[bytes] | None
"""The reply, now or later; None: there is none."""

TCP_IDLE_S = 10.0
"""How long a connection may be idle; what replies over TCP say (RFC 7828)."""
