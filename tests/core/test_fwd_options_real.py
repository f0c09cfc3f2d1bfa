"""
Our reading of options against that of dnsmasq itself: the same list, the same acceptance.

`dnsmasq --test` looks at the syntax and exits. No line here names a server by host name: the
real one would look it up.
"""

import os
import re
import shutil
import subprocess

import pytest

from dnsmasq_py.options import OptionError, ShowText, parse
from dnsmasq_py.optiontable import OPTIONS, Takes

DNSMASQ = shutil.which("dnsmasq", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
NOT_IN_HELP = {"domain-suffix", "dhcp-lease"}  # old names of other options

pytestmark = pytest.mark.skipif(DNSMASQ is None, reason="no dnsmasq here")


def real(*words: str) -> subprocess.CompletedProcess[str]:
    """Run dnsmasq, which reads options and exits."""
    return subprocess.run(
        [str(DNSMASQ), *words], capture_output=True, text=True, timeout=30, check=False
    )


def real_accepts(*words: str) -> bool:
    """Say whether dnsmasq takes these options."""
    return real("--test", "-C", os.devnull, *words).returncode == 0


def we_accept(*words: str) -> bool:
    """Say whether we take these options."""
    try:
        parse(["--", "--test", "-C", os.devnull, *words], conf_file="", memory=1 << 40)
    except ShowText:
        return True
    except OptionError:
        return False
    raise AssertionError("--test goes on")


def is_this_version() -> bool:
    """Say whether the dnsmasq here is the one whose options we know."""
    return "version 2.90 " in real("--version").stdout


def test_every_option_that_its_help_lists_is_in_our_table_with_its_letter() -> None:
    if not is_this_version():
        pytest.skip("another version of dnsmasq")
    rows = re.findall(r"^(?:-(.), |    )--([A-Za-z0-9-]+)", real("--help").stdout, re.MULTILINE)
    listed = {name: letter for letter, name in rows}
    known = {name: row.letter for name, row in OPTIONS.items() if name not in NOT_IN_HELP}
    assert listed == known


@pytest.mark.parametrize(
    "name", [name for name in OPTIONS if name not in ("conf-file", "help", "version")]
)
def test_an_option_needs_a_value_exactly_where_it_does_there(name: str) -> None:
    takes = OPTIONS[name].takes
    # An option alone at the end of the line, then one with a value that hardly any can read.
    alone = real("--test", "-C", os.devnull, f"--{name}")
    if takes is Takes.VALUE:
        assert "try --help" in alone.stderr
    elif name not in ("cache-size", "dhcp-fqdn"):  # these want more than the option
        assert alone.returncode == 0
    if takes is Takes.NOTHING:
        assert "try --help" in real("--test", "-C", os.devnull, f"--{name}=1").stderr


# Where 1 is no value.
VALUES = {
    "auth-peer": "127.0.0.1",
    "fast-dns-retry": "100",
    "listen-address": "127.0.0.1",
    "local": "127.0.0.1",
    "log-facility": "-",
    "nftset": "/a/b",
    "rev-server": "10.0.0.0/8,127.0.0.1",
    "server": "127.0.0.1",
}
REPEATABLE = [
    name
    for name, row in OPTIONS.items()
    if row.takes is not Takes.NOTHING and not name.startswith("conf-")
]


@pytest.mark.parametrize("name", REPEATABLE)
def test_an_option_may_stand_twice_exactly_where_it_may_there(name: str) -> None:
    word = f"--{name}={VALUES.get(name, '1')}"
    if real_accepts(word):
        assert (
            "illegal repeated flag" in real("--test", "-C", os.devnull, word, word).stderr
        ) is OPTIONS[name].once


SAME = """
-k | -kc10 | -c10 | -c 10 | -c | -ck | --cache=5 | --cache-s 5 | --cache-size= | --cache-size
--cache-size=-5 | --cache-size=x | --cache-size=+5 | --cache-size=0x5 | --cache-size=05
--cache-size=99999999999 | --cache-size=1 -c 2 | --dom x | --domain-s x | --domain x | --no-res
--no- | -kqR | -q=extra | -qR | -q extra | --log-q=extra | --filter-A | --filter-a
--filter-AA | -p 70000 | -p 65535 | -p -1 | --port=+5 | --port=053 | junk | - | -- | -- x | -k x
-% | --x | --= | -u | --user | --user= | --user=x | -F | -j | --neg-ttl= | --neg-ttl=1x
--server=1.2.3.4 | --server=1.2.3.4# | --server=1.2.3.4#0 | --server=1.2.3.4#65535
--server=1.2.3.4#65536 | --server=1.2.3.4@ | --server=1.2.3.4@lo | --server=1.2.3.4@lo@127.0.0.1
--server=1.2.3.4@127.0.0.1@lo | --server=1.2.3.4@127.0.0.1#5 | --server=1.2.3.4@lo#5
--server=1.2.3.4@::1 | --server=::1@1.2.3.4 | --server=1.2.3.4#53@lo | --server=1.2.3.4@lo#x
--server=fe80::1%lo | --server=fe80::1%lo#53 | --server=::1 | --server=::1#54 | --server=
--server=# | --server=/a/b/1.2.3.4 | --server=//1.2.3.4 | --server=/a//1.2.3.4 | --server=/a/#
--server=/a/ | --server=/#/1.2.3.4 | --server=/*/1.2.3.4 | --server=/*a/1.2.3.4
--server=/*.a/1.2.3.4 | --server=/.a/1.2.3.4 | --server=/a./1.2.3.4 | --server=/a_b.-c/1.2.3.4
--server=/a*b/1.2.3.4 | --server=/a/1.2.3.4#53#53 | --server=1.2.3.4#5x | --local=/a/
--local=/a/1.2.3.4 | --local=1.2.3.4 | --local= | --local=/a/b/ | --server
--rev-server=10.0.0.0/8 | --rev-server=10.0.0.0/8,1.2.3.4 | --rev-server=10.0.0.0/8,#
--rev-server=10.0.0.0/0,1.2.3.4 | --rev-server=10.0.0.0/33,1.2.3.4 | --rev-server=10.0.0.0,1.2.3.4
--rev-server=10.0.0.0/12,1.2.3.4 | --rev-server=fd00::/7,1.2.3.4 | --rev-server=fd00::/129,1.2.3.4
--rev-server=fd00::,1.2.3.4 | --rev-server=x,1.2.3.4 | --rev-server=10.1.2.3/8,1.2.3.4#x
--rev-server=10.0.0.0/ | --address=1.2.3.4 | --address=/a/1.2.3.4 | --address=/a/ | --address=/a/#
--address=# | --address= | --address=/a | --address=/a/b/::1 | --address=/#/1.2.3.4
--address=/a/1.2.3 | --address=//1.2.3.4 | --address=/*a/1.2.3.4 | --address=/a/x
--host-record=a | --host-record=a,1.2.3.4 | --host-record=a,b,1.2.3.4,::1,60
--host-record=a,1.2.3.4,1.2.3.5 | --host-record=a,1.2.3.4,60,b | --cname=a | --cname=a,b
--cname=a,b,60 | --cname=a,60 | --cname=a,b,c | --cname=a,b,c,60 | --cname=a,a | --cname=*.a,b
--cname=a,b,60,70 | --cname=a,b --cname=b,a | --cname=a,b --cname=A,c | --txt-record=a
--txt-record=a,b,c | --txt-record=a, | --srv-host=_a._b | --srv-host=_a._b,t | --srv-host=_a._b,
--srv-host=_a._b,t,80 | --srv-host=_a._b,t,80,1 | --srv-host=_a._b,t,80,1,2 | --srv-host=_a._b,t,
--srv-host=_a._b,t,80,1,2,3 | --srv-host=_a._b,t,x | --srv-host=_a._b,,80
--srv-host=_a._b,t,65536 | --ptr-record=a | --ptr-record=a,b | --ptr-record=a,
--listen-address=1.2.3.4,::1 | --listen-address=1.2.3.4, | --listen-address=lo
--listen-address=::1%lo | --listen-address= | --interface= | --interface=a,b | --interface=a*
--except-interface= | --domain=a.b | --domain= | --domain=a --domain=b | --domain-suffix=a
--log-facility=DAEMON | --log-facility=local7 | --log-facility=mark | --log-facility=x/y
--log-facility=- | --log-facility= | --log-facility=none | --cache-rr=TXT,MX | --cache-rr=ANY
--fast-dns-retry | --fast-dns-retry=49 | --fast-dns-retry=50 | --fast-dns-retry=100,x
--fast-dns-retry= | --fast-dns-retry=100,200 | --use-stale-cache | --use-stale-cache=
--use-stale-cache=x | --max-tcp-connections=0 | --max-tcp-connections=1 | --max-tcp-connections=
--edns-packet-max=70000 | --edns-packet-max=5 | --edns-packet-max= | --rebind-domain-ok=a
--rebind-domain-ok=/a/b/ | --rebind-domain-ok=/a/b | --rebind-domain-ok=a,b
-r a -r b -n | -r a -n | --resolv-file -r b -n | -r a -r b -n -R | --log-queries=zz | -d | -z
--bind-dynamic | --query-port=0 | --query-port=65536 | --min-port=65535 | --max-port=65536
--pid-file= | --pid-file -x y | --enable-dbus | -1 | -1x | --quiet-dhcp | --quiet-dhcp=1 | -y=1
"""
SAME_LINES = [line.strip() for line in re.split(r"\||\n", SAME) if line.strip()]


@pytest.mark.parametrize("line", SAME_LINES)
def test_we_take_what_dnsmasq_takes_and_refuse_what_it_refuses(line: str) -> None:
    words = line.split()
    assert we_accept(*words) is real_accepts(*words)


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("--port=0", "switches DNS off there, what is left is DHCP"),
        ("--dns-forward-max=0", "refuses every question there"),
        ("--min-port=5 --max-port=4", "the same there, but only when it starts"),
        ("--server=/a..b/1.2.3.4", "an empty label; nothing can match"),
        ("--server=001.2.3.4", "an octal number to the library of C"),
        ("--rev-server=10.0.0.0/x,1.2.3.4", "a typing error; 10.0.0.0/32 there"),
        ("--server=/b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher/1.2.3.4", "no IDNA here"),
        ("--host-record=a,", "a name without address means nothing"),
        ("--host-record=a,60", "the same"),
        ("--host-record=1.2.3.4,::1", "an address without name means nothing"),
        ("--host-record=,1.2.3.4", "the same"),
        ("--cname=,b", "an alias without a name"),
        ("--cname=a,", "an alias without target"),
        ("--txt-record=,b", "a record without a name"),
        ("--ptr-record=a,b,c", "names hold no commas"),
        ("--rebind-domain-ok=", "no domain"),
        ("--domain=a.b,10.0.0.0/8", "for DHCP"),
        ("--localise-queries", "not supported"),
    ],
)
def test_where_we_are_stricter_there_is_a_reason(word: str, why: str) -> None:
    assert real_accepts(*word.split()), why
    assert not we_accept(*word.split()), why


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--rev-server=10.0.0.0/8,", "as without the comma"),
        ("--server=fe80::1%nowhere", "whether the interface is there shows later"),
        ("--cache-rr=x", "every type is kept anyway"),
    ],
)
def test_where_we_are_laxer_there_is_a_reason(line: str, why: str) -> None:
    if "rev-server" not in line:  # the real one looks for a host without a name
        assert not real_accepts(line), why
    assert we_accept(line), why


@pytest.mark.parametrize("line", ["--server=[::1]#53", "--server=[::1]:53", "-Stcp://1.2.3.4"])
def test_forms_beyond_those_of_dnsmasq(line: str) -> None:
    assert we_accept(line)
