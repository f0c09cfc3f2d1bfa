"""Flask's pages behind kubedns.serve.http: Twisted's WSGI container, its threads, our bounds."""

from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.python.threadpool import ThreadPool
from twisted.web.http import datetimeToString
from twisted.web.wsgi import WSGIResource


class WebApplication:
    """Renders requests by a WSGI application, in the threads of a pool."""

    def __init__(self, reactor: Any, threads: ThreadPool, application: Any) -> None:
        self._resource = WSGIResource(reactor, threads, application)

    def render(self, request: Any) -> None:
        """Have a request answered; it gets what a site of Twisted's would have given it."""
        request.prepath = []
        request.postpath = [unquote_to_bytes(part) for part in request.path[1:].split(b"/")]
        request.setHeader("Date", datetimeToString())
        self._resource.render(request)
