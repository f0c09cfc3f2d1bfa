"""The command line of kubedns: every flag, its default, its rules and its refusals."""

import re
from dataclasses import fields
from ipaddress import ip_network
from typing import Any

import pytest

from kubedns import __version__
from kubedns.explain.border import Border
from kubedns.nameserver import Nameserver
from kubedns.options import (
    EndpointNames,
    Options,
    PodNames,
    ShowText,
    UsageError,
    parse,
    usage,
)

STANDARD_MANIFEST = [
    "--domain=cluster.local.",
    "--dns-port=10053",
    "--config-dir=/kube-dns-config",
    "--v=2",
]

DEFAULTS: dict[str, Any] = {
    "domain": "cluster.local",
    "dns_port": 53,
    "dns_bind_address": "0.0.0.0",
    "healthz_port": 8081,
    "kubecfg_file": "",
    "kube_master_url": "",
    "initial_sync_timeout_s": 60.0,
    "config_dir": "",
    "config_period_s": 10.0,
    "config_map": "",
    "config_map_namespace": "kube-system",
    "nameservers": (),
    "profiling": False,
    "v": 0,
    "objects": (),
    "pods": PodNames.INSECURE,
    "endpoint_names": EndpointNames.IP,
    "wildcards": False,
    "ttl_s": 30,
    "negative_ttl_s": 5,
    "reverse_cidrs": (),
    "dns_service": ("kube-system", "kube-dns"),
    "status_address": ("127.0.0.1", 10057),
    "notify": (("127.0.0.1", 53),),
    "snapshot": "",
    "lame_duck_s": 8.0,
    "watch_silence_s": 90.0,
    "audit_interval_s": 3600.0,
    "forbidden_retry_s": 60.0,
    "serve_cache": True,
    "explain": Border.FULL,
    "prometheus_port": None,
    "prometheus_path": "/metrics",
    "prometheus_namespace": "skydns",
    "prometheus_subsystem": "skydns",
    "warnings": (),
}


def changed(options: Options) -> dict[str, Any]:
    """Return the fields that differ from their defaults."""
    return {
        field.name: value
        for field in fields(options)
        if (value := getattr(options, field.name)) != DEFAULTS[field.name]
    }


def test_without_flags_every_default_is_the_one_of_kube_dns() -> None:
    assert {field.name for field in fields(Options)} == DEFAULTS.keys()
    assert changed(parse([], {})) == {}


