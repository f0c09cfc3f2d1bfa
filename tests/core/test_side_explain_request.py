"""Query strings of /explain: what they ask for, and what is wrong with them."""

import pytest

from sidecar.explain.request import Asked, RequestError, read


def test_only_a_name() -> None:
    """A and AAAA, as getaddrinfo() asks, and ndots of the kubelet."""
    found = read({"name": "Web.Prod"})
    assert found == Asked("web.prod")
    assert (found.types, found.dots) == (("A", "AAAA"), 5)


def test_all() -> None:
    """Each parameter; what else there is passes."""
    found = read(
        {"name": "web.", "type": "srv", "from": "10.1.2.3", "ndots": "2",
         "search": "a.example, b.example.", "servers": "4", "try": "1", "format": "text"}
    )  # fmt: skip
    assert found == Asked(
        "web.", "SRV", "10.1.2.3", ("a.example.", "b.example."), 2, servers=4, live=True
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [("10.0.0.1", "1.0.0.10.in-addr.arpa."), ("::1", "1." + "0." * 31 + "ip6.arpa.")],
)
def test_an_address(text: str, name: str) -> None:
    """Its PTR record is meant."""
    assert read({"name": text}) == Asked(name, "PTR")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({}, "name: what name? for example name=web.prod"),
        ({"name": "a..b"}, 'name: "a..b" is no domain name'),
        ({"name": "x" * 64}, f'name: "{"x" * 64}" is no domain name'),
        ({"name": "é"}, 'name: "\\u00e9" is no domain name'),
        ({"name": "a" * 2000}, "name: 2000 characters are too many for a name"),
        ({"name": "web:80"}, 'name: "web:80" is more than a name: no port, no URL'),
        ({"name": "https://a"}, 'name: "https://a" is more than a name: no port, no URL'),
        ({"name": "a", "from": "<b>"}, 'from: "<b>" is neither an IP address nor a namespace'),
        ({"name": "a", "ndots": "-1"}, 'ndots: "-1" is no whole number from 0 to 99'),
        ({"name": "a", "ndots": "1000"}, 'ndots: "1000" is no whole number from 0 to 99'),
        ({"name": "a", "search": "b..c"}, 'search: "b..c" is no domain name'),
        ({"name": "a", "search": "b " * 65}, "search: 65 domains, more than 64"),
    ],
)  # fmt: skip
def test_what_cannot_be(query: dict[str, str], said: str) -> None:
    """One line that names the parameter."""
    with pytest.raises(RequestError) as error:
        read(query)
    assert str(error.value) == said


@pytest.mark.parametrize("rtype", ["AXFR", "TYPE65536", "TYPE", "A;B", "\n", "x" * 1000])
def test_types_that_are_none(rtype: str) -> None:
    """Zone transfers neither."""
    if rtype.strip():
        with pytest.raises(RequestError, match=r"^type: .{1,300}$"):
            read({"name": "a", "type": rtype})


@pytest.mark.parametrize("name", ["a b", "a\x1b[31m", "<script>", "a\\.b", "_http._tcp.web", "*"])
def test_hostile_names(name: str) -> None:
    """Any octet is legal in a label; none that is not printable stays as it is."""
    found = read({"name": name}).name
    assert found.isascii()
    assert found.isprintable()
    assert " " not in found
