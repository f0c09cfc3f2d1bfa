"""The configuration in force, of both neighbours, and what is wrong with the one that was given."""

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.state import Neighbour
from sidecar.view.told import LONGEST, Told, plain
from sidecar.view.words import NONE, When, moment, when

_MOST = 20  # stub domains, errors, ignored servers
_MOST_SERVERS = 12  # of one domain


@dataclass(frozen=True, slots=True)
class Setting:
    """What the forwarder and kubedns use for one thing."""

    name: str
    forwarder: str
    kubedns: str


@dataclass(frozen=True, slots=True)
class Fault:
    """
    Why something of the configuration is not in force. at: None if it was not told.

    mended: it stands there no more.
    """

    who: str
    text: str
    at: When | None
    mended: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """more: stub domains that are not listed. ignored: servers that are not asked, and why."""

    version: str
    listed: tuple[Setting, ...]
    more: int
    faults: tuple[Fault, ...]
    ignored: tuple[str, ...]


def settings(forwarder: Neighbour | None, kubedns: Neighbour | None, now: float) -> Settings:
    """Return what both say."""
    ours = Told(forwarder.status if forwarder else None)
    theirs = Told(kubedns.status if kubedns else None)
    first, second = ours.inner("config"), theirs.inner("config")
    stubs, others = first.inner("stub_domains"), second.inner("stub_domains")
    domains = list(dict.fromkeys(key for key, _ in (*stubs.items(), *others.items())))
    listed = [
        Setting("upstream nameservers", *_both(first, second, "upstream_nameservers")),
        Setting("resolv.conf", *_both(first, second, "resolv_conf")),
        *(
            Setting(f"stub domain {plain(each)}", _servers(stubs, each), _servers(others, each))
            for each in domains[:_MOST]
        ),
    ]
    return Settings(
        version=first.text("version", 80),
        listed=tuple(listed),
        more=len(domains[_MOST:]),
        faults=tuple(_faults(first, second, now)),
        ignored=tuple(first.texts("ignored_servers")[:_MOST]),
    )


def _both(first: Told, second: Told, key: str) -> tuple[str, str]:
    return _servers(first, key), _servers(second, key)


def _servers(told: Told, key: str) -> str:
    if not told.has(key):
        return NONE
    found = told.texts(key, 100)
    more = len(found) - _MOST_SERVERS
    listed = ", ".join(found[:_MOST_SERVERS]) or "none"
    return f"{listed} and {more} more" if more > 0 else listed


def _faults(forwarder: Told, kubedns: Told, now: float) -> Iterator[Fault]:
    standing = list(forwarder.objects("errors"))
    for each in standing[:_MOST]:
        yield _fault(each, now, mended=False)
    last = forwarder.inner("last_error")
    if last and _words(last) not in map(_words, standing):
        yield _fault(last, now, mended=True)
    errors = [(key, value) for key, value in kubedns.inner("errors").items()]
    for key, value in errors[:_MOST]:
        yield Fault("kubedns", f"{plain(key)}: {plain(value) or NONE}", None)


def _fault(told: Told, now: float, *, mended: bool) -> Fault:
    at = moment(told.text("time"))
    return Fault("dnsmasq", _words(told), None if at is None else when(at, now), mended)


def _words(told: Told) -> str:
    found = [told.text("file") or told.text("key"), told.text("position"), told.text("reason")]
    return plain(": ".join(filter(None, found)) or "no reason told", 2 * LONGEST)
