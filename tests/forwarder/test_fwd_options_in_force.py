"""Each option of dnsmasq that is supported does what it says, in the real process."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import psutil
import pytest

from tests.forwarder.behaviours import (
    GOOD,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    answers,
    fails,
    silent,
    zone,
)
from tests.forwarder.client import data, ede, query
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.program import ORIGINAL, run
from tests.realapi.ports import free_port
from tests.realapi.waiting import becomes, until

TWO = "192.0.2.2"
SIX = "2001:db8::1"

# What is known or decided here: options, question, answer with them, answer without them. The
# server behind knows www.example (A, AAAA) and gives the last two addresses of each row.
LOCAL: dict[str, tuple[list[str], str, set[str], set[str]]] = {
    "host-record, A": (
        ["--host-record=nas.example,nas,192.0.2.7,2001:db8::7"],
        "nas.example. A", {"192.0.2.7"}, {"NXDOMAIN"},
    ),
    "host-record, AAAA": (
        ["--host-record=nas.example,nas,192.0.2.7,2001:db8::7"],
        "nas. AAAA", {"2001:db8::7"}, {"NXDOMAIN"},
    ),
    "host-record, PTR": (
        ["--host-record=nas.example,192.0.2.7"],
        "7.2.0.192.in-addr.arpa. PTR", {"nas.example."}, {"NXDOMAIN"},
    ),
    "cname": (
        ["--cname=alias.example,nas.example", "--host-record=nas.example,192.0.2.7"],
        "alias.example. A", {"nas.example.", "192.0.2.7"}, {"NXDOMAIN"},
    ),
    "txt-record": (
        ["--txt-record=note.example,hello,world"],
        "note.example. TXT", {'"hello" "world"'}, {"NXDOMAIN"},
    ),
    "srv-host": (
        ["--srv-host=_ldap._tcp.example,nas.example,389,1,2"],
        "_ldap._tcp.example. SRV", {"1 2 389 nas.example."}, {"NXDOMAIN"},
    ),
    "ptr-record": (
        ["--ptr-record=_http._tcp.example,nas.example"],
        "_http._tcp.example. PTR", {"nas.example."}, {"NXDOMAIN"},
    ),
    "address": (
        ["--address=/blocked.example/192.0.2.66"],
        "www.blocked.example. A", {"192.0.2.66"}, {"NXDOMAIN"},
    ),
    "address, no such name": (
        ["--address=/example/"], "www.example. A", {"NXDOMAIN"}, {GOOD},
    ),
    "address, nowhere": (
        ["--address=/blocked.example/#"], "www.blocked.example. AAAA", {"::"}, {"NXDOMAIN"},
    ),
    "local": (["--local=/example/"], "www.example. A", {"NXDOMAIN"}, {GOOD}),
    "local, known here": (
        ["--local=/example/", "--host-record=nas.example,192.0.2.7"],
        "nas.example. A", {"192.0.2.7"}, {"NXDOMAIN"},
    ),
    "server without address": (["--server=/example/"], "www.example. A", {"NXDOMAIN"}, {GOOD}),
    "filter-A": (["--filter-A"], "www.example. A", {"NODATA"}, {GOOD}),
    "filter-A, the others": (["--filter-A"], "www.example. AAAA", {SIX}, {SIX}),
    "filter-AAAA": (["--filter-AAAA"], "www.example. AAAA", {"NODATA"}, {SIX}),
    "domain-needed": (["--domain-needed"], "printer. A", {"NXDOMAIN"}, {"192.0.2.3"}),
    "domain-needed, dotted": (["--domain-needed"], "www.example. A", {GOOD}, {GOOD}),
    "bogus-priv": (
        ["--bogus-priv"], "1.1.168.192.in-addr.arpa. PTR", {"NXDOMAIN"}, {"router.example."},
    ),
    "stop-dns-rebind": (["--stop-dns-rebind"], "private.example. A", {"NODATA"}, {"10.0.0.1"}),
    "rebind-domain-ok": (
        ["--stop-dns-rebind", "--rebind-domain-ok=/private.example/"],
        "private.example. A", {"10.0.0.1"}, {"10.0.0.1"},
    ),
    "no-ident": (["--no-ident"], "version.bind. TXT CH", {"NOTIMP"}, set()),
}  # fmt: skip
BEHIND = zone(
    f"www.example. 300 IN A {GOOD}",
    f"www.example. 300 IN AAAA {SIX}",
    "printer. 300 IN A 192.0.2.3",
    "private.example. 300 IN A 10.0.0.1",
    "1.1.168.192.in-addr.arpa. 300 IN PTR router.example.",
)


@pytest.mark.parametrize("what", LOCAL)
def test_what_is_decided_here(start: Start, server: StartServer, what: str) -> None:
    """With the option and without it, by UDP and TCP, the second time from the cache."""
    options, question, with_them, without_them = LOCAL[what]
    behind = server(BEHIND)
    name, rdtype, *rdclass = question.split()
    for given, expected in ((options, with_them), ([], without_them)):
        forwarder = start(f"--server={behind.server}", *given)
        for tcp in (False, True, False):
            asked = query(name, rdtype, *rdclass)
            found = data(forwarder.send(asked, tcp=tcp))
            if what == "stop-dns-rebind" and given and ORIGINAL:
                continue  # it refuses
            assert found == expected or not expected, (given, tcp)


def hosts_and_conf(folder: Path) -> dict[str, list[str]]:
    """Write files, and return options that lead to them, each of which makes nas.example known."""
    (folder / "hosts").write_text("192.0.2.7 nas.example\n")
    (folder / "hosts.d").mkdir()
    (folder / "hosts.d" / "one").write_text("192.0.2.7 nas.example\n")
    (folder / "plain").write_text("192.0.2.7 nas\n")
    (folder / "conf").write_text("# ours\nhost-record=nas.example,192.0.2.7\n")
    (folder / "conf.d").mkdir()
    (folder / "conf.d" / "one.conf").write_text("host-record=nas.example,192.0.2.7\n")
    return {
        "addn-hosts": [f"--addn-hosts={folder}/hosts"],
        "addn-hosts, a folder": [f"--addn-hosts={folder}/hosts.d"],
        "hostsdir": [f"--hostsdir={folder}/hosts.d"],
        "expand-hosts": [f"--addn-hosts={folder}/plain", "--expand-hosts", "--domain=example"],
        "conf-file": [f"--conf-file={folder}/conf"],
        "conf-dir": [f"--conf-dir={folder}/conf.d,*.conf"],
    }


@pytest.mark.parametrize(
    "what",
    ["addn-hosts", "addn-hosts, a folder", "hostsdir", "expand-hosts", "conf-file", "conf-dir"],
)
def test_names_from_files(start: Start, tmp_path: Path, what: str) -> None:
    options = hosts_and_conf(tmp_path)[what]
    forwarder = start(*options)
    becomes(lambda: forwarder.look("nas.example."), {"192.0.2.7"})
    assert forwarder.look("7.2.0.192.in-addr.arpa.", "PTR") == {"nas.example."}


def test_hostsdir_is_followed(start: Start, tmp_path: Path) -> None:
    """Without any signal."""
    forwarder = start(*hosts_and_conf(tmp_path)["hostsdir"])
    becomes(lambda: forwarder.look("nas.example."), {"192.0.2.7"})
    (tmp_path / "hosts.d" / "two").write_text("192.0.2.8 scanner.example\n")
    becomes(lambda: forwarder.look("scanner.example."), {"192.0.2.8"})


@pytest.mark.usefixtures("ours_only")
def test_a_name_that_appears_in_a_hostsdir_exists_for_all_types(
    start: Start, server: StartServer, tmp_path: Path
) -> None:
    """What was known of its absence is forgotten, for hours it would be NXDOMAIN else."""
    options = hosts_and_conf(tmp_path)["hostsdir"]
    forwarder = start(*options, f"--server={server(zone()).server}")
    for _ in range(3):
        assert forwarder.look("scanner.example.", "AAAA") == {"NXDOMAIN"}
        assert forwarder.look("other.example.", "AAAA") == {"NXDOMAIN"}
    (tmp_path / "hosts.d" / "two").write_text("192.0.2.8 scanner.example\n")
    becomes(lambda: forwarder.look("scanner.example."), {"192.0.2.8"})
    assert forwarder.look("scanner.example.", "AAAA") == {"NODATA"}
    assert forwarder.look("other.example.", "AAAA") == {"NXDOMAIN"}


# Options, TTL from the server, TTLs of the first answer and of later ones.
TTLS: dict[str, tuple[list[str], int, range, range]] = {
    "as it is": ([], 300, range(295, 301), range(290, 301)),
    "max-ttl": (["--max-ttl=60"], 300, range(60, 61), range(55, 61)),
    "max-cache-ttl": (["--max-cache-ttl=60"], 300, range(60, 301), range(55, 61)),
    "min-cache-ttl": (["--min-cache-ttl=100"], 5, range(5, 101), range(90, 101)),
}


@pytest.mark.parametrize("what", TTLS)
def test_bounds_of_ttls(start: Start, server: StartServer, what: str) -> None:
    options, ttl, first, later = TTLS[what]
    forwarder = start(f"--server={server(answers(f'@ {ttl} IN A {GOOD}')).server}", *options)
    assert forwarder.ask("www.example.").answer[0].ttl in first
    assert forwarder.ask("www.example.").answer[0].ttl in later


def test_local_ttl(start: Start) -> None:
    for options, ttl in (([], 0), (["--local-ttl=77"], 77)):
        forwarder = start("--host-record=nas.example,192.0.2.7", *options)
        assert forwarder.ask("nas.example.").answer[0].ttl == ttl


NEGATIVE: dict[str, tuple[list[str], bool, int]] = {
    # options, whether there is a SOA, questions at the server for three of a client
    "with SOA": ([], True, 1),
    "no-negcache": (["--no-negcache"], True, 3),
    "without SOA": ([], False, 3),
    "neg-ttl": (["--neg-ttl=60"], False, 1),
    "cache-size 0": (["--cache-size=0"], True, 3),
}


@pytest.mark.parametrize("what", NEGATIVE)
def test_missing_names(start: Start, server: StartServer, what: str) -> None:
    options, with_soa, count = NEGATIVE[what]
    behind = server(zone() if with_soa else fails(NXDOMAIN))
    forwarder = start(f"--server={behind.server}", *options)
    for _ in range(3):
        assert forwarder.look("none.example.") == {"NXDOMAIN"}
    assert len(behind.questions("none.example.")) == count


def test_cache_size(start: Start, server: StartServer) -> None:
    """So many answers are kept; CHAOS tells it; with 0 none."""
    for size, count in ((0, 60), (20, 1000), (1000, 30)):
        behind = server()
        forwarder = start(f"--server={behind.server}", f"--cache-size={size}")
        assert forwarder.statistic("cachesize.bind") == str(size)
        for _ in range(2):
            for i in range(30):
                assert forwarder.look(f"n{i}.example.") == {GOOD}
        assert (30 < len(behind.asked) <= 60) if count == 1000 else len(behind.asked) == count
        if not ORIGINAL:
            assert forwarder.status()["cache"]["entries"] <= size


@pytest.mark.usefixtures("ours_only")
def test_use_stale_cache(start: Start, server: StartServer) -> None:
    """What has expired is answered at once, with the extended error; and asked for behind."""
    behind = server(answers(f"@ 1 IN A {GOOD}"))
    forwarder = start(f"--server={behind.server}", "--use-stale-cache=3600")
    assert forwarder.look("www.example.") == {GOOD}
    behind.play = silent
    until(lambda: ede(forwarder.ask("www.example.")) == [3])
    assert forwarder.look("www.example.") == {GOOD}


def test_no_round_robin(start: Start, server: StartServer) -> None:
    addresses = [f"192.0.2.{i}" for i in range(1, 5)]
    behind = server(answers(*(f"@ 300 IN A {address}" for address in addresses)))

    def first(*options: str) -> set[str]:
        forwarder = start(f"--server={behind.server}", *options)
        replies = [forwarder.ask("www.example.") for _ in range(12)]
        return {reply.answer[0][0].to_text() for reply in replies}

    assert len(first("--no-round-robin")) == 1
    assert len(first()) > 1


# Which server is asked


def test_a_server_for_a_domain(start: Start, server: StartServer) -> None:
    """The most specific one; `#` is the default ones; names without a dot have their own."""
    default, stub, plain = (
        server(),
        server(answers(f"@ 300 IN A {TWO}")),
        server(answers("@ 300 IN A 192.0.2.3")),
    )
    forwarder = start(
        f"--server={default.server}", f"--server=/acme.local/{stub.server}",
        "--server=/public.acme.local/#", f"--server=//{plain.server}",
    )  # fmt: skip
    assert forwarder.look("www.example.") == {GOOD}
    assert forwarder.look("www.acme.local.") == {TWO}
    assert forwarder.look("www.public.acme.local.") == {GOOD}
    assert forwarder.look("printer.") == {"192.0.2.3"}


@pytest.mark.usefixtures("ours_only")
def test_servers_of_a_file_are_read_again(
    start: Start, server: StartServer, tmp_path: Path
) -> None:
    """SIGHUP; one that only sends a domain to the default servers counts too."""
    file, default = tmp_path / "servers", server()
    stub = server(answers(f"@ 300 IN A {TWO}"))
    file.write_text("")
    forwarder = start(
        f"--server={default.server}", f"--server=/acme.local/{stub.server}",
        f"--servers-file={file}",
    )  # fmt: skip
    assert forwarder.look("www.public.acme.local.") == {TWO}
    file.write_text("server=/public.acme.local/#\n")
    forwarder.send_signal(signal.SIGHUP)
    becomes(lambda: forwarder.look("www.public.acme.local."), {GOOD})
    assert forwarder.look("www.acme.local.") == {TWO}


def test_bogus_priv_with_a_server(start: Start, server: StartServer) -> None:
    """Private reverse names for which there is a server are asked for, as those of the cluster."""
    default, own = server(zone()), server(answers("@ 300 IN PTR nas.example."))
    forwarder = start(
        f"--server={default.server}", "--bogus-priv", f"--server=/in-addr.arpa/{own.server}"
    )
    assert forwarder.look("1.7.168.192.in-addr.arpa.", "PTR") == {"nas.example."}


def test_rev_server(start: Start, server: StartServer) -> None:
    default, own = server(zone()), server(answers("@ 300 IN PTR nas.example."))
    forwarder = start(f"--server={default.server}", f"--rev-server=192.168.7.0/24,{own.server}")
    assert forwarder.look("1.7.168.192.in-addr.arpa.", "PTR") == {"nas.example."}
    assert forwarder.look("1.8.168.192.in-addr.arpa.", "PTR") == {"NXDOMAIN"}


def test_nobody_to_ask(start: Start) -> None:
    """--no-resolv and no server: refused, with the reason."""
    reply = start().ask("www.example.")
    assert data(reply) == {"REFUSED"}
    assert ede(reply) == [14]


def test_strict_order(start: Start, server: StartServer) -> None:
    """The first that is named, as long as it answers; an error is not an answer."""
    one, two = server(), server(answers(f"@ 300 IN A {TWO}"))
    forwarder = start(f"--server={one.server}", f"--server={two.server}", "--strict-order")
    for i in range(20):
        assert forwarder.look(f"n{i}.example.") == {GOOD}
    assert not two.asked
    for error in (SERVFAIL, REFUSED):
        one.play = fails(error)
        assert forwarder.look(f"e{error}.example.") == {TWO}


def test_all_servers(start: Start, server: StartServer) -> None:
    """Each question goes to all of them."""
    servers = [server() for _ in range(3)]
    forwarder = start(*(f"--server={each.server}" for each in servers), "--all-servers")
    for i in range(10):
        assert forwarder.look(f"n{i}.example.") == {GOOD}
    for each in servers:
        until(lambda each=each: len([n for n in each.names() if n.startswith("n")]) == 10)


def sources(start: Start, server: StartServer, *options: str) -> set[int]:
    """Return the ports from which forty questions came."""
    behind = server()
    forwarder = start(f"--server={behind.server}", *options)
    for i in range(40):
        assert forwarder.look(f"n{i}.example.") == {GOOD}
    return {asked.source[1] for asked in behind.asked if not asked.tcp}


def test_source_ports(start: Start, server: StartServer) -> None:
    """--query-port: that one; --min-port and --max-port: between them; else from far and wide."""
    port = free_port()
    assert sources(start, server, f"--query-port={port}") == {port}
    within = sources(start, server, "--min-port=40000", "--max-port=40500")
    assert within <= set(range(40000, 40501))
    assert len(within) > 10
    ports = sources(start, server)
    assert max(ports) - min(ports) > 5000


def test_edns_packet_max(start: Start, server: StartServer) -> None:
    """What is offered to servers."""
    for options, size in (([], 1232), (["--edns-packet-max=4096"], 4096)):
        behind = server()
        forwarder = start(f"--server={behind.server}", *options)
        assert data(forwarder.ask("www.example.", edns=4096)) == {GOOD}
        assert behind.asked[0].message.payload == size


@pytest.mark.usefixtures("ours_only")
def test_dns_forward_max(start: Start, server: StartServer) -> None:
    """A bound for each group of servers: what is beyond fails, other groups do not care."""
    stuck, well = server(silent), server()
    forwarder = start(
        f"--server=/stuck.example/{stuck.server}", f"--server={well.server}",
        "--dns-forward-max=20",
    )  # fmt: skip
    wires = [query(f"n{i}.stuck.example.").to_wire() for i in range(60)]
    with forwarder.volley(wires) as volley:
        stuck.wait_for("n0.stuck.example.")
        for i in range(20):
            assert forwarder.look(f"n{i}.example.") == {GOOD}
        assert None not in volley.replies()
    assert sum(forwarder.status()["load"]["limits_reached"].values()) >= 1
    forwarder.logs("Maximum number of concurrent DNS queries to one group of servers reached")


@pytest.mark.usefixtures("ours_only")
def test_proxy_dnssec_and_trusted(start: Start, server: StartServer) -> None:
    """AD is cleared, unless somebody says that it may be believed."""
    play = answers(f"@ 300 IN A {GOOD}", flags="QR RD RA AD")
    behind = server(play)
    cases: list[tuple[list[str], list[str], bool]] = [
        ([], [], False),
        (["--proxy-dnssec"], [], True),
        ([], [f"--trusted={behind.address}"], True),
        ([], ["--trusted=192.0.2.99"], False),
    ]
    for options, nanny, expected in cases:
        forwarder = start(f"--server={behind.server}", *options, nanny=nanny)
        for _ in range(2):
            asked = query("www.example.", flags="RD AD", do=True)
            assert bool(forwarder.send(asked).flags & 0x20) == expected, (options, nanny)


# Process and log


def test_port_and_listen_address(start: Start) -> None:
    """Several addresses, several times; nobody listens elsewhere."""
    port = free_port()
    forwarder = start(
        "--listen-address=127.0.0.1,127.0.0.7", "--listen-address=127.0.0.9", "--bind-interfaces",
        "--host-record=nas.example,192.0.2.7", port=port,
    )  # fmt: skip
    for address in ("127.0.0.1", "127.0.0.7", "127.0.0.9"):
        forwarder.address = address
        for tcp in (False, True):
            assert forwarder.look("nas.example.", tcp=tcp) == {"192.0.2.7"}
    forwarder.address = "127.0.0.8"
    assert not forwarder.listens()


@pytest.mark.usefixtures("ours_only")
def test_port_0_serves_nothing_but_pages(start: Start) -> None:
    """As in dnsmasq, port 0 switches DNS off."""
    forwarder = start(wait=False, port=0, local_files=["--no-hosts", "--no-resolv"])
    forwarder.ready()
    assert forwarder.page("/healthz")[0] == 200


@pytest.mark.usefixtures("ours_only")
def test_user(start: Start, server: StartServer) -> None:
    """Root's rights go once the sockets are open; what comes then still works."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    behind = server()
    forwarder = start(f"--server={behind.server}", "--user=nobody")
    until(lambda: psutil.Process(forwarder.pid).uids().effective != 0)
    assert psutil.Process(forwarder.pid).uids().real != 0
    assert 0 not in {psutil.Process(forwarder.pid).gids().real}
    for tcp in (False, True):
        assert forwarder.look(f"tcp{tcp}.example.", tcp=tcp) == {GOOD}


