"""What is kept of a reply: what answers the question, and nothing that somebody added to it."""

from collections.abc import Collection

import dns.message
import dns.rdatatype
import pytest

from kubedns.outside.trust import MAX_CHAIN, Kept, keep
from kubedns.wire import name as names
from kubedns.wire import response, rr

SOA = "example.com. 60 IN SOA ns.example.com. root.example.com. 1 2 3 4 5"
SIGNED = "13 2 60 20300101000000 20250101000000 7 example.com. AAAA"


def kept(
    question: str,
    *answer: str,
    authority: Collection[str] = (),
    additional: Collection[str] = (),
    do: bool = False,
    others: Collection[str] = (),
) -> Kept:
    """Read a reply in zone-file text; others: domains that other servers are asked about."""
    qname, qtype = question.split()
    text = ["flags QR RD RA", ";QUESTION", f"{qname} IN {qtype}", ";ANSWER", *answer]
    text += [";AUTHORITY", *authority, ";ADDITIONAL", *additional]
    # One RRset for each record, so that their order is that of the text.
    message = dns.message.from_text("\n".join(text), one_rr_per_rrset=True)
    domains = [names.from_text(domain) for domain in others]

    def leaves(name: bytes) -> bool:
        return any(names.is_below(name, domain) for domain in domains)

    return keep(response.read(message.to_wire()), do=do, leaves=leaves)


def lines(rrsets: Collection[rr.RRset]) -> list[str]:
    return [
        f"{names.to_text(rrset.owner)} {dns.rdatatype.to_text(dns.rdatatype.RdataType(rrset.type))}"
        for rrset in rrsets
    ]


def test_an_address_is_kept_and_what_came_with_it_is_not() -> None:
    found = kept(
        "www.example.com. A",
        "www.example.com. 60 IN A 192.0.2.1",
        "www.bank.example. 60 IN A 192.0.2.66",
        "www.example.com. 60 IN TXT hello",
        authority=[SOA, "example.com. 60 IN NS ns.example.com."],
        additional=["ns.example.com. 60 IN A 192.0.2.53"],
    )
    assert lines(found.answer) == ["www.example.com. A"]
    assert found.authority == ()


def test_a_chain_is_kept_link_by_link_in_its_order_whatever_the_order_sent() -> None:
    found = kept(
        "a.example.com. A",
        "c.example.com. 60 IN A 192.0.2.1",
        "b.example.com. 60 IN CNAME C.example.com.",
        "x.example.com. 60 IN CNAME y.example.com.",
        "a.example.com. 60 IN CNAME B.example.com.",
    )
    assert lines(found.answer) == [
        "a.example.com. CNAME",
        "b.example.com. CNAME",
        "c.example.com. A",
    ]
    assert found.onward is None


def test_letter_case_makes_no_difference_to_the_chain() -> None:
    found = kept(
        "A.example.com. A",
        "a.EXAMPLE.com. 60 IN CNAME B.Example.com.",
        "b.example.com. 60 IN A 192.0.2.1",
    )
    assert lines(found.answer) == ["a.example.com. CNAME", "b.example.com. A"]


def test_a_question_for_the_alias_itself_is_not_followed() -> None:
    found = kept(
        "a.example.com. CNAME",
        "a.example.com. 60 IN CNAME b.example.com.",
        "b.example.com. 60 IN A 192.0.2.1",
    )
    assert lines(found.answer) == ["a.example.com. CNAME"]


def test_all_that_the_name_has_is_kept_when_all_was_asked_for() -> None:
    found = kept(
        "a.example.com. ANY",
        "a.example.com. 60 IN A 192.0.2.1",
        "a.example.com. 60 IN TXT hello",
        "b.example.com. 60 IN A 192.0.2.1",
    )
    assert lines(found.answer) == ["a.example.com. A", "a.example.com. TXT"]


def test_a_redirected_tree_gives_its_dname_and_an_alias_that_fits_it() -> None:
    found = kept(
        "www.old.example.com. A",
        "old.example.com. 60 IN DNAME new.example.net.",
        "www.old.example.com. 0 IN CNAME evil.example.org.",
        "www.new.example.net. 30 IN A 192.0.2.1",
    )
    assert lines(found.answer) == [
        "old.example.com. DNAME",
        "www.old.example.com. CNAME",
        "www.new.example.net. A",
    ]
    assert found.answer[1].rdatas == (names.from_text("www.new.example.net."),)
    assert found.answer[1].ttl == 60