def test_the_container_of_the_published_manifest_starts_without_a_warning() -> None:
    assert changed(parse(STANDARD_MANIFEST, {"PROMETHEUS_PORT": "10055"})) == {
        "dns_port": 10053,
        "config_dir": "/kube-dns-config",
        "v": 2,
        "prometheus_port": 10055,
    }


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("--domain=cluster.local", {}),
    ("--domain=a-1.example.", {"domain": "a-1.example"}),
    ("--domain cluster", {"domain": "cluster"}),
    ("--dns-port=0", {"dns_port": 0}),
    ("--dns-port 65535", {"dns_port": 65535}),
    ("--dns_port=10053", {"dns_port": 10053}),
    ("--dns-port=0x35", {}),
    ("--dns-bind-address=127.0.0.1", {"dns_bind_address": "127.0.0.1"}),
    ("--dns-bind-address=::", {"dns_bind_address": "::"}),
    ("--dns-bind-address=[::1]", {"dns_bind_address": "::1"}),
    ("--dns-bind-address=2001:DB8:0::1", {"dns_bind_address": "2001:db8::1"}),
    ("--dns-bind-address=", {}),
    ("--healthz-port=0", {"healthz_port": 0}),
    ("--kubecfg-file=/etc/kubeconfig", {"kubecfg_file": "/etc/kubeconfig"}),
    ("--kube-master-url=https://10.0.0.1:6443", {"kube_master_url": "https://10.0.0.1:6443"}),
    ("--kube-master-url=http://[::1]:8080/", {"kube_master_url": "http://[::1]:8080/"}),
    ("--kube-master-url=", {}),
    ("--initial-sync-timeout=0", {"initial_sync_timeout_s": 0.0}),
    ("--initial-sync-timeout=1m30s", {"initial_sync_timeout_s": 90.0}),
    ("--config-dir=conf", {"config_dir": "conf"}),
    ("--config-period=100ms", {"config_period_s": 0.1}),
    ("--config-map=kube-dns", {"config_map": "kube-dns"}),
    ("--config-map-namespace=dns", {"config_map_namespace": "dns"}),
    ("--nameservers=8.8.8.8", {"nameservers": (Nameserver("8.8.8.8"),)}),
    (
        "--nameservers=8.8.8.8:5353,[2001:db8::1]:53",
        {"nameservers": (Nameserver("8.8.8.8", 5353), Nameserver("2001:db8::1"))},
    ),
    ("--nameservers=", {}),
    ("--profiling", {"profiling": True}),
    ("--profiling=true", {"profiling": True}),
    ("--profiling --profiling=F", {}),
    ("--v=2", {"v": 2}),
    ("--v 2", {"v": 2}),
    ("-v=2", {"v": 2}),
    ("-v 2", {"v": 2}),
    ("-v2", {"v": 2}),
    ("-v=-1", {"v": -1}),
    ("-v=2 --v=4", {"v": 4}),
    ("--version=false", {}),
    ("--objects=demo", {"objects": ("demo",)}),
    ("--objects demo --objects=more.yaml", {"objects": ("demo", "more.yaml")}),
    ("--pods=verified", {"pods": PodNames.VERIFIED}),
    ("--pods=disabled", {"pods": PodNames.DISABLED}),
    ("--endpoint-names=pod", {"endpoint_names": EndpointNames.POD}),
    ("--wildcards", {"wildcards": True}),
    ("--ttl=0", {"ttl_s": 0}),
    ("--ttl=3600", {"ttl_s": 3600}),
    ("--negative-ttl=60", {"negative_ttl_s": 60}),
    ("--reverse-cidr=10.0.0.0/8", {"reverse_cidrs": (ip_network("10.0.0.0/8"),)}),
    (
        "--reverse-cidr=10.96.0.0/12 --reverse-cidr=FD00::/108",
        {"reverse_cidrs": (ip_network("10.96.0.0/12"), ip_network("fd00::/108"))},
    ),
    ("--dns-service=dns/main", {"dns_service": ("dns", "main")}),
    ("--status-address=", {"status_address": None}),
    ("--status-address=127.1.2.3:0", {"status_address": ("127.1.2.3", 0)}),
    ("--status-address=[::1]:10057", {"status_address": ("::1", 10057)}),
    ("--notify=127.0.0.1:53", {}),
    ("--notify=127.0.0.1:1053", {"notify": (("127.0.0.1", 1053),)}),
    (
        "--notify=127.0.0.1:53 --notify=[::1]:53 --notify=127.0.0.1:53",
        {"notify": (("127.0.0.1", 53), ("::1", 53))},
    ),
    ("--notify=off", {"notify": ()}),
    ("--snapshot=/var/lib/kube-dns/zone", {"snapshot": "/var/lib/kube-dns/zone"}),
    ("--lame-duck=0", {"lame_duck_s": 0.0}),
    ("--watch-silence=3s", {"watch_silence_s": 3.0}),
    ("--audit-interval=2s", {"audit_interval_s": 2.0}),
    ("--audit-interval=0", {"audit_interval_s": 0.0}),
    ("--forbidden-retry 1s", {"forbidden_retry_s": 1.0}),
    ("--lame-duck=1h2m3.5s", {"lame_duck_s": 3723.5}),
    ("--serve-cache=false", {"serve_cache": False}),
    ("--explain=same-namespace", {"explain": Border.SAME_NAMESPACE}),
    ("--explain=off", {"explain": Border.OFF}),
    ("--explain=full", {}),
]


@pytest.mark.parametrize(("line", "expected"), ACCEPTED, ids=[row[0] for row in ACCEPTED])
def test_accepted(line: str, expected: dict[str, Any]) -> None:
    assert changed(parse(line.split(), {})) == expected


PORT = "must be a whole number from 0 to 65535"
DURATION = "must be a duration with its unit, such as 10s, 1m30s, 100ms or 0"
LABEL = "is not 1 to 63 of a-z, 0-9 and -, with no - at its ends"
URL = "must have a scheme, http or https, and a host"
LISTENER = "must be IP:port, an IPv6 address in brackets, or off"
NETWORK = "must be a network such as 10.0.0.0/8 or fd00::/8"
LONG = "a" * 64

