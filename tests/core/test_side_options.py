"""The sidecar's command line: what the published manifests give, and what people mistype."""

import re
from pathlib import Path

import pytest

from kubedns import klogflags
from sidecar import options
from sidecar.options import Options, ShowText, UsageError, parse
from sidecar.probe import EXAMPLE, Probe

NAME = "kubernetes.default.svc.cluster.local"


def probe(text: str) -> Probe:
    """Return the one probe of a command line."""
    (found,) = parse([f"--probe={text}"]).probes
    return found


@pytest.mark.parametrize("more", [[], ["--logtostderr"]], ids=["1.26.7", "1.22.20"])
def test_the_published_arguments(more: list[str]) -> None:
    """They are understood, and there is nothing to warn of."""
    found = parse(
        [
            "--v=2",
            *more,
            f"--probe=kubedns,127.0.0.1:10053,{NAME},5,SRV",
            f"--probe=dnsmasq,127.0.0.1:53,{NAME},5,SRV",
        ]
    )
    assert found.probes == (
        Probe("kubedns", "127.0.0.1", 10053, f"{NAME}.", 5, "SRV"),
        Probe("dnsmasq", "127.0.0.1", 53, f"{NAME}.", 5, "SRV"),
    )
    assert (found.v, found.warnings) == (2, ())


def test_defaults() -> None:
    """Those of the original, and our own."""
    found = parse([])
    assert found == Options(
        dnsmasq=("127.0.0.1", 53),
        dnsmasq_poll_interval_s=5.0,
        probes=(),
        prometheus=("0.0.0.0", 10054),
        prometheus_path="/metrics",
        prometheus_namespace="kubedns",
        v=0,
        kubedns_status=("127.0.0.1", 10057),
        dnsmasq_status=("127.0.0.1", 10056),
        operator_address=("127.0.0.1", 10058),
        operator_token_file=None,
        node_resolv_conf=Path("/etc/resolv.conf"),
        drain_s=9.5,
        warnings=found.warnings,
    )
    assert found.warnings == (f"no --probe: nothing is looked at; for example {EXAMPLE}",)


@pytest.mark.parametrize("rtype", ["SRV", "ANY", "A", "AAAA"])
def test_probes_of_the_original_s_tests(rtype: str) -> None:
    """A final dot is added, brackets may hold an IPv4 address."""
    found = probe(f"kubedns,[127.0.0.1]:10053,{NAME},5,{rtype}")
    assert found == Probe("kubedns", "127.0.0.1", 10053, f"{NAME}.", 5, rtype)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,[::1]:53,x.", Probe("a", "::1", 53, "x.", 5, "ANY")),
        ("a,[::1],x", Probe("a", "::1", 53, "x.", 5, "ANY")),
        ("a,127.0.0.1,x,1", Probe("a", "127.0.0.1", 53, "x.", 1, "ANY")),
        ("A_9,dns.example,x,86400", Probe("A_9", "dns.example", 53, "x.", 86400, "ANY")),
        ("a,localhost:5353,.,7,A", Probe("a", "localhost", 5353, ".", 7, "A")),
    ],
)
def test_what_may_be_left_out(text: str, expected: Probe) -> None:
    """Port 53, interval 5, type ANY."""
    assert probe(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kubedns,127.0.0.1:10053", "invalid format to --probe"),
        ("a,b,c,5,SRV,x", "invalid format to --probe"),
        ("", "invalid format to --probe"),
        ("dn$m@s#,127.0.0.1,x,5,SRV", "label must be of format"),
        (",127.0.0.1,x", "label must be of format"),
        ("a\n,127.0.0.1,x", "label must be of format"),
        ("kubedns,127.0.0.1,x,0.5,SRV", "invalid syntax"),
        ("a,127.0.0.1,x,0", "invalid syntax"),
        ("a,127.0.0.1,x,-1", "invalid syntax"),
        ("a,127.0.0.1,x,5s", "invalid syntax"),
        ("a,127.0.0.1,x,", "invalid syntax"),
        ("a,127.0.0.1,x,86401", "invalid syntax"),
        ("kubedns,127.0.0.1,x,5,BogusType", "invalid type for DNS"),
        ("a,127.0.0.1,x,5,srv", "invalid type for DNS"),
        ("a,127.0.0.1,x,5,", "invalid type for DNS"),
        ("a,::1,x", "invalid server"),
        ("a,::1:53,x", "invalid server"),
        ("a,127.0.0.1:0,x", "the port must be 1 to 65535"),
        ("a,127.0.0.1:65536,x", "the port must be 1 to 65535"),
        ("a,127.0.0.1:domain,x", "the port must be 1 to 65535"),
        ("a,,x", "invalid server"),
        ("a,what is this,x", "invalid server"),
        (f"a,127.0.0.1,{'x' * 64}", "invalid DNS name"),
        ("a,127.0.0.1,a..b", "invalid DNS name"),
    ],
)
def test_a_bad_probe(text: str, words: str) -> None:
    """The original's words, what was given, and an example of a right one; in one line."""
    with pytest.raises(UsageError, match=re.escape(words)) as raised:
        parse([f"--probe={text}"])
    told = str(raised.value)
    assert told.startswith("invalid value ")
    assert told.endswith(f"a right one: {EXAMPLE}")
    assert "\n" not in told


