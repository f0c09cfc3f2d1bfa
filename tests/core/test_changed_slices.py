"""What a changed EndpointSlice touches: its own endpoints that differ, wherever they stand."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kubedns.wire import name as names
from kubedns.zone import address
from kubedns.zone.branch import Group, Headless, Port, changed_owners, touched_addresses

OWNER = names.from_text("web.shop.svc.cluster.local")
PORTS = ((Port(b"_http", b"_tcp", 80),), (Port(b"_http", b"_tcp", 81),))
Endpoints = list[tuple[int, bytes | None]]

endpoints = st.lists(
    st.tuples(st.integers(0, 12), st.none() | st.sampled_from((b"a", b"b"))), max_size=12
)


def group(found: Endpoints, *, labels: bool, ports: int) -> Group:
    """Return the group of these endpoints: last octets of addresses, hostnames."""
    return Group(
        4,
        b"".join(bytes((10, 0, 0, last)) for last, _ in found),
        tuple(label for _, label in found) if labels else None,
        PORTS[ports],
    )


def names_of(branch: Headless) -> dict[bytes, set[bytes]]:
    """Return the records at every endpoint's name, addresses and ports."""
    found: dict[bytes, set[bytes]] = {}
    for each in branch.groups:
        for label, packed in each.endpoints():
            held = found.setdefault(names.child(label, OWNER), set())
            held.add(packed)
            held.update(b"%d" % port.number for port in each.ports)
    return found


@settings(max_examples=500)
@given(
    begin=endpoints, old=endpoints, new=endpoints, end=endpoints,
    labels=st.booleans(), ports=st.tuples(st.integers(0, 1), st.integers(0, 1)), more=endpoints,
)  # fmt: skip
def test_nothing_that_differs_is_forgotten(
    begin: Endpoints, old: Endpoints, new: Endpoints, end: Endpoints, labels: bool,
    ports: tuple[int, int], more: Endpoints,
) -> None:  # fmt: skip
    """Endpoints come, go and move in the middle; a second slice stays as it is."""
    other = group(more, labels=True, ports=0)
    one = group(begin + old + end, labels=labels, ports=ports[0])
    two = group(begin + new + end, labels=labels, ports=ports[1])
    before, after = Headless(OWNER, (one, other)), Headless(OWNER, (two, other))
    touched = touched_addresses(before, after)
    assert before.addresses() ^ after.addresses() <= touched
    names_before, names_after = names_of(before), names_of(after)
    differ = {
        name
        for name in names_before.keys() | names_after.keys()
        if names_before.get(name) != names_after.get(name)
    }
    assert differ <= changed_owners(before, after)


def test_of_a_hundred_endpoints_one_is_touched() -> None:
    """Be it the first, one in the middle, or the last; with hostnames or without."""
    usual: Endpoints = [(number, None) for number in range(100)]
    for place in (0, 50, 100):
        more = [*usual[:place], (200, None), *usual[place:]]
        for labels in (False, True):
            before = Headless(OWNER, (group(usual, labels=labels, ports=0),))
            after = Headless(OWNER, (group(more, labels=labels, ports=0),))
            packed = bytes((10, 0, 0, 200))
            assert touched_addresses(before, after) == {packed}
            assert touched_addresses(after, before) == {packed}
            changed = changed_owners(before, after)
            assert len(changed) == 3
            assert names.child(address.dashed(packed), OWNER) in changed