LOGGED = [
    r"query\[A\] www\.example from 127\.0\.0\.1",
    r"forwarded www\.example to 127\.0\.0\.2#\d+",
    r"reply www\.example is 192\.0\.2\.1",
    r"query\[A\] www\.example from 127\.0\.0\.1",
    r"cached www\.example is 192\.0\.2\.1",
    r"query\[A\] nas\.example from 127\.0\.0\.1",
    r"config nas\.example is 192\.0\.2\.7",
]


@pytest.mark.parametrize("extra", [False, True])
def test_log_queries(start: Start, server: StartServer, extra: bool) -> None:
    """Line by line as dnsmasq writes them, also from the cache; `=extra` with serial and client."""
    forwarder = start(
        f"--server={server().server}", "--host-record=nas.example,192.0.2.7",
        "--log-queries=extra" if extra else "--log-queries",
    )  # fmt: skip
    for name in ("www.example.", "www.example.", "nas.example."):
        forwarder.look(name)
    forwarder.logs("config nas.example")
    front = r"dnsmasq\[\d+\]: " + (r"\d+ 127\.0\.0\.1/\d+ " if extra else "")
    lines = [line for line in forwarder.log().splitlines() if re.search(r" (www|nas)\.ex", line)]
    assert len(lines) == len(LOGGED), lines
    for line, pattern in zip(lines, LOGGED, strict=True):
        assert re.search(f"{front}{pattern}$", line), (line, pattern)


