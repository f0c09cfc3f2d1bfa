"""The flight recorder: what it holds, and what a burst keeps."""

import json
import struct

import pytest

from dnsmasq_py import options
from dnsmasq_py.observed import merging, pages, pcap, records, series
from dnsmasq_py.observed.burst import Bursts
from dnsmasq_py.observed.findings import KINDS
from tests.observing import NOW, Seen

pytestmark = pytest.mark.usefixtures("both_ways")


def test_a_transaction_is_told_as_json() -> None:
    """A line says who asked what, when, what came back, from where and how fast."""
    seen = Seen()
    seen.asks("Web.prod.svc.cluster.local.", "AAAA", "NXDOMAIN", number=4711, took=0.0125)
    (piece,) = seen.recorder.live()
    assert json.loads(records.line(piece[0], seen.recorder.offset)) == {
        "time": records.time_text(NOW, micro=True), "client": "10.0.0.1", "port": 40000,
        "transport": "udp", "id": 4711, "name": "web.prod.svc.cluster.local.", "type": "AAAA",
        "rcode": "NXDOMAIN", "source": "upstream", "took_ms": 12.5, "edns": False, "size": 44,
    }  # fmt: skip


def test_a_burst_of_failures_freezes_what_was_before_and_after() -> None:
    """What led to it is there an hour later, however much came since."""
    seen = Seen()
    for number in range(100):
        seen.asks(f"before{number}.example.")
    seen.asks("bad.example.", rcode="SERVFAIL", times=20)
    assert seen.recorder.burst is None  # 20 of 120
    seen.asks("bad.example.", rcode="SERVFAIL", times=10)
    burst = seen.recorder.burst
    assert burst is not None
    assert burst.why == "SERVFAIL: 25 of 125 in 2 s"
    for number in range(300):
        seen.asks(f"after{number}.example.", times=100)
        seen.time_passes(0.01)
        seen.observed.look()
    kept = [record for piece in seen.recorder.kept(burst) for record in piece]
    told = [records.described(each, burst.offset)["name"] for each in kept]
    assert told[0] == "before0.example."
    assert 1000 <= len(told) - 125 <= 1005
    summary = seen.recorder.summary()
    assert summary["burst"]["transactions"] == len(told)
    assert summary["held"] == 20_000
    assert summary["bytes"] < 9 << 20


def test_after_a_burst_in_silence_nothing_is_waited_for() -> None:
    """When nobody asks any more, what there is after two seconds is all."""
    seen = Seen()
    seen.asks("bad.example.", rcode="SERVFAIL", times=21)
    seen.time_passes(2.5)
    assert seen.recorder.summary()["burst"]["transactions"] == 21


def test_bursts_of_large_replies_are_bounded() -> None:
    """A burst takes two megabytes at most, whatever stands in the ring."""
    seen = Seen()
    for _ in range(6000):
        seen.recorder.note(b"q" * 600, b"r" * 600, None, records.UPSTREAM, 0.0, 0, tcp=False)
    seen.asks("bad.example.", rcode="SERVFAIL", times=2000)
    seen.time_passes(3)
    assert seen.recorder.summary()["bytes"] <= (6 << 20) + (2 << 20)


def test_the_next_burst_comes_a_minute_later() -> None:
    """An outage of an hour does not push out how it began within a second."""
    bursts = Bursts()
    begun = [
        second
        for second in range(200)
        if any(bursts.ended(second + n / 100, failed=True, took=None) for n in range(50))
    ]
    assert begun == [0, 60, 120, 180]


@pytest.mark.parametrize(
    ("failed", "good", "is_burst"),
    [(19, 0, False), (20, 0, True), (20, 80, True), (20, 90, False), (40, 80, True)],
)
def test_a_few_failures_are_no_burst(failed: int, good: int, is_burst: bool) -> None:
    """It takes twenty of them within two seconds, and a fifth of all."""
    bursts = Bursts()
    for _ in range(good):
        bursts.ended(100.0, failed=False, took=0.01)
    whys = [bursts.ended(100.5, failed=True, took=0.01) for _ in range(failed)]
    assert any(whys) == is_burst


def test_late_answers_are_a_burst_too() -> None:
    """When half of what servers are asked takes longer than a second, that is kept."""
    bursts = Bursts()
    whys = [bursts.ended(100.0, failed=False, took=1.5) for _ in range(25)]
    assert next(filter(None, whys)) == "slower than 1 s: 20 of 20 asked of servers in 2 s"


