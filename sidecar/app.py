"""
The pages, with Flask.

/healthcheck/<label>   liveness of one server, JSON as the original's
/healthz               is the pod well: 200 or 503, with all reasons, as JSON or text; not for
                       liveness, for it fails when the API server or an upstream does
/readyz                should queries come: 200 or 503
/metrics               Prometheus (--prometheus-path)
/                      the status page; /?part=live: what changes of it

The status page is there twice: for everybody, and for operators with clients and names that were
asked for; door.py knows who is who, and has the pages that are for operators alone.

They only read State, whose values are frozen, so they run in threads and wait for nobody.
"""

import json
import logging
from collections.abc import Callable

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException

from kubedns.serve.http import JSON, METRICS, PLAIN
from sidecar import page, report, verdict
from sidecar.replies import HTML, headers
from sidecar.state import State

log = logging.getLogger(__name__)


def create_app(
    state: State,
    metrics: Callable[[], bytes],
    wall: Callable[[], float],
    metrics_path: str = "/metrics",
    *,
    operator: bool = False,
) -> Flask:
    """Return the application. wall: seconds since the epoch. operator: with the operators' page."""
    app = Flask(__name__, static_folder=None, template_folder=None)
    app.url_map.merge_slashes = False  # no redirects: what is not a page is none

    def get(path: str, view: Callable[..., Response]) -> None:
        app.add_url_rule(path, path, view, methods=["GET"], provide_automatic_options=False)

    def index() -> Response:
        live = request.args.get("part") == "live"
        make = page.fragment if live else page.render
        return _reply(make(state, wall(), operator=operator), HTML)

    def healthz() -> Response:
        told = verdict.healthz(state)
        if _wants_text():
            return _text(told)
        body = json.dumps(report.healthz(state, wall()), indent=2) + "\n"
        return _reply(body, JSON, 200 if told.well else 503)

    def healthcheck(label: str) -> Response:
        health = state.health.get(label)
        if health is None:
            abort(404)
        return _reply(report.healthcheck(health), JSON, 200 if health.alive else 503)

    get("/", index)
    get("/healthz", healthz)
    get("/readyz", lambda: _text(verdict.readyz(state)))
    get("/healthcheck/<label>", healthcheck)
    get(metrics_path, lambda: _reply(metrics(), METRICS))
    app.register_error_handler(HTTPException, _error)
    app.register_error_handler(Exception, _fault)
    policy = page.OPERATORS_SECURITY_POLICY if operator else page.CONTENT_SECURITY_POLICY
    always = headers(policy)

    def harden(reply: Response) -> Response:
        reply.headers.update(always)
        return reply

    app.after_request(harden)
    return app


def _reply(body: str | bytes, media_type: str, status: int = 200) -> Response:
    octets = body.encode("utf-8", "replace") if isinstance(body, str) else body
    return Response(octets, status, content_type=media_type)


def _text(told: verdict.Verdict) -> Response:
    """Write a verdict as lines; the first one starts with `ok` if it is good."""
    return _reply("\n".join(told.reasons or ("ok",)) + "\n", PLAIN, 200 if told.well else 503)


def _wants_text() -> bool:
    """Tell whether to write text: if it is asked for, in the query or by Accept."""
    wanted = request.args.get("format", "")
    if wanted in ("text", "json"):
        return wanted == "text"
    accept = request.accept_mimetypes
    return accept.quality("text/plain") > accept.quality("application/json")


def _error(error: HTTPException) -> Response:
    said = {404: "404 page not found", 405: "only GET"}
    reply = _reply(f"{said.get(error.code or 500, error.name)}\n", PLAIN, error.code or 500)
    if error.code == 405:
        reply.headers["Allow"] = "GET, HEAD"
    return reply


def _fault(error: Exception) -> Response:
    log.error("while making the page %r", request.path[:100], exc_info=error)
    return _reply("internal error, see the log\n", PLAIN, 500)
