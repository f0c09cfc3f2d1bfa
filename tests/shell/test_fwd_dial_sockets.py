"""Which sockets attempts over UDP are sent from: where nobody can guess, and not too many."""

import random
import resource
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from dnsmasq_py.dial import file_room
from dnsmasq_py.options import Options
from dnsmasq_py.pools import MAX_AGE_S, MAX_USES, POOL_SIZE
from dnsmasq_py.ports import Ports
from dnsmasq_py.randomness import triples
from dnsmasq_py.server import Server, Transport
from tests.dialing import Bench, Exchange, Upstream, closed_port, reply

Make = Callable[..., Bench]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def make(upstream: Upstream) -> Iterator[Make]:
    made: list[Bench] = []

    def make(options: Options | None = None, most: int = 10_000) -> Bench:
        made.append(Bench(options or Options(), most, upstream))
        return made[-1]

    yield make
    for bench in made:
        bench.dialer.close()
        assert not bench.reactor.getDelayedCalls()
        assert bench.dialer.sockets == 0


@pytest.fixture
def bench(make: Make) -> Bench:
    return make()


def is_even(counts: Iterable[int]) -> bool:
    """Tell by χ² whether these counts are of equally likely events; wrong once in a million."""
    seen = list(counts)
    mean = sum(seen) / len(seen)
    free = len(seen) - 1
    chi_square: float = sum((count - mean) ** 2 / mean for count in seen)
    limit: float = free * (1 - 2 / (9 * free) + 4.75 * (2 / (9 * free)) ** 0.5) ** 3
    return chi_square < limit


def test_the_measure_knows_even_from_uneven() -> None:
    rng = random.Random(1)
    assert is_even(Counter(rng.randrange(64) for _ in range(5000)).values())
    assert not is_even(Counter(min(rng.randrange(64), 55) for _ in range(5000)).values())