def test_failures_of_long_ago_do_not_add_up() -> None:
    """Five each second are no burst, for as long as it goes on."""
    bursts = Bursts()
    assert not any(bursts.ended(n / 5, failed=True, took=None) for n in range(500))


def test_a_fault_of_the_recorder_costs_nobody_an_answer() -> None:
    """It is counted, and that is all."""
    seen = Seen()
    seen.recorder.note(b"query", b"reply", "no address", records.UPSTREAM, 0.0, 0, tcp=False)
    assert seen.recorder.faults == 1


def test_packets_have_right_lengths_and_checksums() -> None:
    """The pcap file holds two packets for each transaction, of either family."""
    seen = Seen()
    seen.asks("web.example.", took=0.25)
    seen.asks("web.example.", client="2001:db8::1")
    seen.recorder.note(b"q" * 600, b"r" * 70, ("10.0.0.1", 9), 3, 0.0, 0, tcp=False)
    octets = b"".join(pcap.packets(piece, seen.recorder.offset) for piece in seen.recorder.live())
    found = []
    while octets:
        seconds, micro, kept, whole = struct.unpack("<IIII", octets[:16])
        found.append((seconds + micro / 1e6, whole, octets[16 : 16 + kept]))
        octets = octets[16 + kept :]
    assert [round(at - NOW, 3) for at, _, _ in found] == [-0.25, 0, -0.001, 0, 0, 0]
    assert [packet[0] >> 4 for _, _, packet in found] == [4, 4, 6, 6, 4, 4]
    for _, whole, packet in found:
        if packet[0] >> 4 == 4:
            assert (int.from_bytes(packet[2:4]), _sum(packet[:20])) == (whole, 0xFFFF)
            addresses, datagram = packet[12:20], packet[20:]
        else:
            assert int.from_bytes(packet[4:6]) == whole - 40
            addresses, datagram = packet[8:40], packet[40:]
        if whole == len(packet):
            size = len(datagram).to_bytes(2)
            assert _sum(addresses + b"\0\x11" + size + datagram) == 0xFFFF
        else:
            assert (whole, len(packet), datagram[6:8]) == (628, 540, b"\0\0")


def _sum(octets: bytes) -> int:
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_pages_of_several_workers_make_one() -> None:
    """Counts are summed up, and of bursts the last one is told."""
    one, two = Seen(), Seen()
    one.asks("web.example.", times=3)
    two.time_passes(1)
    two.asks("web.example.", times=4, client="10.0.0.2")
    two.asks("bad.example.", rcode="SERVFAIL", times=30)
    top = merging.merged_top([one.top(100), two.top(100)], 1)
    assert top["transactions"] == 37
    assert top["rcodes"] == {"NOERROR": 7, "SERVFAIL": 30}
    assert [each["queries"] for each in top["names"]] == [30]
    assert [each["queries"] for each in top["clients"]] == [33]
    summary = merging.merged_summary([one.recorder.summary(), two.recorder.summary()])
    assert (summary["held"], summary["bursts"]) == (37, 1)
    assert summary["burst"]["why"].startswith("SERVFAIL")
    found = merging.merged_findings([list(each.findings().values()) for each in (two, two, one)])
    assert [(each["id"], each["count"]) for each in found] == [("burst", 2)]


def test_it_can_be_switched_off() -> None:
    """With --recorder=off there is nothing to read, and nothing is kept."""
    assert options.parse([], conf_file="", memory=1 << 30).recorder
    assert not options.parse(["--recorder=off"], conf_file="", memory=1 << 30).recorder
    with pytest.raises(options.UsageError, match="must be on or off"):
        options.parse(["--recorder=maybe"], conf_file="", memory=1 << 30)
    assert pages.pages(None) == {}
    assert list(series.collect(None)) == []


def test_series_are_bounded_and_name_no_client() -> None:
    """Ten names with their ranks, and a number for each kind of finding."""
    seen = Seen()
    for number in range(15):
        seen.asks(f"name{number}.example.", times=15 - number, client=f"10.0.0.{number}")
    seen.asks("name0.example.", "AAAA", times=5)
    seen.walks("github.com")
    seen.observed.look()
    found = {each.name: each.samples for each in series.collect(seen.observed)}
    top = found["kubedns_forwarder_top_name_queries"]
    assert [each.labels["rank"] for each in top] == [str(rank) for rank in range(1, 11)]
    assert (top[0].labels["name"], top[0].value) == ("name0.example.", 20)
    assert found["kubedns_forwarder_search_waste_queries"][0].value == 6
    assert len(found["kubedns_forwarder_findings"]) == len(KINDS)
    assert "10.0.0" not in str(found)