def test_a_redirection_to_a_name_that_is_too_long_ends_the_chain() -> None:
    label = "x" * 60
    found = kept(
        f"{label}.{label}.{label}.example.com. A",
        f"example.com. 60 IN DNAME {'y' * 60}.{'z' * 30}.example.net.",
    )
    assert found.answer == ()


def test_the_soa_of_a_missing_name_is_kept_and_no_other() -> None:
    foreign = SOA.replace("example.com. 60", "example.org. 60")
    below = SOA.replace("example.com. 60", "a.www.example.com. 60")
    found = kept("www.example.com. A", authority=[foreign, below, SOA, "example.com. 9 IN NS ns."])
    assert lines(found.authority) == ["example.com. SOA"]


def test_the_soa_belongs_to_the_last_name_of_the_chain() -> None:
    found = kept(
        "www.example.org. A",
        "www.example.org. 60 IN CNAME gone.example.com.",
        authority=[SOA, SOA.replace("example.com. 60", "example.org. 60")],
    )
    assert lines(found.answer) == ["www.example.org. CNAME"]
    assert lines(found.authority) == ["example.com. SOA"]


def test_dnssec_records_pass_only_when_they_are_wanted() -> None:
    answer = [
        "www.example.com. 60 IN A 192.0.2.1",
        f"www.example.com. 60 IN RRSIG A {SIGNED}",
        f"www.example.com. 60 IN RRSIG TXT {SIGNED}",
    ]
    proofs = [
        "a.example.com. 60 IN NSEC z.example.com. A",
        f"a.example.com. 60 IN RRSIG NSEC {SIGNED}",
    ]
    plain = kept("www.example.com. A", *answer, authority=proofs)
    signed = kept("www.example.com. A", *answer, authority=proofs, do=True)
    assert (lines(plain.answer), plain.authority) == (["www.example.com. A"], ())
    assert lines(signed.answer) == ["www.example.com. A", "www.example.com. RRSIG"]
    assert lines(signed.authority) == ["a.example.com. NSEC", "a.example.com. RRSIG"]
    assert signed.answer[1].rdatas[0][:2] == b"\0\1"


def test_a_signed_absence_keeps_its_soa_with_signature_and_proof() -> None:
    authority = [
        SOA,
        f"example.com. 60 IN RRSIG SOA {SIGNED}",
        "example.com. 60 IN NSEC z.example.com. A",
    ]
    found = kept("www.example.com. A", authority=authority, do=True)
    assert lines(found.authority) == ["example.com. SOA", "example.com. RRSIG", "example.com. NSEC"]


@pytest.mark.parametrize("length", [1, 2, MAX_CHAIN - 1])
def test_a_chain_that_bites_its_tail_ends(length: int) -> None:
    ring = [
        f"n{i}.example.com. 60 IN CNAME n{(i + 1) % length}.example.com." for i in range(length)
    ]
    assert len(kept("n0.example.com. A", *ring).answer) == length


def test_an_endless_chain_is_cut() -> None:
    chain = [f"n{i}.example.com. 60 IN CNAME n{i + 1}.example.com." for i in range(100)]
    found = kept("n0.example.com. A", *chain, "n100.example.com. 60 IN A 192.0.2.1")
    assert len(found.answer) == MAX_CHAIN


def test_a_name_has_one_alias() -> None:
    found = kept(
        "a.example.com. A",
        "a.example.com. 60 IN CNAME b.example.com.",
        "a.example.com. 60 IN CNAME c.example.com.",
        "b.example.com. 60 IN A 192.0.2.1",
    )
    assert found.answer[0].rdatas == (names.from_text("b.example.com."),)


# The four directions of MaginotDNS: a server has no say about names that others are asked about.
def test_what_belongs_to_other_servers_is_cut_off_behind_the_link_that_leads_there() -> None:
    found = kept(
        "www.example.com. A",
        "www.example.com. 60 IN CNAME Web.acme.local.",
        "web.acme.local. 60 IN A 192.0.2.66",
        authority=[SOA],
        others=["acme.local."],
    )
    assert lines(found.answer) == ["www.example.com. CNAME"]
    assert found.authority == ()
    assert found.onward == names.from_text("Web.acme.local.")