@pytest.mark.parametrize(
    ("options", "source", "host"),
    [
        (Options(), "", "127.0.0.1"),
        (Options(), "127.0.0.2", "127.0.0.1"),
        (Options(), "", "::1"),
        (Options(min_port=20_000, max_port=60_000), "", "127.0.0.1"),
        (Options(min_port=20_000, max_port=60_000), "127.0.0.2", "127.0.0.1"),
    ],
    ids=["plain", "source", "IPv6", "range", "range and source"],
)
def test_ports_of_new_sockets_are_spread_evenly(options: Options, source: str, host: str) -> None:
    ports = Ports(options)
    server = Server(host, 9, source=source)
    if options.min_port == 20_000:
        least, most = 20_000, 60_000
    else:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
        least, most = map(int, text.split())
    assert most - least >= 2**14
    seen = []
    for _ in range(5000):
        with ports.connected(server) as udp:
            seen.append(udp.getsockname()[1])
    assert least <= min(seen) and max(seen) <= most
    assert is_even(Counter((port - least) * 64 // (most - least + 1) for port in seen).values())
    assert is_even((sum(port & 1 for port in seen), sum(1 - port & 1 for port in seen)))
    assert len(set(seen)) > 4000


def test_ids_and_choices_are_spread_evenly() -> None:
    draws = [draw for draw, _ in zip(triples(), range(50_000), strict=False)]
    for octet in range(3):
        assert is_even(Counter(draw[octet] for draw in draws).values())
    ids = [draw[:2] for draw in draws[:5000]]
    assert len(set(ids)) > 4700


def test_ids_on_the_wire_are_spread_evenly_over_all_sockets(bench: Bench) -> None:
    for _ in range(5000):
        bench.send()
    queries = bench.upstream.queries(5000)
    assert is_even(Counter(query[0] >> 2 for query, _ in queries).values())
    assert is_even(Counter(query[1] >> 2 for query, _ in queries).values())
    uses = Counter(client[1] for _, client in queries)
    assert len(uses) == POOL_SIZE
    assert is_even(uses.values())


def test_a_socket_is_used_a_hundred_times_at_most(bench: Bench) -> None:
    uses: Counter[object] = Counter()
    for _ in range(POOL_SIZE * MAX_USES + 3000):
        uses[bench.send().line[0]] += 1
        query, client = bench.upstream.query()
        bench.answer(reply(query), client)
    assert max(uses.values()) == MAX_USES
    assert len(uses) > POOL_SIZE
    assert bench.dialer.sockets <= POOL_SIZE


def test_a_socket_is_used_for_ten_seconds_at_most(bench: Bench) -> None:
    before = set(bench.sources(1000))
    bench.reactor.pump([1.0] * int(MAX_AGE_S))
    after = set(bench.sources(1000))
    assert len(before & after) <= POOL_SIZE // 8
    assert bench.dialer.sockets <= POOL_SIZE


def test_a_socket_that_has_been_replaced_still_hears_its_answer(bench: Bench) -> None:
    exchange = Exchange()
    attempt = bench.send(exchange)
    query, client = bench.upstream.query()
    line, _ = attempt.line
    while not line.retired:
        bench.sources(100)
    before = bench.dialer.sockets
    bench.answer(reply(query), client)
    assert exchange.messages == [reply(query)]
    assert bench.dialer.sockets == before - 1


def test_at_the_bound_sockets_are_used_on_and_no_attempt_fails(make: Make) -> None:
    bench = make(most=4)
    for _ in range(2000):
        bench.send()
    clients = Counter(client for _, client in bench.upstream.queries(2000))
    assert bench.dialer.sockets == len(clients) == 4
    assert max(clients.values()) > MAX_USES
    assert bench.counters.limits["upstream sockets"] > 0
    with Upstream() as other:
        bench.send(server=other.server)  # each server has one at least
        assert other.query()
    assert bench.dialer.sockets == 5


def test_when_no_socket_can_be_opened_those_there_are_do(make: Make) -> None:
    port = closed_port().port
    bench = make(Options(min_port=port, max_port=port))
    assert set(bench.sources(500)) == {port}
    with Upstream() as other, pytest.raises(OSError, match="in use"):
        bench.send(server=other.server)


@pytest.mark.parametrize("by_option", [True, False])
def test_a_fixed_port_is_kept_for_all_servers(make: Make, by_option: bool) -> None:
    port = closed_port().port
    bench = make(Options(query_port=port) if by_option else Options())
    waiting = Exchange()
    with Upstream() as other:
        for upstream in (bench.upstream, other):
            fixed = Server("127.0.0.1", upstream.port, source_port=0 if by_option else port)
            bench.send(waiting, fixed)
            for _ in range(300):
                bench.send(server=fixed)
            bench.reactor.rightNow += MAX_AGE_S
            bench.send(server=fixed)
            queries = upstream.queries(302)
            assert {client[1] for _, client in queries} == {port}
            assert len({query[:2] for query, _ in queries}) == 302
            upstream.socket.sendto(reply(queries[0][0]), queries[0][1])
            bench.reactor.read()
    assert len(waiting.messages) == 2
    assert bench.dialer.sockets == 2


def test_query_port_zero_is_one_port_of_the_kernels_choice(make: Make) -> None:
    bench = make(Options(query_port=0))
    assert len(set(bench.sources(50))) == 1


def test_the_source_address_of_a_server_is_kept(bench: Bench) -> None:
    server = Server("127.0.0.1", bench.upstream.port, source="127.0.0.9", interface="lo")
    bench.send(server=server)
    assert bench.upstream.query()[1][0] == "127.0.0.9"


def test_servers_that_cannot_be_asked_as_configured_are_told_of(make: Make) -> None:
    bench = make(Options(tls_ca="/no/such/file"))
    assert bench.dialer.problems([bench.upstream.server]) == []
    problems = bench.dialer.problems(
        [
            Server("127.0.0.1", interface="nosuchdev"),
            Server("127.0.0.1", source="192.0.2.77"),
            Server("127.0.0.1", 853, Transport.TLS, "dot.test"),
        ]
    )
    assert problems == [
        "server 127.0.0.1 cannot be asked: from nosuchdev: No such device",
        "server 127.0.0.1 cannot be asked: from 192.0.2.77: Cannot assign requested address",
        "server tls://127.0.0.1:853#dot.test cannot be asked: "
        "/no/such/file: No such file or directory",
    ]
    with pytest.raises(OSError, match="No such device"):
        bench.send(server=Server("127.0.0.1", interface="nosuchdev"))


def test_half_of_the_files_that_may_be_open_may_be_sockets() -> None:
    room = file_room()
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert limit == hard
    assert 0 < room <= hard // 2
