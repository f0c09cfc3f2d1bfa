"""Domain names: text and octets, compression, and everything that is no name."""

import dns.name
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubedns.wire import name as names
from kubedns.wire.name import BadNameError

_labels = st.lists(st.binary(min_size=1, max_size=63), max_size=8).filter(
    lambda labels: sum(map(len, labels)) + len(labels) < 255
)


@settings(max_examples=200)
@given(_labels)
def test_text_leads_back_to_the_same_octets(labels: list[bytes]) -> None:
    """Any octet may stand in a label; dnspython reads and writes the same."""
    name = names.from_labels(labels)
    text = names.to_text(name)
    assert names.from_text(text) == name
    assert dns.name.from_text(text).to_wire() == name
    assert names.from_text(dns.name.Name([*labels, b""]).to_text()) == name
    assert all(32 < ord(char) < 127 for char in text), "fit for a log"
    assert names.labels(name) == tuple(labels)


@settings(max_examples=200)
@given(_labels, st.binary(max_size=20), st.binary(max_size=20))
def test_a_name_is_read_where_it_stands(labels: list[bytes], before: bytes, after: bytes) -> None:
    """And the offset behind it is found."""
    name = names.from_labels(labels)
    message = before + name + after
    assert names.read(message, len(before)) == (name, len(before) + len(name))
    assert names.skip(message, len(before)) == len(before) + len(name)
    pointer = message + bytes((0xC0 | len(before) >> 8, len(before) & 255)) + b"x"
    if len(labels):
        assert names.read(pointer, len(message)) == (name, len(message) + 2)


@settings(max_examples=500)
@given(st.binary(max_size=80), st.integers(0, 90))
def test_octets_are_a_name_or_are_none(message: bytes, offset: int) -> None:
    """Random octets: the same verdict as dnspython, which also allows no pointer forwards."""
    try:
        name, end = names.read(message, offset)
    except (BadNameError, IndexError):
        if offset < len(message):
            with pytest.raises(dns.exception.DNSException):
                dns.name.from_wire(message, offset)
        return
    expected, used = dns.name.from_wire(message, offset)
    assert name == expected.to_wire()
    assert end == offset + used
    assert names.skip(message, offset) == end


@pytest.mark.parametrize(
    "message",
    [
        b"\xc0\x00", b"\1a\xc0\x00", b"\1a\xc0\x02", b"\xc0\x05abc\0", b"\x40a\0", b"\x80a\0",
        b"\xbfa\0", b"\x3f" * 300, b"\1a" * 128 + b"\0",
    ],
)  # fmt: skip
def test_names_that_are_none(message: bytes) -> None:
    """Loops, pointers forwards, reserved types, too long."""
    with pytest.raises((BadNameError, IndexError)):
        names.read(message, 0)


def test_long_chains_of_pointers_are_bounded() -> None:
    """A name may be spread, but the work stays small: 255 octets, 128 pointers."""
    chain = b"\0" + b"".join(
        b"\xc0" + bytes((0 if i == 0 else 1 + 2 * (i - 1),)) for i in range(120)
    )
    assert names.read(chain, len(chain) - 2)[0] == b"\0"
    long = b"\0" + b"".join(
        bytes((0xC0 | at >> 8, at & 255)) for i in range(600) for at in (max(0, 2 * i - 1),)
    )
    with pytest.raises(BadNameError):
        names.read(long, len(long) - 2)


@pytest.mark.parametrize(
    "text", ["a..b", ".a", "a\\", "a\\2", "a\\25", "a\\256", "a\\999", "é", "a" * 64,
             ".".join(["a" * 63] * 4)],
)  # fmt: skip
def test_text_that_is_no_name(text: str) -> None:
    """Empty labels, broken escapes, other alphabets, too long."""
    with pytest.raises(BadNameError):
        names.from_text(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a.b", "a.b."), ("a.b.", "a.b."), (".", "."), ("", "."), ("A.b", "A.b."),
        ("a\\.b", "a\\.b."), ("a\\046b", "a\\.b."), ("\\000\\010\\027\\127\\255", None),
        ("a b", "a\\032b."), ("\\;\\\"\\@\\$\\(\\)", None),
    ],
)  # fmt: skip
def test_how_a_name_is_shown(text: str, shown: str | None) -> None:
    """What is not printable is `\\DDD`, what means something in zone files has a backslash."""
    expected = text + "." if shown is None else shown
    assert names.to_text(names.from_text(text)) == expected


@pytest.mark.parametrize(
    ("name", "ancestor", "below"),
    [
        ("a.b", "b", True), ("b", "b", True), ("b", "a.b", False), ("ab", "b", False),
        ("a.b", ".", True), (".", ".", True), ("x.cluster.local", "cluster.local", True),
        # The octets of `\\007cluster\\005local\\000` inside of one label.
        ("a\\007cluster\\005local", "cluster.local", False),
        ("xcluster.local", "cluster.local", False),
    ],
)  # fmt: skip
def test_what_lies_below_what(name: str, ancestor: str, below: bool) -> None:
    """By labels, never by octets across their borders."""
    assert names.is_below(names.from_text(name), names.from_text(ancestor)) is below
