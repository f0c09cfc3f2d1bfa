"""
Where the configuration comes from: the ConfigMap's folder and resolv.conf.

Whatever changes, `changed` is called, and `configured` and `resolv_conf` hold what is in force. A
bad key of the ConfigMap keeps its last good value, and is told of once; what cannot be read at all
is told of once a minute, as long as that is so.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.logger import Logger

from dnsmasq_py import extensions
from dnsmasq_py.extensions import Configured, Extensions
from dnsmasq_py.options import Options
from dnsmasq_py.server import Server
from dnsmasq_py.state import Problem, State
from kubedns.config import Config, ConfigError, apply, parse_resolv_conf
from kubedns.configdir import ConfigDir, FileWatch, version_of

log = Logger()

_RESOLV_CONF_S = 1.0
_REPEAT_S = 60.0


class Sources:
    """zones: the cluster's, as text; changed: see the head of this module."""

    def __init__(
        self,
        options: Options,
        state: State,
        zones: list[str],
        changed: Callable[[], None],
        reactor: Any,
    ) -> None:
        self.configured = Configured()
        self._options = options
        self._state = state
        self._zones = zones
        self._changed = changed
        self._config = Config()
        self._extensions = Extensions()
        self._resolv_conf: dict[str, tuple[Server, ...]] = {}
        self._latest = ""  # the resolv.conf that changed last
        self._told: set[str] = set()  # warnings of the last configuration
        self._reactor = reactor
        self._complaints: dict[str, tuple[str, float]] = {}  # by path: what, and when it was told
        self._started = False
        self._watches: list[ConfigDir | FileWatch] = [
            ConfigDir(
                options.config_dir,
                options.sync_interval_s,
                reactor,
                self._config_changed,
                partial(self._unreadable, options.config_dir),
            )
        ]
        if not options.no_resolv:
            period = 0.0 if options.no_poll else _RESOLV_CONF_S
            self._watches += [
                FileWatch(
                    path,
                    period,
                    reactor,
                    partial(self._resolv_conf_changed, path),
                    partial(self._unreadable, path),
                )
                for path in options.resolv_files
            ]

    @property
    def resolv_conf(self) -> tuple[Server, ...]:
        """Return the servers of the resolv.conf that changed last, as dnsmasq does."""
        return self._resolv_conf.get(self._latest, ())

    def start(self) -> None:
        """Read everything, then call `changed` once; from then on whenever something changes."""
        for watch in self._watches:
            watch.start()
        self._started = True
        self._changed()

    async def stop(self) -> None:
        """Watch nothing any more."""
        for watch in self._watches:
            watch.stop()

    def _config_changed(self, data: Mapping[str, str]) -> None:
        self._config, errors, warnings = apply(data, self._config, zones=self._zones)
        self._extensions, more, hints = extensions.parse(
            data.get(extensions.KEY, ""), self._extensions, zones=self._zones
        )
        self.configured = extensions.merge(self._config, self._extensions)
        problems = [self._problem(error) for error in (*errors, *more)]
        for warning in (*warnings, *hints):
            if warning not in self._told:
                log.warn("configuration: {warning}", warning=warning)
        self._told = {*warnings, *hints}
        shown: dict[str, object] = {
            "stub_domains": {
                domain: [str(server) for server in servers]
                for domain, servers in self.configured.stub_domains.items()
            },
            "upstream_nameservers": [str(server) for server in self.configured.upstreams],
        }
        for problem in self._state.configured(shown, version_of(data), problems):
            log.error(
                "configuration: {key} stays as it was: {file}: {position}: {reason}",
                **problem._asdict(),
            )
        log.info(
            "configuration: {stubs} stub domains, {count} upstream nameservers",
            stubs=len(self.configured.stub_domains),
            count=len(self.configured.upstreams),
        )
        self._tell()

    def _problem(self, error: ConfigError) -> Problem:
        file = f"{self._options.config_dir}/{error.key}"
        return Problem(file, error.key, error.path, error.reason, time.time())

    def _resolv_conf_changed(self, path: str, text: str) -> None:
        servers = tuple(Server(each.address, each.port) for each in parse_resolv_conf(text))
        if servers or path in self._resolv_conf:
            self._latest = path
        if not servers:
            log.warn("no nameserver in {path}", path=path)
        self._resolv_conf[path] = servers
        self._tell()

    def _unreadable(self, path: str, reason: str) -> None:
        now = self._reactor.seconds()
        told, at = self._complaints.get(path, ("", 0.0))
        if reason == told and now - at < _REPEAT_S:
            return
        self._complaints[path] = reason, now
        log.error("{reason}; what is in force stays", reason=reason)
        problem = Problem(path, "file", "", reason, time.time())
        self._state.last_problem = problem
        self._state.problem_counts["file"] += 1

    def _tell(self) -> None:
        if self._started:
            self._changed()
