"""
Every option of dnsmasq 2.90, each in exactly one class: supported, without effect here, refused.

A row is written `name/letter` and then: `=` needs a value, `?` may have one; `!` may be given
once. Spelling and rules are those of its `--help`, its manual page and the program itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Takes(Enum):
    """Whether an option has a value."""

    NOTHING = "alone"
    VALUE = "with a value"
    MAYBE = "with or without a value"


class Verdict(Enum):
    """What becomes of an option."""

    SUPPORTED = "does what it does in dnsmasq"
    IGNORED = "cannot change an answer here: one warning"
    REFUSED = "would change answers, or is another protocol: the start fails"


# The letters of these take no value although their long forms may: -q, --log-queries=extra.
_BARE_LETTERS = "1q"


@dataclass(frozen=True, slots=True)
class Option:
    """
    One option. letter: its short form, empty for none. once: a second one is an error.

    group: the heading in --help; for those that are not supported, the reason.
    meta: how --help calls the value.
    """

    name: str
    letter: str
    takes: Takes
    once: bool
    verdict: Verdict
    group: str
    meta: str = ""
    help: str = ""

    @property
    def letter_takes_value(self) -> bool:
        """Whether a value follows the short form."""
        return self.takes is not Takes.NOTHING and self.letter not in _BARE_LETTERS


_SUPPORTED: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Where to listen": (
        ("port/p=!", "PORT", "UDP and TCP port (default 53)"),
        ("listen-address/a=", "IP,...", "only on these addresses"),
        (
            "interface/i=",
            "NAME,...",
            "only on these interfaces and the loopback one; NAME* for many",
        ),
        ("except-interface/I=", "NAME,...", "not on these interfaces"),
        ("bind-interfaces/z", "", "one socket for each address instead of one for all"),
        ("user/u?!", "NAME", "become this user once the sockets are open"),
        ("max-tcp-connections=!", "N", "connections of clients at the same time (default 256)"),
        ("keep-in-foreground/k", "", "always so"),
    ),
    "Cache": (
        ("cache-size/c?!", "ENTRIES", "answers to keep (default 150); 0: none"),
        (
            "no-negcache/N",
            "",
            "keep no answers that something does not exist; but those of the cluster, while its "
            "server tells when they change",
        ),
        ("neg-ttl=!", "SECONDS", "how long to keep such answers that do not say it themselves"),
        ("min-cache-ttl=!", "SECONDS", "keep answers at least so long; at most 3600"),
        ("max-cache-ttl=!", "SECONDS", "keep answers at most so long"),
        ("max-ttl=!", "SECONDS", "the greatest TTL that a client is told"),
        ("local-ttl/T=!", "SECONDS", "TTL of hosts files and of records given here (default 0)"),
        ("use-stale-cache?!", "SECONDS", "answer with what expired so long ago (86400; 0: ever)"),
        ("cache-rr=", "TYPE,...", "keep answers of these types; always so, for every type"),
    ),
    "Whom to ask": (
        (
            "server/S=",
            "[/DOMAIN/...]SERVER",
            "ask SERVER, for names below these domains only if there are any. SERVER: IP[#PORT]"
            "[@INTERFACE][@SOURCE[#PORT]], [IPv6]:PORT, tcp://IP[:PORT], tls://IP[:PORT]#NAME; "
            "#: the servers without a domain; empty: such names do not exist. DOMAIN: empty for "
            "names without a dot, *TEXT for all names that end so",
        ),
        ("local=", "/DOMAIN/[SERVER]", "the same as --server"),
        ("rev-server=", "NET/LENGTH[,SERVER]", "as --server, for the reverse names of a network"),
        ("servers-file=!", "FILE", "more lines of server= and rev-server=, read again on SIGHUP"),
        ("no-resolv/R", "", "do not read resolv.conf"),
        ("resolv-file/r?", "FILE", "read this instead of /etc/resolv.conf; the newest of several"),
        ("no-poll/n", "", "do not look whether resolv.conf changed"),
        ("strict-order/o", "", "ask servers in their order, the next one when one fails"),
        ("all-servers", "", "ask all servers at once, the first good answer counts"),
        ("dns-loop-detect", "", "find servers that ask us in turn, and leave them out"),
        ("dns-forward-max/0=!", "N", "questions on their way for each group of servers"),
        ("fast-dns-retry?!", "MS[,MS]", "ask again when no answer comes; always so"),
        ("query-port/Q=!", "PORT", "ask from this port; 0: from one that the system chooses"),
        ("min-port=!", "PORT", "lowest port to ask from (default 1024)"),
        ("max-port=!", "PORT", "highest port to ask from"),
        ("edns-packet-max/P=!", "OCTETS", "largest datagram to ask for (default 1232)"),
        ("strip-mac", "", "pass no such option of a client on; always so"),
        ("strip-subnet", "", "pass no such option of a client on; always so"),
    ),
    "What is known here": (
        (
            "address/A=",
            "[/DOMAIN/...]IP",
            "names below these domains have this address; empty: do not exist; #: 0.0.0.0 and ::",
        ),
        ("host-record=", "NAME,...,IP,...[,TTL]", "names and their addresses, and back"),
        ("cname=", "ALIAS,...,TARGET[,TTL]", "aliases"),
        ("txt-record/Y=", "NAME[,TEXT,...]", "a TXT record"),
        ("srv-host/W=", "NAME[,TARGET[,PORT[,PRIORITY[,WEIGHT]]]]", "an SRV record"),
        ("ptr-record=", "NAME[,TARGET]", "a PTR record"),
        ("no-hosts/h", "", "do not read /etc/hosts"),
        ("addn-hosts/H=", "PATH", "read this hosts file, or those in this folder, too"),
        ("hostsdir=", "DIR", "read all hosts files in this folder, and follow their changes"),
        ("expand-hosts/E", "", "names without a dot in hosts files are also known below --domain"),
        ("domain/s=", "DOMAIN", "see --expand-hosts; also put behind a short name of --srv-host"),
        ("domain-suffix=", "DOMAIN", "the same as --domain"),
    ),
    "What is not passed on": (
        ("bogus-priv/b", "", "reverse names of private addresses without a server do not exist"),
        ("domain-needed/D", "", "addresses of names without a dot do not exist"),
        ("stop-dns-rebind", "", "refuse answers of servers that hold private addresses"),
        ("rebind-localhost-ok", "", "loopback addresses are no such answers"),
        ("rebind-domain-ok=", "[/]DOMAIN[/...]", "nor are private ones of names below these"),
        ("filter-A", "", "leave IPv4 addresses out"),
        ("filter-AAAA", "", "leave IPv6 addresses out"),
        ("proxy-dnssec", "", "tell clients what servers say about validity (the AD bit)"),
        ("no-round-robin", "", "keep the order of records"),
        ("no-ident", "", "do not answer the names of *.bind"),
    ),
    "Log, files, help": (
        ("log-queries/q?", "extra", "log queries; extra: with a number and the client"),
        ("log-facility/8=!", "-|FILE|NAME", "FILE: log there instead of to standard error"),
        (
            "conf-file/C?",
            "FILE",
            "options from a file, one on a line, instead of /etc/dnsmasq.conf",
        ),
        ("conf-dir/7=", "DIR[,EXT|*EXT...]", "all files in a folder; without or only with EXT"),
        ("test", "", "say whether the options are good, and exit"),
        ("version/v", "", "print the version and exit"),
        ("help/w", "", "print this and exit"),
    ),
}

_IGNORED = {
    "this program always logs so": "log-async?! log-debug",
    "nothing is logged about that": "log-dhcp quiet-dhcp quiet-dhcp6 quiet-ra quiet-tftp",
    "this program stays in the foreground": "no-daemon/d pid-file/x?!",
    "the group of the process is kept": "group/g?!",
    "addresses that come and go are always followed": "bind-dynamic",
    "there is no message bus": "enable-dbus/1?! enable-ubus?!",
    "every question has a port of its own": "port-limit=!",
    "answers of servers that are no longer asked are not used": "clear-on-reload",
    "packets are not dumped": "dumpfile=! dumpmask=!",
    "there is no DHCP": "no-dhcp-interface/2= no-dhcpv4-interface= no-dhcpv6-interface=",
}

_REFUSED = {
    "DHCP is not served": """
        bootp-dynamic/3? bridge-interface= dhcp-alternate-port?! dhcp-authoritative/K dhcp-boot/M=
        dhcp-broadcast? dhcp-circuitid= dhcp-client-update dhcp-duid=! dhcp-fqdn
        dhcp-generate-names? dhcp-host/G= dhcp-hostsdir= dhcp-hostsfile= dhcp-ignore/J=
        dhcp-ignore-clid dhcp-ignore-names? dhcp-lease=! dhcp-lease-max/X=! dhcp-leasefile/l?!
        dhcp-luascript= dhcp-mac/4= dhcp-match= dhcp-name-match= dhcp-no-override dhcp-option/O=
        dhcp-option-force= dhcp-optsdir= dhcp-optsfile= dhcp-proxy? dhcp-pxe-vendor= dhcp-range/F=
        dhcp-rapid-commit dhcp-relay= dhcp-remoteid= dhcp-reply-delay=! dhcp-script/6=!
        dhcp-scriptuser=! dhcp-sequential-ip dhcp-subscrid= dhcp-ttl=! dhcp-userclass/j=
        dhcp-vendorclass/U= leasefile-ro/9 no-ping/5 pxe-prompt= pxe-service= read-ethers/Z
        script-arp script-on-renewal shared-network= tag-if=""",
    "TFTP is not served": """
        enable-tftp? tftp-lowercase tftp-max=! tftp-mtu=! tftp-no-blocksize tftp-no-fail
        tftp-port-range=! tftp-root= tftp-secure tftp-single-port tftp-unique-root?""",
    "router advertisement is not part of this program": "enable-ra ra-param=",
    "DNSSEC is not validated here, only passed on": """
        dnssec dnssec-check-unsigned? dnssec-debug dnssec-limits=! dnssec-no-timecheck
        dnssec-timestamp=! trust-anchor=""",
    "zones are not served with authority": """
        auth-peer= auth-sec-servers= auth-server=! auth-soa=! auth-ttl=! auth-zone=""",
    "sets and marks of the packet filter are not supported": """
        connmark-allowlist= connmark-allowlist-enable?! conntrack ipset= nftset=""",
    "servers are told nothing about clients": "add-cpe-id=! add-mac? add-subnet?! umbrella?",
    "answers cannot be rewritten in this way": """
        alias/V= bogus-nxdomain/B= filter-rr= filterwin2k/f ignore-address=""",
    "records of this kind cannot be given": """
        caa-record= dns-rr= dynamic-host= interface-name= localmx/L mx-host/m= mx-target/t=!
        naptr-record= selfmx/e synth-domain=""",
    "answers do not depend on where a query comes from": "local-service? localise-queries/y",
    "programs are not run for configuration": "conf-script=",
}


def _option(row: str, verdict: Verdict, group: str, meta: str = "", help: str = "") -> Option:
    spelled = row.rstrip("=?!")
    name, _, letter = spelled.partition("/")
    kind = row[len(spelled) :]
    takes = Takes.VALUE if "=" in kind else Takes.MAYBE if "?" in kind else Takes.NOTHING
    return Option(name, letter, takes, "!" in kind, verdict, group, meta, help)


def _options() -> Iterator[Option]:
    for group, rows in _SUPPORTED.items():
        for row, meta, help in rows:
            yield _option(row, Verdict.SUPPORTED, group, meta, help)
    for verdict, groups in ((Verdict.IGNORED, _IGNORED), (Verdict.REFUSED, _REFUSED)):
        for reason, words in groups.items():
            for row in words.split():
                yield _option(row, verdict, reason)


OPTIONS = {option.name: option for option in _options()}
LETTERS = {option.letter: option for option in OPTIONS.values() if option.letter}
