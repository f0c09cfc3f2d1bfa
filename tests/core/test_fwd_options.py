"""The command line of the forwarder: nanny flags, our own, and what stands behind `--`."""

from dataclasses import fields
from typing import Any

import pytest

from dnsmasq_py.options import (
    Match,
    OptionError,
    Options,
    ServerRule,
    ShowText,
    UsageError,
    available_memory,
    parse,
    usage,
)
from dnsmasq_py.server import Server
from kubedns import __version__
from kubedns.wire.name import from_text

GIB = 1 << 30

# What the published manifest of kube-dns starts its second container with.
PUBLISHED = [
    "-v=2",
    "-logtostderr",
    "-configDir=/etc/k8s/dns/dnsmasq-nanny",
    "-restartDnsmasq=true",
    "--",
    "-k",
    "--cache-size=1000",
    "--no-negcache",
    "--dns-loop-detect",
    "--log-facility=-",
    "--server=/cluster.local/127.0.0.1#10053",
    "--server=/in-addr.arpa/127.0.0.1#10053",
    "--server=/ip6.arpa/127.0.0.1#10053",
]


def options(*argv: str) -> Options:
    """Return what a command line asks for, whatever files this machine has."""
    return parse(argv, conf_file="", memory=GIB)


def changed(found: Options) -> dict[str, Any]:
    """Return the fields that differ from their defaults."""
    return {
        field.name: value
        for field in fields(found)
        if (value := getattr(found, field.name)) != field.default
    }


def test_without_flags_every_default_is_the_one_of_the_original() -> None:
    assert changed(options()) == {}
    assert changed(options("--")) == {}


def test_the_container_of_the_published_manifest_starts_without_a_warning() -> None:
    kubedns = Server("127.0.0.1", 10053)
    domains = ("cluster.local", "in-addr.arpa", "ip6.arpa")
    assert changed(options(*PUBLISHED)) == {
        "restart_dnsmasq": True,
        "v": 2,
        "cache_size": 1000,
        "no_negcache": True,
        "dns_loop_detect": True,
        "log_facility": "-",
        "servers": tuple(ServerRule(from_text(d), Match.SUFFIX, kubedns) for d in domains),
    }


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("-configDir=/conf", {"config_dir": "/conf"}),
    ("--configDir=/conf", {"config_dir": "/conf"}),
    ("-configDir /conf", {"config_dir": "/conf"}),
    ("--configDir -conf", {"config_dir": "-conf"}),
    ("-configDir=a -configDir=b", {"config_dir": "b"}),
    ("-syncInterval=1m30s", {"sync_interval_s": 90.0}),
    ("-syncInterval 0", {"sync_interval_s": 0.0}),
    ("-restartDnsmasq", {"restart_dnsmasq": True}),
    ("--restartDnsmasq=T", {"restart_dnsmasq": True}),
    ("-restartDnsmasq=false", {}),
    ("-kubednsServer=10.0.0.10:53", {"kubedns_server": Server("10.0.0.10", 53)}),
    ("-kubednsServer=10.0.0.10", {"kubedns_server": Server("10.0.0.10", 53)}),
    ("-kubednsServer=[::1]:10053", {"kubedns_server": Server("::1", 10053)}),
    ("-logInterval=60s", {"log_interval_s": 60.0}),
    ("-v=4", {"v": 4}),
    ("--v 4", {"v": 4}),
    ("-logtostderr", {}),
    ("--logtostderr=true", {}),
    ("--admin-address=", {"admin_address": None}),
    ("--admin-address=off", {"admin_address": None}),
    ("-admin-address=127.0.0.2:0", {"admin_address": ("127.0.0.2", 0)}),
    ("--admin_address=[::1]:9", {"admin_address": ("::1", 9)}),
    ("--healthz-port=10059", {"healthz_port": 10059}),
    ("--healthz-port=0", {}),
    ("--client-deadline=800ms", {"client_deadline_s": 0.8}),
    ("--cache-bytes=64Mi", {"cache_bytes": 64 << 20}),
    ("--cache-bytes=1Gi", {"cache_bytes": 1 << 30}),
    ("--cache-bytes=2000000", {"cache_bytes": 2_000_000}),
    ("--max-stale=0", {"max_stale_s": 0.0}),
    ("--hot-file=/var/lib/hot", {"hot_file": "/var/lib/hot"}),
    ("--hot-file=", {}),
    ("--drain=1.5s", {"drain_s": 1.5}),
    ("--tls-ca=/ca.pem", {"tls_ca": "/ca.pem"}),
    ("--trusted=1.1.1.1 --trusted 2001:DB8::1", {"trusted": ("1.1.1.1", "2001:db8::1")}),
    ("--log-queries-rate=0", {"log_queries_per_s": 0}),
    ("--dnsmasq-compat-counters", {"cache_hits_compat": True}),
    ("--version=false", {}),
]


@pytest.mark.parametrize(("line", "expected"), ACCEPTED, ids=[row[0] for row in ACCEPTED])
def test_a_flag_in_front_of_the_dashes_is_read(line: str, expected: dict[str, Any]) -> None:
    found = changed(options(*line.split(), "--"))
    warnings = found.pop("warnings", ())
    assert found == expected
    assert all("--cache-bytes is more than half" in warning for warning in warnings)


