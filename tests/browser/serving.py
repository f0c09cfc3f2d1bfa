"""The sidecar's pages over a State that the test holds, served by a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from sidecar import page
from sidecar.app import create_app
from sidecar.explain.shapes import Explanation
from sidecar.state import State
from tests.browser.states import NOW
from tests.realapi.ports import free_port


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass


class Serving:
    """state, now: what the pages show from the next request on. asked: paths with their queries."""

    operator = False

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
        app = create_app(self.state, lambda: b"", lambda: self.now, operator=self.operator)
        return app(environ, start_response)


class Operating(Serving):
    """
    The pages of the operators' listener; /explain is a fake of it.

    found: what each question is explained with; a text: why it is not. held: while it is cleared
    explanations wait. got: the queries of /explain.
    """

    operator = True

    def __init__(self, state: State, found: Explanation | str) -> None:
        self.found = found
        self.held = threading.Event()
        self.held.set()
        self.got: list[Mapping[str, str]] = []
        super().__init__(state)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/explain":
            return super()._answer(environ, start_response)
        request = Request(environ)
        self.asked.append(request.full_path)
        return self._explain(request.args)(environ, start_response)

    def _explain(self, form: Mapping[str, str]) -> Response:
        self.got.append(dict(form))
        self.held.wait(60)
        found, problem = (None, self.found) if isinstance(self.found, str) else (self.found, "")
        if not form.get("name"):
            found, problem = None, ""
        part = form.get("part") == "1"
        made = page.explained(form, found, problem, self.now, part=part)
        policy = {"Content-Security-Policy": page.OPERATORS_SECURITY_POLICY}
        octets = made.encode("utf-8", "replace")
        status = 400 if problem else 200
        return Response(octets, status, policy, content_type="text/html; charset=utf-8")
