"""Times, ages and numbers as an operator reads them; UTC."""

import calendar
import time
from dataclasses import dataclass

NONE = "—"  # for a value that nobody told
_FAR_S = 20 * 3600.0  # from here on a time needs its date


@dataclass(frozen=True, slots=True)
class When:
    """A moment. iso: for machines; text: for eyes; ago: how long ago that is."""

    iso: str
    text: str
    ago: str


def when(at: float, now: float) -> When:
    """Write a moment; both are seconds since the epoch."""
    moment = time.gmtime(at)
    iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", moment)
    form = "%H:%M:%S UTC" if abs(now - at) < _FAR_S else "%Y-%m-%d %H:%M:%S UTC"
    return When(iso, time.strftime(form, moment), ago(now - at))


def moment(text: str) -> float | None:
    """Read a time as our pages write it: seconds since the epoch; None if it is none."""
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return None


def ago(seconds: float) -> str:
    """Write how long ago something was."""
    return f"{span(max(0.0, seconds))} ago"


def span(seconds: float) -> str:
    """Write a length of time, in its two largest units at most."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return _two(whole // 3600, "h", whole % 3600 // 60, "min")
    return _two(whole // 86400, "d", whole % 86400 // 3600, "h")


def _two(many: int, unit: str, rest: int, small: str) -> str:
    return f"{many} {unit} {rest} {small}" if rest else f"{many} {unit}"


def count(number: float | None) -> str:
    """Write a whole number."""
    return NONE if number is None else f"{int(number):,}"


def counted(number: int, noun: str, nouns: str = "") -> str:
    """Write how many there are of something; nouns: of many, if not with an s."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def milliseconds(number: float | None) -> str:
    """Write milliseconds, in seconds if they are many."""
    if number is None:
        return NONE
    if number >= 1000:
        return f"{number / 1000:,.1f} s"
    return f"{number:.1f} ms" if number < 100 else f"{number:.0f} ms"


def octets(number: float | None) -> str:
    """Write a size in memory."""
    if number is None:
        return NONE
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:,.1f} GiB"


def percent(share: float | None) -> str:
    """Write a share of one."""
    return NONE if share is None else f"{100 * share:.1f} %"


def per_second(rate: float | None) -> str:
    """Write how often something happens."""
    if rate is None:
        return NONE
    return f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.1f}/s"
