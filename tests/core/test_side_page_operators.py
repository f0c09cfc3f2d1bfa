"""What the status page shows to operators alone: top lists, findings, the recorder, the box."""

import re
from dataclasses import replace

import pytest

from sidecar import page
from sidecar.state import State
from tests.browser import explanations, states
from tests.browser.markup import Markup
from tests.browser.states import NOW


def state(**other: object) -> State:
    made = states.well()
    made.seen = explanations.seen(**other)
    return made


def read(state: State) -> Markup:
    return Markup(page.render(state, NOW, operator=True))


def test_order_of_sections():
    """The box comes first, findings before the rest, the lists after the routes."""
    order = [
        "explain", "processes", "findings", "cluster", "configuration", "routes", "top",
        "recorder", "cache", "load", "warnings",
    ]  # fmt: skip
    assert [each for each in read(state()).ids("h2") if each] == order


@pytest.mark.parametrize("made", [page.render, page.fragment])
def test_public_page_has_no_clients_and_no_names(made):
    """Who reads the public page learns neither who asks nor what for, but where that stands."""
    found = made(state(), NOW)
    for secret in ("10.244.1.7", "web-6d5f8b7c9", "web.prod", "github", "corp.example.<", "burst"):
        assert secret not in found
    assert "<form" not in found
    assert "kubectl -n kube-system port-forward deploy/kube-dns 10058" in Markup(found).text


def test_form_only_for_operators():
    """The policy of the public page forbids forms; that of the operators' allows one, to us."""
    assert "form-action 'none'" in page.CONTENT_SECURITY_POLICY
    assert "form-action 'self'" in page.OPERATORS_SECURITY_POLICY
    without = page.OPERATORS_SECURITY_POLICY.replace("form-action 'self'", "form-action 'none'")
    assert without == page.CONTENT_SECURITY_POLICY


def test_each_field_has_a_label():
    """Each field of the box that is seen is inside a label, which is its name."""
    made = page.render(state(), NOW, operator=True)
    fields = [each for each in re.findall(r"<(?:input|select)[^>]*>", made) if "hidden" not in each]
    labels = re.findall(r"<label.*?</label>", made, re.S)
    assert len(fields) == len(labels) == 7
    assert all(field in label for field, label in zip(fields, labels, strict=True))


def test_clients():
    """Clients stand with their pods, and a number that may be too high as a range."""
    seen = read(state()).text
    assert "123,456 questions in 13 min, one hit of 8 looked at. Numbers are estimates." in seen
    assert "10.244.1.7 pod prod/web-6d5f8b7c9-x2x4p 41,200" in seen
    assert "10.244.2.9 pod shop/checkout-0 9,896 to 9,920" in seen
    assert "Clients have no names" not in seen


def test_pods_cannot_be_looked_up():
    """Where RBAC does not allow to look pods up, the page says why clients have no names."""
    top = explanations.seen().top
    assert top
    top = replace(top, pods_known=False, pods_problem="pods is forbidden")
    assert (
        "Clients have no names: pods are not looked up: pods is forbidden"
        in read(state(top=top)).text
    )


def test_names():
    """Names that are asked for, that fail, and that a search list wastes, with their share."""
    seen = read(state()).text
    assert re.search(
        r"Names those that are asked for most .*web\.prod\.svc\.cluster\. ?local", seen
    )
    assert re.search(r"Failing names .* db\.corp\.example\. A SERVFAIL 248", seen)
    assert "Search waste 30,864 questions, 25.0 % of all" in seen
    assert "NXDOMAIN 32,000" in seen


def test_findings():
    """A finding tells what it is about, how often, since when, what to do, and where to read on."""
    seen = read(state()).text
    assert "! A search domain that never exists : corp.example." in seen
    assert (
        "take it out of the search list. Seen 1,830 times, first 17:30:11 UTC , 13 min ago" in seen
    )
    assert "More in the README, chapter Findings: #findings-search-domain-never-exists" in seen


def test_findings_keep_their_places():
    """Findings stand in one order, the gravest first, whichever was seen last."""
    found = explanations.seen().findings
    for each in (found, found[::-1]):
        seen = read(state(findings=each)).text
        assert seen.index("conntrack race : 10.244") < seen.index("never exists : corp.")


def test_nothing_found():
    """Without findings and without a burst the page says so."""
    recorder = explanations.seen().recorder
    assert recorder
    seen = read(state(findings=(), recorder=replace(recorder, burst=None))).text
    assert "None: no loops and no dead ends were seen in the traffic." in seen
    assert "No burst of failures or of slow answers since the start." in seen


def test_last_burst():
    """The last burst: why, when, how much of it is kept, and where to get it."""
    found = read(state())
    assert "! Last burst : SERVFAIL: 31 of 40 in 2 s" in found.text
    assert "17:39:31 UTC , 4 min ago ; 5,000 transactions of that time kept" in found.text
    assert found.all("a", "href") == [
        "recorder?format=jsonl&which=burst", "recorder?format=pcap&which=burst",
        "recorder?format=jsonl&which=live", "recorder?format=pcap&which=live", "./",
    ]  # fmt: skip


def test_forwarder_does_not_tell():
    """Before the first look, and when the forwarder is of another make, each part says why."""
    never = states.well()
    assert read(never).text.count("Not known: not read yet.") == 3
    problem = "127.0.0.1:10056: connection refused"
    gone = state(top=None, recorder=None, findings=(), problem=problem)
    assert read(gone).text.count(f"Not known: {problem}.") == 3


def test_the_box_is_not_sent_again():
    """What is fetched every two seconds has no form: what is typed there stays as it is."""
    found = page.fragment(state(), NOW, operator=True)
    assert "<form" not in found
    assert 'data-key="explain" data-keep></section>' in found


def test_no_reload_without_a_script():
    """The operators' page is not loaded again by itself: that would take away what is typed."""
    assert "http-equiv" not in page.render(state(), NOW, operator=True)
    assert "http-equiv" in page.render(state(), NOW)


def test_hostile_names():
    """Names chosen by an enemy make no elements, and are cut and spelled out."""
    wrong = states.unwell()
    wrong.seen = explanations.seen(problem="some")
    usual = {(tag, *named) for each in (state(), wrong) for tag, named in read(each).elements}
    bad = states.hostile()
    bad.seen = explanations.hostile_seen()
    found = read(bad)
    # A list that is cut, and a note on errors: the template's own, which those pages lack.
    assert {(tag, *named) for tag, named in found.elements} - usual <= {
        ("p", "class"), ("li", "class"), ("span", "class"), ("tr", "role"),
    }  # fmt: skip
    assert "\\u202eevil\\u2066rtl" in found.text
    made = page.render(bad, NOW, operator=True).encode()
    assert len(made) < 300_000


def test_small():
    """The operators' page of a usual pod fits in 50 KB."""
    assert len(page.render(state(), NOW, operator=True).encode()) < 50_000
