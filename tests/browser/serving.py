"""The sidecar's pages over a State that the test holds, served by a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from sidecar.app import create_app
from sidecar.state import State
from tests.browser.states import NOW
from tests.realapi.ports import free_port


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass


class Serving:
    """state, now: what the pages show from the next request on. asked: paths with their queries."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.now = NOW
        self.asked: list[str] = []
        self._port = free_port()
        self.start()

    @property
    def url(self) -> str:
        """Return the address of the status page."""
        return f"http://127.0.0.1:{self._port}/"

    def start(self) -> None:
        """Serve, on the same port each time."""
        self._server = make_server(
            "127.0.0.1", self._port, self._answer, threaded=True, request_handler=_Quiet
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING", "")
        self.asked.append(environ["PATH_INFO"] + (f"?{query}" if query else ""))
        app = create_app(self.state, lambda: b"", lambda: self.now)
        return app(environ, start_response)