REFUSED: list[tuple[str, str, str]] = [
    ("--domain", "", f'label "" {LABEL}'),
    ("--domain", ".", f'label "" {LABEL}'),
    ("--domain", "cluster.local..", f'label "" {LABEL}'),
    ("--domain", "Cluster.local", f'label "Cluster" {LABEL}'),
    ("--domain", "cluster_1.local", f'label "cluster_1" {LABEL}'),
    ("--domain", "-a.local", f'label "-a" {LABEL}'),
    ("--domain", f"{LONG}.local", f'label "{LONG}" {LABEL}'),
    ("--domain", "a." * 127 + "a", "must be at most 253 characters"),
    ("--dns-port", "abc", PORT),
    ("--dns-port", "", PORT),
    ("--dns-port", "-1", PORT),
    ("--dns-port", "65536", PORT),
    ("--dns-port", "010", PORT),
    ("--dns-port", " 53", PORT),
    ("--dns-port", "\N{ARABIC-INDIC DIGIT FIVE}", PORT),
    ("--dns-port", "9" * 5000, PORT),
    ("--healthz-port", "8081.0", PORT),
    ("--dns-bind-address", "localhost", "must be an IP address"),
    ("--dns-bind-address", "[::1", "must be an IP address"),
    ("--dns-bind-address", "[]", "must be an IP address"),
    ("--dns-bind-address", "10.0.0.0/8", "must be an IP address"),
    ("--kube-master-url", "10.0.0.1:6443", URL),
    ("--kube-master-url", "https://", URL),
    ("--kube-master-url", "https://:443", URL),
    ("--kube-master-url", "ftp://host", URL),
    ("--kube-master-url", "https://ho st", URL),
    (
        "--kube-master-url",
        "https://fd00::1:443",
        "host or port cannot be read; an IPv6 address needs brackets",
    ),
    (
        "--kube-master-url",
        "https://$MASTER:443",
        "environment variable MASTER is not set",
    ),
    ("--initial-sync-timeout", "60", DURATION),
    ("--initial-sync-timeout", "-1s", DURATION),
    ("--initial-sync-timeout", "1d", DURATION),
    ("--initial-sync-timeout", "", DURATION),
    ("--initial-sync-timeout", "1m 30s", DURATION),
    ("--initial-sync-timeout", ".s", DURATION),
    ("--initial-sync-timeout", "9" * 400 + "h", "must be less than 292 years"),
    ("--config-period", "ten", DURATION),
    ("--config-map", "../secrets", "must be the name of an object, lower case"),
    ("--config-map-namespace", "Kube", "must be the name of an object, lower case"),
    ("--nameservers", "ns.example.com", '"ns.example.com" is not IP, IP:port or [IPv6]:port'),
    ("--nameservers", "8.8.8.8,", '"" is not IP, IP:port or [IPv6]:port'),
    (
        "--nameservers",
        "8.8.8.8,1.1.1.1:abc",
        '"1.1.1.1:abc": the port must be a number from 1 to 65535',
    ),
    ("--profiling", "yes", "must be true or false"),
    ("--v", "two", "must be a whole number from -2147483648 to 2147483647"),
    ("--version", "short", "must be true or false"),
    ("--objects", "", "must be a path"),
    ("--pods", "Verified", "must be one of insecure, verified, disabled"),
    ("--endpoint-names", "hash", "must be one of ip, pod"),
    ("--wildcards", "2", "must be true or false"),
    ("--ttl", "30s", "must be a whole number from 0 to 3600"),
    ("--ttl", "3601", "must be a whole number from 0 to 3600"),
    ("--negative-ttl", "-1", "must be a whole number from 0 to 3600"),
    ("--reverse-cidr", "10.0.0.0", NETWORK),
    ("--reverse-cidr", "10.0.0.0/33", NETWORK),
    ("--reverse-cidr", "10.0.0.0/255.0.0.0", NETWORK),
    ("--reverse-cidr", "fe80::%eth0/64", NETWORK),
    (
        "--reverse-cidr",
        "10.1.2.3/8",
        "has bits set beyond its prefix, did you mean 10.0.0.0/8?",
    ),
    (
        "--reverse-cidr",
        "fd00::1/108",
        "has bits set beyond its prefix, did you mean fd00::/108?",
    ),
    ("--dns-service", "kube-dns", "must be namespace/name of a service"),
    ("--dns-service", "a/b/c", "must be namespace/name of a service"),
    ("--status-address", "0.0.0.0:10057", "must be a loopback address, 127.0.0.1 or [::1]"),
    ("--status-address", "[::]:10057", "must be a loopback address, 127.0.0.1 or [::1]"),
    ("--status-address", "127.0.0.1", "must be IP:port, an IPv6 address in brackets"),
    ("--status-address", "::1:10057", "must be IP:port, an IPv6 address in brackets"),
    ("--status-address", "localhost:10057", "must be IP:port, an IPv6 address in brackets"),
    ("--status-address", "127.0.0.1:port", "must be IP:port, an IPv6 address in brackets"),
    ("--notify", "127.0.0.1", LISTENER),
    ("--notify", "dnsmasq:53", LISTENER),
    ("--notify", "", LISTENER),
    ("--notify", "::1:53", LISTENER),
    ("--notify", "0.0.0.0:53", "must be the address and port of one listener"),
    ("--notify", "127.0.0.1:0", "must be the address and port of one listener"),
    ("--notify", "[fe80::1%lo]:53", "must be the address and port of one listener"),
    ("--lame-duck", "9", DURATION),
    ("--serve-cache", "off", "must be true or false"),
    ("--explain", "on", "must be one of full, same-namespace, off"),
]


