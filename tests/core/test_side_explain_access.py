"""Who is an operator, and how much they may ask for."""

import os
from pathlib import Path

import pytest

from sidecar.access import Answer, Bucket, Headers, TokenFile, judge

GOOD = Answer(True)
NO_PAGE = Answer(False)


def right(token: bytes) -> bool:
    """Tell whether it is the token."""
    return token == b"secret"


@pytest.mark.parametrize(
    ("headers", "check", "status"),
    [
        (Headers(), None, 0),
        (Headers(authorization="Bearer secret"), None, 0),
        (Headers(), right, 401),
        (Headers(authorization="Bearer wrong"), right, 401),
        (Headers(authorization="Bearer "), right, 401),
        (Headers(authorization="Basic secret"), right, 401),
        (Headers(authorization="secret"), right, 401),
        (Headers(authorization="Bearer s\u20acret"), right, 401),
    ],
)
def test_elsewhere_nobody_without_the_token(headers: Headers, check: object, status: int) -> None:
    """401 if there is one, and as if there were no such page if there is none."""
    found = judge(headers, loopback=False, check=check)  # type: ignore[arg-type]
    assert (found.operator, found.status) == (False, status)


@pytest.mark.parametrize("text", ["Bearer secret", "bearer  secret ", "BEARER secret"])
def test_the_token(text: str) -> None:
    """Opens both listeners, under any Host."""
    headers = Headers(host="kube-dns.example", authorization=text)
    assert judge(headers, loopback=False, check=right) == GOOD
    assert judge(headers, loopback=True, check=right) == GOOD


@pytest.mark.parametrize(
    "headers",
    [
        Headers(),
        Headers(host="localhost"),
        Headers(host="LOCALHOST:10058"),
        Headers(host="127.0.0.1:10058"),
        Headers(host="127.1.2.3"),
        Headers(host="[::1]:10058"),
        Headers(host="[::1]"),
        Headers(host="localhost", origin="http://localhost:10058", fetch_site="same-origin"),
        Headers(host="localhost", fetch_site="none", fetch_mode="navigate"),
        Headers(host="localhost", fetch_site="cross-site", fetch_mode="navigate"),
    ],
)
def test_who_reaches_the_loopback_listener(headers: Headers) -> None:
    """kubectl exec and port-forward, curl, a browser there; a link to it may be followed."""
    assert judge(headers, loopback=True, check=None) == GOOD


@pytest.mark.parametrize(
    "headers",
    [
        Headers(host="evil.example"),
        Headers(host="localhost.evil.example"),
        Headers(host="127.0.0.1.evil.example:10058"),
        Headers(host="10.1.2.3:10058"),
        Headers(host=""),
        Headers(host="localhost", origin="https://evil.example"),
        Headers(host="localhost", origin="null"),
        Headers(host="localhost", fetch_site="cross-site", fetch_mode="no-cors"),
        Headers(host="localhost", fetch_site="same-site", fetch_mode="cors"),
    ],
)
def test_pages_of_other_sites_are_nobody(headers: Headers) -> None:
    """Neither by a name of theirs that leads here, nor by requests from an operator's browser."""
    assert judge(headers, loopback=True, check=right).status == 403


def test_a_bucket() -> None:
    """A burst, then so many in a second; and how long to wait."""
    bucket = Bucket(5, 3)
    assert [bucket.take(100.0) for _ in range(3)] == [0, 0, 0]
    assert bucket.take(100.0) == pytest.approx(0.2)
    assert bucket.take(100.2) == 0
    assert bucket.take(100.2) > 0
    assert [bucket.take(900.0) for _ in range(4)][:3] == [0, 0, 0]


def test_a_clock_that_goes_back() -> None:
    """Gives nobody more, and locks nobody out."""
    bucket = Bucket(1, 1)
    assert bucket.take(100.0) == 0
    assert bucket.take(50.0) > 0
    assert bucket.take(51.5) == 0


def test_the_token_file_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is read again; missing or empty it lets nobody in, which is logged once."""
    path = tmp_path / "token"
    token = TokenFile(path)
    assert not token.fits(b"")
    assert not token.fits(b"secret")
    assert len(caplog.records) == 1
    path.write_text("secret\n")
    assert token.fits(b"secret")
    assert not token.fits(b"secret\n")
    new = tmp_path / "new"
    new.write_text("other\n")
    new.replace(path)
    assert not token.fits(b"secret")
    assert token.fits(b"other")
    path.write_text(" \n")
    os.utime(path, ns=(1, 1))
    assert not token.fits(b"")
    path.write_bytes(b"x" * 5000)
    assert not token.fits(b"x" * 5000)
    assert "other" not in caplog.text
