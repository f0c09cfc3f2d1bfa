"""Events on their way into the zone, on a clock: at once, in batches, settled, reported."""

from twisted.internet.task import Clock

from kubedns.cluster.feed import Feed
from kubedns.cluster.listwatch import Event
from kubedns.cluster.objects import Kind
from kubedns.zone.tree import Change
from tests.builders import SERIAL, Cluster, headless, service, slice_


class Fixture:
    """A feed into a cluster, with everything that it forgets."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.cluster = Cluster()
        self.forgotten: list[set[bytes]] = []
        self.feed = Feed(
            self.cluster.pairing, self._forget, self._forget_all, self.clock, lambda: SERIAL
        )

    def _forget_all(self) -> None:
        self.forgotten.append(set())

    def _forget(self, change: Change, more: bool) -> None:
        if change:
            self.forgotten.append(change.tags)

    def services(self) -> int:
        """Count the services in the tree."""
        return len(list(self.cluster.tree.branches()))


def _many(count: int) -> list[dict[str, object]]:
    return [service(f"s{i}", ip=f"10.0.{i // 250}.{i % 250}") for i in range(count)]


def test_an_event_is_in_the_tree_when_it_was_told() -> None:
    """And what depends on it is forgotten, once for all events that came together."""
    fixture = Fixture()
    events = [Event(fixture.cluster.decode(each), deleted=False) for each in _many(3)]
    fixture.feed.changed(Kind.SERVICE, events, 0.0)
    assert fixture.services() == 3
    assert len(fixture.forgotten) == 1
    assert fixture.feed.events[Kind.SERVICE] == 3
    assert sum(fixture.feed.latency_counts) == 1
    fixture.feed.changed(Kind.SERVICE, [Event(events[0].object, deleted=True)], 0.0)
    assert fixture.services() == 2


def test_a_list_is_worked_off_in_batches() -> None:
    """Queries have their turn between them; what waits for all of it is called at the end."""
    fixture = Fixture()
    settled: list[int] = []
    fixture.feed.listed(Kind.SERVICE, map(fixture.cluster.decode, _many(1000)))
    fixture.feed.settled(lambda: settled.append(fixture.services()))
    assert fixture.services() == 100
    assert not settled
    fixture.clock.advance(0)
    assert len(fixture.forgotten) == 10
    assert settled == [1000]


def test_settled_is_called_at_once_when_nothing_waits() -> None:
    """A list that changed nothing."""
    fixture = Fixture()
    settled: list[bool] = []
    fixture.feed.listed(Kind.SERVICE, [])
    fixture.feed.settled(lambda: settled.append(True))
    assert settled == [True]


def test_events_during_a_list_end_as_they_should() -> None:
    """What is deleted while the list is worked off stays deleted."""
    fixture = Fixture()
    decoded = [fixture.cluster.decode(each) for each in _many(500)]
    fixture.feed.listed(Kind.SERVICE, decoded)
    fixture.feed.changed(Kind.SERVICE, [Event(decoded[499], deleted=True)], 0.0)
    fixture.clock.pump([0] * 20)
    assert fixture.services() == 499
    assert fixture.cluster.tree.branch(b"shop", b"s499") is None


def test_a_kind_that_may_not_be_read_any_more() -> None:
    """Slices are forgotten, Endpoints take their place."""
    fixture = Fixture()
    fixture.feed.listed(Kind.SERVICE, [fixture.cluster.decode(headless())])
    fixture.feed.listed(Kind.SLICE, [fixture.cluster.decode(slice_())])
    assert fixture.services() == 1
    fixture.feed.forget_kind(Kind.SLICE)
    assert fixture.services() == 0


def test_a_relist_that_changes_nothing_forgets_nothing() -> None:
    """Ready answers and serial stay."""
    fixture = Fixture()
    listed = [fixture.cluster.decode(each) for each in _many(50)]
    for _ in range(2):
        fixture.feed.listed(Kind.SERVICE, listed)
    assert len(fixture.forgotten) == 1
    assert fixture.feed.changes == 1


def test_a_fault_is_counted_each_time_and_the_list_emptied() -> None:
    """The log has it once; the bound of what is remembered keeps memory flat."""
    fixture = Fixture()
    for _ in range(3):
        problems, remarks = ["shop/a: port number 0"], ["shop/b: odd"]
        fixture.feed.report(problems, remarks)
        assert problems == remarks == []
    assert fixture.feed.problems == 3
    assert len(fixture.feed._logged) == 2
    fixture.feed.report([f"shop/{i}: bad" for i in range(5000)], [])
    assert fixture.feed.problems == 5003
    assert len(fixture.feed._logged) <= 1000


def test_stopping_leaves_no_timer() -> None:
    """In the middle of a list."""
    fixture = Fixture()
    fixture.feed.listed(Kind.SERVICE, map(fixture.cluster.decode, _many(1000)))
    fixture.feed.stop()
    assert fixture.clock.getDelayedCalls() == []


def test_a_batch_that_fails_is_not_the_end_of_the_list() -> None:
    """Whoever is told of changes may be faulty: the other services must appear all the same."""
    fixture = Fixture()
    faults = [RuntimeError("told badly")]

    def tell(change: Change, more: bool) -> None:
        if fixture.services() >= 300 and faults:
            raise faults.pop()
        fixture._forget(change, more)

    feed = Feed(fixture.cluster.pairing, tell, fixture._forget_all, fixture.clock, lambda: SERIAL)
    settled: list[int] = []
    feed.listed(Kind.SERVICE, map(fixture.cluster.decode, _many(1000)))
    feed.settled(lambda: settled.append(fixture.services()))
    for _ in range(3):
        fixture.clock.advance(0)
    assert fixture.services() == 300
    assert fixture.forgotten[-1] == set(), "nobody knows what the batch touched"
    assert feed.faults == 1
    assert feed.waiting_since == 0.0
    fixture.clock.advance(1.0)
    for _ in range(10):
        fixture.clock.advance(0)
    assert fixture.services() == 1000
    assert settled == [1000]
    assert feed.waiting_since is None


def test_what_fails_again_and_again_grows_old_for_all_to_see() -> None:
    """The zone is then older than what is known of it: kubedns_zone_waiting_seconds."""
    fixture = Fixture()

    def tell(change: Change, more: bool) -> None:
        raise RuntimeError("told badly")

    feed = Feed(fixture.cluster.pairing, tell, fixture._forget_all, fixture.clock, lambda: SERIAL)
    fixture.clock.advance(5.0)
    feed.changed(Kind.SERVICE, [Event(fixture.cluster.decode(service()), deleted=False)], 5.0)
    for _ in range(20):
        fixture.clock.advance(1.0)
    assert feed.waiting_since == 5.0
    assert fixture.services() == 1
    feed.stop()
    assert not fixture.clock.getDelayedCalls()


def test_one_who_waits_for_the_zone_and_fails_does_not_keep_it_from_others() -> None:
    """One of them says that we are in sync."""
    fixture = Fixture()
    called: list[str] = []

    def fails() -> None:
        raise RuntimeError("badly done")

    fixture.feed.listed(Kind.SERVICE, map(fixture.cluster.decode, _many(200)))
    fixture.feed.settled(fails)
    fixture.feed.settled(lambda: called.append("in sync"))
    fixture.clock.advance(0)
    assert called == ["in sync"]


def test_services_whose_records_went_astray_are_built_anew() -> None:
    """And those that could not be built are tried again."""
    fixture = Fixture()
    fixture.feed.listed(Kind.SERVICE, map(fixture.cluster.decode, _many(5)))
    keys = fixture.feed.services()
    assert fixture.feed.repair(keys) == []
    fixture.forgotten.clear()
    fixture.cluster.tree.replace(keys[0], None)
    fixture.cluster.pairing.failed[keys[1]] = ValueError()
    assert fixture.feed.repair(keys) == ["shop/s0"]
    assert fixture.services() == 5
    assert fixture.cluster.pairing.failed == {}
    assert len(fixture.forgotten) == 1