@pytest.mark.parametrize(
    ("flag", "value", "reason"), REFUSED, ids=[f"{row[0]}={row[1][:30]!a}" for row in REFUSED]
)
def test_refused(flag: str, value: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([f"{flag}={value}"], {})
    text = str(caught.value)
    assert text.startswith("invalid value ")
    assert text.endswith(f" for {flag}: {reason}")
    assert text.isprintable()


def test_nobody_cannot_be_told_beside_somebody() -> None:
    with pytest.raises(UsageError, match="--notify=off cannot be set with another --notify"):
        parse(["--notify=127.0.0.1:53", "--notify=off"], {})


def test_the_line_for_a_bad_value_shows_value_flag_and_rule() -> None:
    with pytest.raises(UsageError) as caught:
        parse(["--dns-port", "70000"], {})
    assert str(caught.value) == f'invalid value "70000" for --dns-port: {PORT}'


def test_a_hostile_value_is_escaped() -> None:
    with pytest.raises(UsageError) as caught:
        parse(["--dns-port=\x1b[2J\n\udcff"], {})
    assert str(caught.value).startswith('invalid value "\\u001b[2J\\n\\udcff" for --dns-port: ')


UNKNOWN = [
    ("--frobnicate", 'unknown flag "--frobnicate"'),
    ("--frobnicate=secret", 'unknown flag "--frobnicate"'),
    ("--dom=cluster.local", 'unknown flag "--dom"'),
    ("--domains=x", 'unknown flag "--domains", did you mean --domain?'),
    ("-config-dir=/x", 'unknown flag "-config-dir", did you mean --config-dir?'),
    ("-x", 'unknown flag "-x"'),
    ("---domain=x", 'unknown flag "---domain", did you mean --domain?'),
    ("--=x", 'unknown flag "--"'),
    ("--\n", 'unknown flag "--\\n"'),
]


@pytest.mark.parametrize(("word", "line"), UNKNOWN)
def test_an_unknown_flag_is_named_and_never_completed(word: str, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([word], {})
    assert str(caught.value) == line


@pytest.mark.parametrize("flag", ["--domain", "-v", "--log-dir", "--objects"])
def test_a_flag_at_the_end_without_its_value_is_named(flag: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([flag], {})
    assert str(caught.value) == f"--{flag.lstrip('-')} needs a value"


def test_a_value_may_look_like_a_flag() -> None:
    assert parse(["--kubecfg-file", "--v=2"], {}).kubecfg_file == "--v=2"


def test_a_boolean_leaves_the_next_word_alone_and_says_so() -> None:
    options = parse(["--serve-cache", "false", "--v=2"], {})
    assert changed(options) == {"v": 2, "warnings": ('ignored, belongs to no flag: "false"',)}


def test_words_after_a_double_dash_are_no_flags() -> None:
    options = parse(["-v2", "--", "--wildcards", "-"], {})
    assert changed(options) == {
        "v": 2,
        "warnings": ('ignored, belongs to no flag: "--wildcards" "-"',),
    }


OLD_LOGGING_FLAGS = [
    "--logtostderr",
    "--logtostderr=true",
    "--alsologtostderr",
    "--log-dir=/var/log",
    "--log_dir /var/log",
    "--log-file=x",
    "--log-file-max-size=1800",
    "--stderrthreshold=2",
    "--log-backtrace-at=:0",
    "--vmodule=dns=3",
    "--log-flush-frequency=5s",
    "--skip-headers",
    "--add-dir-header",
    "--skip-log-headers",
    "--one-output",
]


@pytest.mark.parametrize("line", OLD_LOGGING_FLAGS)
def test_old_logging_flags_are_accepted_and_ignored(line: str) -> None:
    name = re.split("[ =]", line)[0].replace("_", "-")
    options = parse([*line.split(), "--v=2"], {})
    assert changed(options) == {
        "v": 2,
        "warnings": (f"ignored, the log goes to standard error: {name}",),
    }


def test_all_old_logging_flags_give_one_warning() -> None:
    options = parse([word for line in OLD_LOGGING_FLAGS for word in line.split()], {})
    assert len(options.warnings) == 1


@pytest.mark.parametrize("value", ["a=b", "", "ccdd", "-", "a.b.c=d.e.f", '{"a": "b"}'])
def test_federations_is_accepted_in_any_form_with_one_warning(value: str) -> None:
    options = parse([f"--federations={value}", "--config-dir=x"], {})
    assert options.warnings == ("--federations is ignored, cluster federation no longer exists",)


@pytest.mark.parametrize("other", ["--config-dir=x", "--config-map=x"])
def test_nameservers_beside_a_configuration_are_ignored_with_a_warning(other: str) -> None:
    options = parse(["--nameservers=8.8.8.8", other], {})
    assert options.warnings == (f"--nameservers is ignored, {other[:-2]} is set",)


TOGETHER = [
    ("--config-map=x --config-dir=y", "--config-map and --config-dir cannot both be set"),
    (
        "--objects=x --kubecfg-file=y",
        "--objects replaces the API server, --kubecfg-file cannot be set with it",
    ),
    (
        "--objects=x --kube-master-url=http://y",
        "--objects replaces the API server, --kube-master-url cannot be set with it",
    ),
    (
        "--objects=x --config-map=y",
        "--objects replaces the API server, --config-map cannot be set with it",
    ),
]


@pytest.mark.parametrize(("line", "reason"), TOGETHER)
def test_flags_that_contradict_each_other_are_refused(line: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split(), {})
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    "text",
    [
        "https://${KUBERNETES_SERVICE_HOST}:${KUBERNETES_SERVICE_PORT}",
        "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT",
    ],
)
def test_the_master_url_is_expanded_from_the_environment(text: str) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    assert parse([f"--kube-master-url={text}"], environ).kube_master_url == "https://10.0.0.1:443"


ENVIRONMENT: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({"PROMETHEUS_PORT": ""}, {}),
    ({"PROMETHEUS_PORT": "0"}, {"prometheus_port": 0}),
    ({"PROMETHEUS_PATH": "/m"}, {"prometheus_path": "/m"}),
    ({"PROMETHEUS_PATH": ""}, {}),
    ({"PROMETHEUS_NAMESPACE": "dns"}, {"prometheus_namespace": "dns"}),
    ({"PROMETHEUS_SUBSYSTEM": "kube_1"}, {"prometheus_subsystem": "kube_1"}),
]


@pytest.mark.parametrize(("environ", "expected"), ENVIRONMENT)
def test_metrics_are_set_up_by_the_environment(
    environ: dict[str, str], expected: dict[str, Any]
) -> None:
    assert changed(parse([], environ)) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROMETHEUS_PORT", "http"),
        ("PROMETHEUS_PORT", "70000"),
        ("PROMETHEUS_PATH", "metrics"),
        ("PROMETHEUS_PATH", "/a b"),
        ("PROMETHEUS_NAMESPACE", "kube-dns"),
        ("PROMETHEUS_SUBSYSTEM", "1dns"),
    ],
)
def test_a_bad_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f'^invalid value "{value}" for {name}: must '):
        parse([], {name: value})


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("--version", f"Kube-DNS {__version__}"),
        ("--version=true", f"Kube-DNS {__version__}"),
        ("--version=raw", f'"{__version__}"'),
        ("--v=2 --version --domain=x", f"Kube-DNS {__version__}"),
    ],
)
def test_the_version_is_shown(line: str, text: str) -> None:
    with pytest.raises(ShowText) as caught:
        parse(line.split(), {})
    assert caught.value.text == text


def test_a_bad_flag_comes_before_the_version() -> None:
    with pytest.raises(UsageError):
        parse(["--version", "--bad"], {})


@pytest.mark.parametrize("line", ["--help", "-h", "-v=2 --help --bad"])
def test_help_shows_usage(line: str) -> None:
    with pytest.raises(ShowText) as caught:
        parse(line.split(), {})
    assert caught.value.text == usage()


def test_usage_has_every_flag_in_its_group_and_fits_a_terminal() -> None:
    original, ours, ignored = re.split(
        r"Flags of this implementation:|Accepted and ignored:", usage()
    )
    flags = {field.name.removesuffix("_s").replace("_", "-") for field in fields(Options)}
    flags -= {"warnings", "reverse-cidrs"}
    flags -= {flag for flag in flags if flag.startswith("prometheus")}
    shown = re.findall(r"--([a-z-]+)", original + ours)
    assert flags | {"reverse-cidr", "version"} == set(shown)
    assert "--config-period DURATION (default 10s)" in original
    assert "--negative-ttl SECONDS (default 5)" in ours
    assert "--logtostderr" in ignored
    assert max(map(len, usage().splitlines())) <= 100
