"""Rows that the tables of all three programs have: those of Go's logger, klog, and --version."""

from kubedns import readers
from kubedns.flags import Flag


def _read_version(text: str) -> str:
    return text if text == "raw" else str(readers.read_bool(text)).lower()


def ignored(name: str, bare: str | None = None) -> Flag:
    """Return a flag of the original that has nothing to say here."""
    return Flag(name, str, "", "", "", bare=bare)


V = Flag("v", readers.int_between(-(2**31), 2**31 - 1), "0", "LEVEL", "how much to log")
VERSION = Flag(
    "version",
    _read_version,
    "false",
    "",
    "print the version and exit; --version=raw: the version string alone",
    bare="true",
)
IGNORED = (
    ignored("add-dir-header", bare="true"),
    ignored("alsologtostderr", bare="true"),
    ignored("log-backtrace-at"),
    ignored("log-dir"),
    ignored("log-file"),
    ignored("log-file-max-size"),
    ignored("log-flush-frequency"),
    ignored("logtostderr", bare="true"),
    ignored("one-output", bare="true"),
    ignored("skip-headers", bare="true"),
    ignored("skip-log-headers", bare="true"),
    ignored("stderrthreshold"),
    ignored("vmodule"),
)