LOOPBACK = "must be a loopback address, 127.0.0.1 or [::1]"
NAMESERVER = "is not IP, IP:port or [IPv6]:port"

REFUSED: list[tuple[str, str, str]] = [
    ("-configDir", "", "must be a path"),
    ("-syncInterval", "10", "must be a duration with its unit, such as 10s, 1m30s, 100ms or 0"),
    ("-restartDnsmasq", "yes", "must be true or false"),
    ("-kubednsServer", "kube-dns:53", f'"kube-dns:53" {NAMESERVER}'),
    ("-v", "x", "must be a whole number from -2147483648 to 2147483647"),
    ("-admin-address", "0.0.0.0:10056", LOOPBACK),
    ("-admin-address", "10056", "must be IP:port, an IPv6 address in brackets"),
    ("-healthz-port", "65536", "must be a whole number from 0 to 65535"),
    ("-client-deadline", "0s", "must be 100ms to 60s"),
    ("-client-deadline", "2m", "must be 100ms to 60s"),
    ("-cache-bytes", "16M", "must be a size such as 16Mi, at least 1Mi; --cache-size=0: no cache"),
    ("-cache-bytes", "0", "must be a size such as 16Mi, at least 1Mi; --cache-size=0: no cache"),
    ("-trusted", "dns.example", "must be an IP address"),
    ("-log-queries-rate", "-1", "must be a whole number from 0 to 1000000"),
]


@pytest.mark.parametrize(
    ("flag", "text", "reason"), REFUSED, ids=[f"{r[0]}={r[1]}" for r in REFUSED]
)
def test_a_bad_value_of_a_flag_is_named_with_the_reason(flag: str, text: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        options(f"{flag}={text}", "--")
    assert str(caught.value) == f'invalid value "{text}" for -{flag}: {reason}'
    assert not isinstance(caught.value, OptionError), "the exit status of these is 2"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-confDir=x --", 'unknown flag "-confDir", did you mean --configDir?'),
        ("-config-dir=x --", 'unknown flag "-config-dir", did you mean --configDir?'),
        ("---v=2 --", 'unknown flag "---v", did you mean --v?'),
        ("-v2 --", 'unknown flag "-v2"'),
        ("-=x --", 'unknown flag "-"'),
        ("-configDir", "--configDir needs a value"),
        ("-configDir --", "--configDir needs a value"),
        (
            "--server=1.1.1.1",
            'unknown flag "--server"; options of dnsmasq stand behind --',
        ),
    ],
)
def test_an_unknown_flag_is_named(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        options(*line.split())
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        (
            "-dnsmasqExec=/usr/sbin/dnsmasq",
            "-dnsmasqExec is ignored, no dnsmasq is run: this program does its work",
        ),
        (
            "-log_dir=/tmp -vmodule x=2 -alsologtostderr",
            "ignored, the log goes to standard error: -alsologtostderr -log-dir -vmodule",
        ),
        # Go would silently drop all that follows.
        ("-restartDnsmasq false -v=3", 'ignored, belongs to no flag: "false"'),
    ],
)
def test_what_has_no_effect_in_front_of_the_dashes_is_one_warning(line: str, warning: str) -> None:
    assert options(*line.split(), "--").warnings == (warning,)


def test_words_behind_the_first_double_dash_are_for_dnsmasq_alone() -> None:
    found = options("-configDir=x", "--", "-k", "--port=5353")
    assert (found.config_dir, found.port) == ("x", 5353)
    with pytest.raises(OptionError, match="unknown option"):
        options("--", "--configDir=x")


@pytest.mark.parametrize("argv", [["-h"], ["--help"], ["-help"], ["--", "-w"], ["--", "--help"]])
def test_help_is_the_same_on_both_sides(argv: list[str]) -> None:
    with pytest.raises(ShowText) as caught:
        options(*argv)
    assert caught.value.text == usage()


@pytest.mark.parametrize("argv", [["--version"], ["--", "-v"], ["--", "--version"]])
def test_version_is_ours(argv: list[str]) -> None:
    with pytest.raises(ShowText) as caught:
        options(*argv)
    assert caught.value.text == f"dnsmasq-nanny {__version__}"


def test_usage_fits_a_terminal_and_names_every_group() -> None:
    text = usage()
    assert max(map(len, text.splitlines())) <= 110
    for heading in (
        "Flags of dnsmasq-nanny",
        "Flags of this implementation",
        "Flags that are accepted and ignored",
        "Options of dnsmasq: cache",
        "Options of dnsmasq that are accepted and have no effect",
        "Options of dnsmasq that are not supported",
    ):
        assert heading in text


def test_a_cache_that_cannot_fit_into_memory_is_a_warning_and_no_crash() -> None:
    found = parse(["--", "--cache-size=99999999999"], conf_file="", memory=GIB)
    assert found.cache_size == 5_000_000
    assert found.warnings == (
        "--cache-size=99999999999 is beyond the bounds, 5000000 counts",
        "--cache-size=5000000 may need 2384 MiB of 1024 MiB memory; --cache-bytes=16Mi bounds it",
    )
    small = parse(["--cache-bytes=64Mi"], conf_file="", memory=100 << 20)
    assert small.warnings == ("--cache-bytes is more than half of 100 MiB memory",)


def test_the_memory_of_this_machine_is_known() -> None:
    assert 1 << 26 < available_memory() < 1 << 60
    assert isinstance(parse([], conf_file=""), Options)
