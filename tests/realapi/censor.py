"""A way to the API server on which events get lost, without any sign of it."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import ssl
import threading
from collections.abc import Callable
from types import TracebackType

from tests.realapi.controlplane import ControlPlane


class Censor:
    """
    Passes requests on to the API server as the administrator, whoever asks, over plain HTTP.

    hidden: an event whose line holds one of these texts is left out of every watch.
    before_page: called with the path and query of every page of a list that is asked for.
    """

    def __init__(self, control_plane: ControlPlane) -> None:
        config = json.loads(control_plane.kubeconfig().read_text())
        self.hidden: set[bytes] = set()
        self.swallowed = 0
        self.before_page: Callable[[str], None] = lambda _: None
        censor = self

        class Front(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                censor._pass_on(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._port = control_plane.port
        self._tls = ssl.create_default_context(cafile=control_plane.authority)
        self._token = config["users"][0]["user"]["token"]
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Censor:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _pass_on(self, front: http.server.BaseHTTPRequestHandler) -> None:
        watch = "watch=1" in front.path
        if not watch:
            self.before_page(front.path)
        far = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=400, context=self._tls)
        headers = {
            "Authorization": f"Bearer {self._token}",
            "User-Agent": front.headers.get("User-Agent", ""),
        }
        with contextlib.closing(far), contextlib.suppress(OSError, http.client.HTTPException):
            try:
                far.request("GET", front.path, headers=headers)
                response = far.getresponse()
            except OSError:
                front.send_error(502)
                return
            front.send_response(response.status)
            front.end_headers()
            if not watch:
                front.wfile.write(response.read())
                return
            while line := response.readline():
                if any(text in line for text in self.hidden):
                    self.swallowed += 1
                else:
                    front.wfile.write(line)