@pytest.mark.usefixtures("ours_only")
def test_log_queries_is_limited(start: Start, server: StartServer) -> None:
    """A hundred lines a second unless told otherwise; what is left out is told of and counted."""
    forwarder = start(f"--server={server().server}", "--log-queries")
    wires = [query(f"n{i}.example.").to_wire() for i in range(500)]
    assert None not in forwarder.together(wires)
    until(lambda: forwarder.metric("kubedns_forwarder_log_queries_suppressed_total") > 100)
    lines = [line for line in forwarder.log().splitlines() if "query[A]" in line]
    assert 0 < len(lines) < 450


@pytest.mark.usefixtures("ours_only")
def test_options_without_effect_are_told_of_once(start: Start, server: StartServer) -> None:
    forwarder = start(
        f"--server={server().server}", "--pid-file=/nonexistent", "--log-async=20", "--no-daemon",
    )  # fmt: skip
    assert forwarder.look("www.example.") == {GOOD}
    for option in ("pid-file", "log-async"):
        assert len(forwarder.logs(f"--{option} has no effect")) == 1


@pytest.mark.usefixtures("ours_only")
def test_help_version_and_test(tmp_path: Path) -> None:
    """--help groups all options; --version says ours; --test reads all files and starts nothing."""
    status, lines = run("--help")
    assert status == 0
    text = "\n".join(lines)
    for group in ("Flags of dnsmasq-nanny", "Options of dnsmasq: where to listen", "no effect",
                  "not supported", "-configDir", "--cache-size", "--dhcp-range"):  # fmt: skip
        assert group in text
    assert max(map(len, lines)) <= 100
    status, lines = run("--version")
    assert (status, len(lines)) == (0, 1)
    assert run("--test") == (0, ["syntax check OK."])
    (tmp_path / "bad.conf").write_text("cache-size=100\ncache-sise=100\n")
    status, lines = run(f"--conf-file={tmp_path}/bad.conf", "--test")
    assert status == 1
    assert "line 2" in lines[-1]


