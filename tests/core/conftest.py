"""The core does no IO: its tests may not open a socket."""

import socket
from typing import Any, NoReturn

import pytest
from hypothesis import settings

settings.register_profile("core", derandomize=True, deadline=None, database=None)
settings.load_profile("core")


class _Refused(socket.socket):
    def __init__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AssertionError("a test in tests/core opens a socket; it belongs in tests/shell")


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every socket."""
    monkeypatch.setattr(socket, "socket", _Refused)