def test_the_example_is_right() -> None:
    """It must not lead anybody into the next mistake."""
    assert parse([EXAMPLE]).probes[0].label == "kubedns"


def test_two_probes_of_one_label() -> None:
    """Their metrics would have one name."""
    with pytest.raises(UsageError, match='the label "a" is used twice'):
        parse(["--probe=a,127.0.0.1,x", "--probe=a,127.0.0.2,x"])


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--dnsmasq-port=0", "from 1 to 65535"),
        ("--dnsmasq-addr=a b", "invalid server"),
        ("--dnsmasq-poll-interval-ms=0", "from 1 to"),
        ("--dnsmasq-poll-interval-ms=5s", "from 1 to"),
        ("--prometheus-addr=everywhere", "must be an IP address"),
        ("--prometheus-port=http", "from 0 to 65535"),
        ("--prometheus-path=metrics", "must start with /"),
        ("--prometheus-path=/<x>", "must be a plain path"),
        ("--prometheus-path=/", "is another page"),
        ("--prometheus-path=/healthz", "is another page"),
        ("--prometheus-path=/healthcheck/kubedns", "is another page"),
        ("--prometheus-namespace=kube-dns", "must be letters"),
        ("--operator-address=0.0.0.0:10058", "must be a loopback address"),
        ("--kubedns-status=10.0.0.1:10057", "must be a loopback address"),
        ("--drain=9", "must be a duration"),
        ("--v=much", "must be a whole number"),
        ("--prob=a,b,c", "did you mean --probe"),
        ("--probe", "needs a value"),
    ],
)
def test_other_bad_flags(flag: str, words: str) -> None:
    """One line that names the flag and what it must be."""
    with pytest.raises(UsageError, match=re.escape(words)) as raised:
        parse([flag])
    assert flag.partition("=")[0] in str(raised.value)


@pytest.mark.parametrize("address", ["::1", "[::1]"])
def test_an_ipv6_address_of_dnsmasq(address: str) -> None:
    """With brackets, as the original needs them, or without."""
    assert parse([f"--dnsmasq-addr={address}"]).dnsmasq == ("::1", 53)


@pytest.mark.parametrize("value", ["", "off"])
def test_what_can_be_switched_off(value: str) -> None:
    """The neighbours' pages, and our own on loopback."""
    names = ("kubedns-status", "dnsmasq-status", "operator-address")
    found = parse([f"--{name}={value}" for name in names])
    assert (found.kubedns_status, found.dnsmasq_status, found.operator_address) == (None,) * 3


def test_a_namespace_may_be_empty() -> None:
    """Then names have no prefix."""
    assert parse(["--prometheus-namespace="]).prometheus_namespace == ""


def test_what_has_no_effect_is_said() -> None:
    """Old logging flags, and words that belong to no flag."""
    found = parse(["--alsologtostderr", "--vmodule=a=1", "stray", "--probe=a,127.0.0.1,x"])
    assert found.warnings == (
        'ignored, belongs to no flag: "stray"',
        "ignored, the log goes to standard error: --alsologtostderr --vmodule",
    )


@pytest.mark.parametrize(
    ("flag", "text"), [("--version", "sidecar 0."), ("--version=raw", '"0.'), ("-h", "usage: ")]
)
def test_texts(flag: str, text: str) -> None:
    """Asked for, and no error."""
    with pytest.raises(ShowText) as shown:
        parse([flag])
    assert shown.value.text.startswith(text)


def test_usage_tells_of_each_flag() -> None:
    """With the form of --probe."""
    told = options.usage()
    for flag in (*options._ORIGINAL, *options._OURS, *klogflags.IGNORED):
        assert f"--{flag.name}" in told
    assert "<label>,<server>,<dns name>" in told