# Our own flags


@pytest.mark.usefixtures("ours_only")
def test_client_deadline(start: Start, server: StartServer) -> None:
    """A silent server: the client is told before it gives up, with the reason."""
    forwarder = start(f"--server={server(silent).server}", nanny=["--client-deadline=500ms"])
    reply = forwarder.ask("www.example.")
    assert data(reply) == {"SERVFAIL"}
    assert ede(reply) in ([22], [23])


@pytest.mark.usefixtures("ours_only")
def test_max_stale(start: Start, server: StartServer) -> None:
    """How long an answer may be served after its time; 0 switches it off."""
    for flag, expected in (("1h", {GOOD}), ("0", {"SERVFAIL"})):
        behind = server(answers(f"@ 1 IN A {GOOD}"))
        forwarder = start(f"--server={behind.server}", nanny=[f"--max-stale={flag}"])
        assert forwarder.look("www.example.") == {GOOD}
        behind.play = fails(SERVFAIL)
        until(lambda f=forwarder, b=behind: f.look("www.example.") and len(b.asked) > 1)
        assert forwarder.look("www.example.") == expected


@pytest.mark.usefixtures("ours_only")
@pytest.mark.parametrize("flag", ["", "off"])
def test_no_pages(start: Start, server: StartServer, flag: str) -> None:
    forwarder = start(f"--server={server().server}", nanny=[f"--admin-address={flag}"])
    assert forwarder.look("www.example.") == {GOOD}
    assert not [each for each in psutil.Process(forwarder.pid).net_connections("tcp")
                if each.status == "LISTEN" and each.laddr.port != forwarder.port]  # fmt: skip


