"""Pages that are made later, out of what others tell."""

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from kubedns.serve import http
from tests.shell.test_http import Client


def test_a_page_is_sent_when_it_is_there() -> None:
    page: Deferred[http.Page] = Deferred()
    client = Client(http.site({"/x": lambda: page}, Clock()))
    assert client.sends("GET /x HTTP/1.0") == b""
    page.callback(http.Page("ok\n"))
    assert client.transport.value().startswith(b"HTTP/1.0 200")
    assert client.transport.value().endswith(b"\r\n\r\nok\n")


def test_a_fault_that_comes_later_is_a_500() -> None:
    """And its traceback is for the log alone."""
    page: Deferred[http.Page] = Deferred()
    client = Client(http.site({"/x": lambda: page}, Clock()))
    client.sends("GET /x HTTP/1.0")
    page.errback(Failure(ValueError("secret")))
    reply = client.transport.value()
    assert reply.startswith(b"HTTP/1.0 500")
    assert b"secret" not in reply


def test_who_has_gone_meanwhile_gets_nothing() -> None:
    page: Deferred[http.Page] = Deferred()
    client = Client(http.site({"/x": lambda: page}, Clock()))
    client.sends("GET /x HTTP/1.0")
    client.channel.connectionLost(Failure(ConnectionDone()))
    page.callback(http.Page("ok\n"))
    assert client.transport.value() == b""
