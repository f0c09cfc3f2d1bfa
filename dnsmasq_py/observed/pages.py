"""
/top, /recorder and /findings: what was asked, by whom; for operators alone.

/recorder is made piece by piece, as the client reads it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dnsmasq_py.observed import pcap, records
from dnsmasq_py.observed.recorder import Recorder
from dnsmasq_py.observed.watch import Observed
from kubedns.serve import http

JSON_LINES = "application/jsonl"
MOST = 100
_USUAL = 10
_FORMATS = ("jsonl", "pcap", "summary")
_WHICH = ("live", "burst")


def pages(observed: Observed | None) -> dict[str, http.Asking | Callable[[], http.Page]]:
    """Return them by path; none where nothing is recorded."""
    if observed is None:
        return {}
    return {
        "/top": http.with_query(lambda asked: _top(observed, asked)),
        "/recorder": http.with_query(lambda asked: _recorder(observed.recorder, asked)),
        "/findings": lambda: as_page({"findings": observed.found()}),
    }


def as_page(told: Any) -> http.Page:
    """Return JSON as a page."""
    return http.Page(json.dumps(told, indent=2) + "\n", media_type=http.JSON)


def how_many(asked: Mapping[str, str]) -> int | http.Page:
    """Return `n` of a query string, or what to say if it is none."""
    text = asked.get("n", str(_USUAL))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
    return number if 1 <= number <= MOST else http.bad_request(f"n: must be 1 to {MOST}")


def which(asked: Mapping[str, str]) -> tuple[str, str] | http.Page:
    """Return `format` and `which` of a query string, or what to say if they are none."""
    form = asked.get("format", _FORMATS[0])
    part = asked.get("which", _WHICH[0])
    if form not in _FORMATS:
        return http.bad_request(f"format: must be one of {', '.join(_FORMATS)}")
    if part not in _WHICH:
        return http.bad_request(f"which: must be one of {', '.join(_WHICH)}")
    return form, part


def _top(observed: Observed, asked: Mapping[str, str]) -> http.Page:
    most = how_many(asked)
    return most if isinstance(most, http.Page) else as_page(observed.top(most))


def _recorder(recorder: Recorder, asked: Mapping[str, str]) -> http.Page:
    wanted = which(asked)
    if isinstance(wanted, http.Page):
        return wanted
    form, part = wanted
    if form == "summary":
        return as_page(recorder.summary())
    pieces, offset = recorder.live(), recorder.offset
    if part == "burst":
        if recorder.burst is None:
            return http.Page("there was no burst\n", 404)
        pieces, offset = recorder.kept(recorder.burst), recorder.burst.offset
    if form == "pcap":
        return http.Page(_pcap(pieces, offset), media_type=pcap.MEDIA_TYPE)
    return http.Page(_lines(pieces, offset), media_type=JSON_LINES)


def _lines(pieces: Iterator[list[records.Record]], offset: float) -> Iterator[str]:
    for piece in pieces:
        yield "".join(records.line(record, offset) for record in piece)


def _pcap(pieces: Iterator[list[records.Record]], offset: float) -> Iterator[bytes]:
    yield pcap.HEAD
    for piece in pieces:
        yield pcap.packets(piece, offset)