@pytest.mark.usefixtures("ours_only")
def test_cache_bytes(start: Start, server: StartServer) -> None:
    """The cache is bounded by octets too."""
    text = " ".join(f'"{"x" * 200}"' for _ in range(4))
    behind = server(answers(f"@ 300 IN TXT {text}"))
    forwarder = start(
        f"--server={behind.server}", "--cache-size=100000", nanny=["--cache-bytes=1Mi"]
    )
    wires = [query(f"n{i}.example.", "TXT").to_wire() for i in range(3000)]
    for first in range(0, len(wires), 100):
        assert None not in forwarder.together(wires[first : first + 100])
    cache = forwarder.status()["cache"]
    assert 100 < cache["entries"] < 2000
    assert cache["bytes"] <= cache["max_bytes"] == 1 << 20
    assert cache["evictions"] > 1000


@pytest.mark.usefixtures("ours_only")
def test_dnsmasq_compat_counters(start: Start, server: StartServer) -> None:
    """Queries over TCP count as hits and misses, unless sums as dnsmasq's are wanted."""
    for nanny, (hits, misses) in (([], (1, 1)), (["--dnsmasq-compat-counters"], (0, 0))):
        forwarder = start(f"--server={server().server}", nanny=nanny)
        before = int(forwarder.statistic("hits.bind"))
        for _ in range(2):
            assert forwarder.look("www.example.", tcp=True) == {GOOD}
        assert int(forwarder.statistic("misses.bind")) == misses
        assert int(forwarder.statistic("hits.bind")) - before - 2 == hits
