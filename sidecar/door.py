"""
Who gets which pages on which listener; see access.py for who is an operator.

On each listener stands a door. To operators it opens the pages of operators.py, and the status page
with clients and names; to everybody else the pages of app.py without them. What the status page of
operators shows is read when it is asked for.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from kubedns.serve.http import Renders
from sidecar.access import Answer, Check, Headers, judge
from sidecar.operators import PATHS, POLICY, Operators
from sidecar.replies import Reply, write

log = Logger()

_CHALLENGE = 'Bearer realm="operators"'


class Door:
    """
    One listener. loopback: only this pod reaches it. check: tells whether a token is right.

    everybody, operators: the same pages, without clients and names and with them.
    """

    def __init__(
        self,
        everybody: Renders,
        operators: Renders,
        pages: Operators,
        *,
        loopback: bool,
        check: Check | None,
    ) -> None:
        self._everybody = everybody
        self._operators = operators
        self._pages = pages
        self._loopback = loopback
        self._check = check

    def render(self, request: Any) -> None:
        """Answer a request, or have it answered."""
        path = request.path.decode("ascii", "replace")
        if path not in ("/", *PATHS):
            self._everybody.render(request)
            return
        answer = judge(_headers(request), loopback=self._loopback, check=self._check)
        if path == "/":
            self._index(request, operator=answer.operator)
        elif not answer.operator and not answer.status:
            self._everybody.render(request)  # 404, as for any page that is not there
        elif not answer.operator:
            write(request, _refusal(answer), POLICY)
        elif request.method not in (b"GET", b"HEAD"):
            write(request, Reply("only GET\n", status=405, more={"Allow": "GET, HEAD"}), POLICY)
        else:
            self._pages.render(request)

    def _index(self, request: Any, *, operator: bool) -> None:
        if not operator or request.method not in (b"GET", b"HEAD"):
            self._everybody.render(request)
            return
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)

        def render(_: object) -> None:
            if not gone:
                self._operators.render(request)

        looked = Deferred.fromCoroutine(self._pages.look()).addBoth(render)
        looked.addErrback(lambda failure: log.failure("while making the page", failure))


def _refusal(answer: Answer) -> Reply:
    more = {"WWW-Authenticate": _CHALLENGE} if answer.status == 401 else {}
    return Reply(f"{answer.reason}\n", status=answer.status, more=more)


def _headers(request: Any) -> Headers:
    return Headers(
        host=_header(request, "Host"),
        origin=_header(request, "Origin"),
        fetch_site=_header(request, "Sec-Fetch-Site"),
        fetch_mode=_header(request, "Sec-Fetch-Mode"),
        authorization=_header(request, "Authorization"),
    )


def _header(request: Any, name: str) -> str | None:
    """Return a header; one that comes twice is as good as a wrong one."""
    found = request.requestHeaders.getRawHeaders(name.encode())
    if found is None:
        return None
    said: bytes = found[0] if len(found) == 1 else b"(given twice)"
    return said.decode("latin-1")
