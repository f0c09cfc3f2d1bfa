"""
What the words behind `--` and the files that they name ask for: fields of Options.

Rules of dnsmasq 2.90 that are kept: an option that counts once may not be given twice; in a file
it overrides the command line; the first --conf-file is read after everything else.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dnsmasq_py import conffile, getopt, servertext
from dnsmasq_py.collected import Collected
from dnsmasq_py.getopt import OptionError, Setting
from dnsmasq_py.optiontable import Verdict
from dnsmasq_py.optionvalues import HANDLERS
from dnsmasq_py.quoting import reveal
from dnsmasq_py.rules import ServerRule
from kubedns import __version__
from kubedns.flags import ShowText
from kubedns.nameserver import quote

T = TypeVar("T")

_SERVERS_FILE_OPTIONS = ("server", "rev-server")


def read(
    words: Sequence[str], usage: Callable[[], str], conf_file: str
) -> tuple[dict[str, Any], list[str]]:
    """
    Return the values of Options that `words` ask for, and a line for each thing without effect.

    words: those behind `--`. conf_file: read if it is there and no --conf-file is given.

    Raises:
        OptionError: one line that names the option, its place and the reason.
        ShowText: --help, --version, or --test when all is well.
    """
    reader = _Reader(usage)
    main: str | None = None
    for setting in getopt.settings(words):
        if setting.option.name == "conf-file" and main is None:
            main = setting.text or ""
        else:
            reader.take(setting)
    if main is None and conf_file and conffile.identity(conf_file):
        main = conf_file
    reader.include(main or "")
    values = reader.collected.finished()
    if reader.test:
        raise ShowText("syntax check OK.")
    return values, reader.collected.warnings


def read_servers_file(path: str) -> tuple[tuple[ServerRule, ...], list[str]]:
    """
    Return the rules in the file of --servers-file, and a line for each thing that is wrong.

    As in dnsmasq what is wrong is left out, and a file that cannot be read holds nothing.
    """
    rules: list[ServerRule] = []
    errors: list[str] = []
    try:
        for place, line in conffile.lines(path):
            try:
                rules += _rules(conffile.setting(place, line))
            except OptionError as error:
                errors.append(str(error))
    except OptionError as error:
        errors.append(str(error))
    return tuple(rules), errors


def _rules(setting: Setting | None) -> list[ServerRule]:
    if setting is None:
        return []
    name, text = setting.option.name, reveal(setting.text or "")
    if name not in _SERVERS_FILE_OPTIONS:
        raise OptionError(setting.line(f"{setting.label} is not allowed in a servers file"))
    parse = servertext.server_rules if name == "server" else servertext.rev_server_rules
    return _read(setting, lambda: parse(text))


def _read(setting: Setting, parse: Callable[[], T]) -> T:
    """Return what `parse` makes of a setting, its ValueError as an OptionError."""
    try:
        return parse()
    except ValueError as error:
        if setting.text is None:
            raise OptionError(setting.line(f"{setting.label} needs a value")) from None
        told = f"invalid value {quote(reveal(setting.text))} for {setting.label}: {error}"
        raise OptionError(setting.line(told)) from None


class _Reader:
    """Takes settings in their order, from the command line and from files."""

    def __init__(self, usage: Callable[[], str]) -> None:
        self.collected = Collected()
        self.test = False
        self._usage = usage
        self._files: set[tuple[int, int] | str] = set()
        self._given: dict[str, bool] = {}  # options that count once → whether by a file
        self._ignored: set[str] = set()

    def take(self, setting: Setting) -> None:
        """Apply one setting."""
        option = setting.option
        if option.verdict is Verdict.REFUSED:
            reason = f"{setting.label} is not supported: {option.group}"
            raise OptionError(setting.line(reason))
        if option.once and not self._counts(setting):
            return
        if option.verdict is Verdict.IGNORED:
            if option.name not in self._ignored:
                self._ignored.add(option.name)
                warning = setting.line(f"{setting.label} has no effect: {option.group}")
                self.collected.warnings.append(warning)
            return
        match option.name:
            case "conf-file":
                self.include(reveal(setting.text or ""))
            case "conf-dir":
                for path in conffile.folder(setting.text or ""):
                    self.include(path)
            case "help" | "version" | "test":
                self._show(setting)
            case name:
                _read(setting, lambda: HANDLERS[name](self.collected, setting.text))

    def include(self, path: str) -> None:
        """Read a file, unless there is none or it was read before, under whatever name."""
        identity = conffile.identity(path) or path
        if not path or identity in self._files:
            return
        self._files.add(identity)
        for place, line in conffile.lines(path):
            if setting := conffile.setting(place, line):
                self.take(setting)

    def _counts(self, setting: Setting) -> bool:
        """Say whether an option that may be given once counts here."""
        by_file = bool(setting.place)
        before = self._given.get(setting.option.name)
        if before is by_file:
            raise OptionError(setting.line(f"{setting.label} is given twice"))
        self._given[setting.option.name] = by_file or bool(before)
        return not before

    def _show(self, setting: Setting) -> None:
        if setting.place:
            raise OptionError(setting.line(f"{setting.label} is for the command line only"))
        if setting.option.name == "test":
            self.test = True
            return
        if setting.option.name == "help":
            raise ShowText(self._usage())
        raise ShowText(f"dnsmasq-nanny {__version__}")
