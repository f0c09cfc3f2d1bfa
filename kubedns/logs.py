"""
Logging: one format for our own lines and those of the libraries, klog's, in UTC, to standard error.

    I1121 06:57:52.816170    3548 kubedns.cluster.source] listed 12 services
"""

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    LogEvent,
    LogLevel,
    PredicateResult,
    formatEvent,
    globalLogBeginner,
)

_DEBUG_LEVEL = 4  # of --v
_LETTERS = {"debug": "I", "info": "I", "warn": "W", "error": "E", "critical": "E"}


def begin(
    verbosity: int,
    packages: tuple[str, ...] = ("kubedns",),
    also: Callable[[LogEvent], None] | None = None,
    out: Any = sys.stderr,
    tells: Callable[[LogEvent], bool] = lambda event: True,
) -> None:
    """
    Send all logging to standard error, or to `out`, which has its write() and flush().

    verbosity: that of --v, 4 and more shows debugging. packages: ours, whose information is worth
    telling; of others only warnings are. also: hears of everything that is told. tells: of all
    that, whether it is written.
    """
    handler = logging.StreamHandler(out)
    handler.setFormatter(_Klog())
    level = logging.DEBUG if verbosity >= _DEBUG_LEVEL else logging.WARNING
    logging.basicConfig(level=level, handlers=[handler], force=True)

    def wanted(event: LogEvent) -> Any:
        level = event.get("log_level", LogLevel.info)
        ours = event.get("log_namespace", "").startswith(packages)
        quiet = level < (LogLevel.info if ours else LogLevel.warn)
        return PredicateResult.no if quiet and verbosity < _DEBUG_LEVEL else PredicateResult.yes

    def written(event: LogEvent) -> Any:
        return wanted(event) if tells(event) else PredicateResult.no

    lines: Any = FileLogObserver(out, _klog)  # zope's interfaces do not type-check
    predicates: Any = [wanted]
    observer: Any = FilteringLogObserver(lines, [written])  # type: ignore[list-item]
    observers = [observer]
    if also is not None:
        observers.append(FilteringLogObserver(also, predicates))  # type: ignore[arg-type]
    globalLogBeginner.beginLoggingTo(observers, redirectStandardIO=False)


def _klog(event: LogEvent) -> str:
    text = formatEvent(event)
    failure = event.get("log_failure")
    if failure is not None:
        text += "\n" + failure.getTraceback().rstrip()
    level = event.get("log_level", LogLevel.info).name
    return _line(_LETTERS[level], event["log_time"], event.get("log_namespace", "-"), text) + "\n"


class _Klog(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return _line(record.levelname[0], record.created, record.name, text)


def _line(letter: str, when: float, where: str, text: str) -> str:
    stamp = time.strftime("%m%d %H:%M:%S", time.gmtime(when))
    return f"{letter}{stamp}.{int(when % 1 * 1e6):06d} {os.getpid():7d} {where}] {text}"
