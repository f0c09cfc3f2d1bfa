"""The page of an explanation: the verdict first, then the walks, then each question."""

import random
import re
from dataclasses import replace
from itertools import pairwise

import pytest

from sidecar import page
from sidecar.explain.shapes import Client, Explanation, Question
from tests.browser import explanations
from tests.browser.markup import Markup
from tests.browser.states import HOSTILE, NOW
from tests.core.test_side_page_hostile import WRONG, mutations

ASKED = {"name": "wbe", "from": "10.244.1.7", "format": "html"}
NAME = "web.prod.svc.cluster.local."


def read(found: Explanation | None, problem: str = "") -> Markup:
    return Markup(page.explained(ASKED, found, problem, NOW))


def told(**authority: object) -> str:
    """Return the page of a question of which kubedns tells this."""
    question = Question(NAME, "A", explanations.authority(NAME, **authority), None)
    return read(explanations.explanation(questions=(question,))).text


def test_verdict_first():
    """At night: what is wrong, what to do, and only then how that was found out."""
    seen = read(explanations.wrong_name()).text
    order = [
        "✕ No service wbe in namespace prod, and outside", "Did you mean web.prod", "Set ndots:2",
        "asked by pod prod/web-6d5f8b7c9-x2x4p (10.244.1.7)", "As glibc asks", "As musl asks",
        "Each question", "Explain another name",
    ]  # fmt: skip
    assert sorted(order, key=seen.index) == order
    assert seen.startswith("✕ wbe A and AAAA: kube-dns")


def test_headings_have_an_order():
    """No level of headings is left out, in the page and in the part for the status page."""
    for part in (False, True):
        made = page.explained(ASKED, explanations.wrong_name(), "", NOW, part=part)
        levels = [int(each) for each in re.findall(r"<h(\d)", made)]
        assert levels[0] == (3 if part else 1)
        assert all(after <= before + 1 for before, after in pairwise(levels))


def test_part_is_what_stands_in_the_page():
    """What is put into the status page is the same as on the page of its own, without a form."""
    whole, part = (
        page.explained(ASKED, explanations.wrong_name(), "", NOW, part=each)
        for each in (False, True)
    )
    assert part in whole
    assert "<form" not in part


def test_walks_that_are_alike():
    """When glibc and musl go the same way it is told once."""
    seen = read(explanations.explanation()).text
    assert "As glibc and musl ask ✓ ends with an answer after 2 questions" in seen
    assert "A ✓ 10.96.14.7 cached AAAA · no AAAA records" in seen
    assert "“web has no AAAA records: its addresses are IPv4”" in seen


def test_walk():
    """Each stop tells its name, what was said to which types, from what, and who answers."""
    seen = read(explanations.wrong_name()).text
    assert "A, AAAA · NXDOMAIN, no such name cached “no service wbe in namespace prod" in seen
    assert "✕ ends with a failure after 8 questions" in seen
    assert "wbe. the walk ends here A, AAAA ✕ SERVFAIL “192.0.2.53: no answer within 2 s”" in seen


def test_question_that_ended_the_walk_is_open():
    """The question that decided is seen at once; the others open by a click or a key."""
    made = page.explained(ASKED, explanations.wrong_name(), "", NOW)
    opened = re.findall(r'<details class="question"( open)?>', made)
    assert opened == ["", "", "", " open"]


def test_service_and_slices():
    """A service is told with version and last change, its slices with addresses and the unready."""
    seen = told()
    assert "Service prod/web, ClusterIP, 10.96.14.7, ports http 80/TCP, metrics 9090/TCP" in seen
    assert "Its version 48213, changed 17:41:09 UTC, 2 min before this" in seen
    assert "Endpoints 2 ready, 1 not ready" in seen
    assert "Not ready pod web-6d5f8b7c9-x2x4p: readiness probe fails" in seen
    assert (
        "web-tx7k2 2 of 3 10.244.1.7, 10.244.2.9; not ready: web-6d5f8b7c9-x2x4p 48377 17:41:09"
        in seen
    )


@pytest.mark.parametrize(
    ("authority", "text"),
    [
        ({"rcode": "NXDOMAIN", "answers": [], "answer_count": 0}, "Answer NXDOMAIN (TTL 30 s)"),
        ({"answers": [], "answer_count": 0}, "Answer no such records (TTL 30 s)"),
        ({"answers": ["10.0.0.1"], "answer_count": 150}, "Answer 10.0.0.1 and 149 more (TTL"),
        ({"ede": {"code": 14, "text": "not yet"}}, "Said to clients EDE 14 (Not Ready): not yet"),
        ({"ede": {"code": 99, "text": ""}}, "Said to clients EDE 99"),
        ({"synced": False}, "kubedns is not in sync with the cluster yet"),
        ({"api_away_s": 40.2}, "API server has not been heard for 40 s"),
        ({"namespace": {"name": "prodd", "exists": False}}, "Namespace prodd does not exist"),
        ({"service": None, "elsewhere": ["test", "dev"]}, "Is in namespace test, dev"),
        ({"chain": ["a.b. CNAME x.example."]}, "By way of a.b. CNAME x.example."),
        ({"outside": "x.example."}, "Leads outside x.example."),
        ({"did_you_mean": ["webs.prod."]}, "Did you mean webs.prod."),
    ],
)
def test_what_kubedns_tells(authority, text):
    """Each thing that kubedns tells of a name has its line."""
    assert text in told(**authority)


@pytest.mark.parametrize(
    ("forwarder", "text"),
    [
        ({}, "Cache 10.96.14.7, 3 s old, 26 s left, used 12 times, from 127.0.0.1:10053"),
        ({"cache": None}, "Cache holds no answer"),
        (
            {"cache": {"rcode": "NXDOMAIN", "age_s": 9, "expired": True}},
            "NXDOMAIN, 9 s old, expired",
        ),
        ({"cut_by": "NXDOMAIN of prod."}, "Cut off by NXDOMAIN of prod."),
        ({"failure": {"text": "timed out", "left_s": 3.0}}, "Failure kept timed out, for 3 s more"),
        ({"in_flight": True}, "Right now it is being asked"),
        ({}, "Rule cluster.local. is the zone of the cluster, which kubedns answers"),
        ({}, "Asked are 127.0.0.1:10053 (fastest)"),
        ({}, "127.0.0.1:10053 ✓ up 0.4 ms"),
    ],
)
def test_what_the_forwarder_tells(forwarder, text):
    """Each thing that the forwarder tells of a name has its line."""
    question = Question(NAME, "A", None, explanations.forwarder(NAME, **forwarder))
    assert text in read(explanations.explanation(questions=(question,))).text


def test_live_try():
    """What each server said just now stands beside what was known of it."""
    seen = read(explanations.wrong_name()).text
    assert "Server State Latency Tried now" in seen
    assert "192.0.2.53:53 ✕ down — ✕ timed out after 2.0 s" in seen
    assert "192.0.2.54:53 ✓ up 14.1 ms · NXDOMAIN, in 12.3 ms" in seen
    assert "Tried now" not in read(explanations.explanation()).text


def test_servers_of_other_rules_are_left_out():
    """Only the servers that the rule asks are shown; all of them if it does not tell which."""
    up = {"state": "up", "srtt_ms": 1.0}
    upstreams = [{"server": f"{each}:53", **up} for each in ("127.0.0.1", "192.0.2.53")]
    rule = {"kind": "cluster", "means": "kubedns is asked", "servers": ["127.0.0.1:53"]}
    for servers, shown in ((["127.0.0.1:53"], False), ([], True)):
        told = explanations.forwarder(NAME, rule=rule | {"servers": servers}, upstreams=upstreams)
        question = Question(NAME, "A", None, told)
        seen = read(explanations.explanation(questions=(question,))).text
        assert "127.0.0.1:53 ✓ up 1.0 ms" in seen
        assert ("192.0.2.53:53 ✓ up" in seen) is shown


def test_another_process_does_not_answer():
    """When kubedns or the forwarder says nothing, the question says why."""
    question = Question(NAME, "A", None, None, "kubedns: connection refused")
    seen = read(explanations.explanation(questions=(question,))).text
    assert "! kubedns: connection refused" in seen


@pytest.mark.parametrize(
    ("client", "text"),
    [
        (Client("prod", None, "prod", (), 5, options_given=False), "a pod of namespace prod"),
        (Client("", None, None, (), 2, options_given=True), "nobody in particular search none"),
        (Client("10.9.9.9", None, None, ("a.",), 2, options_given=True), "10.9.9.9"),
    ],
)
def test_who_asks(client, text):
    """The page says whose resolv.conf it was, and what stood in it."""
    assert f"asked by {text}" in read(explanations.explanation(client=client)).text


def test_form_keeps_what_was_asked():
    """The form below the result is filled in as it was sent, a type that is not listed too."""
    form = {"name": "a b", "type": "type65", "from": "prod", "search": "x.example", "try": "1"}
    made = page.explained(form, None, "name: is no name", NOW)
    seen = Markup(made)
    assert "✕ Not explained: name: is no name" in seen.text
    assert [each for each in seen.all("input", "value") if each] == [
        "html", "a b", "prod", "x.example", "1"
    ]  # fmt: skip
    assert "<option selected>TYPE65</option>" in made
    assert '<input type="checkbox" name="try" value="1" checked>' in made
    assert "<details open>" in made


def test_form_alone():
    """Who opens /explain without a question gets the form."""
    seen = Markup(page.explained({}, None, "", NOW))
    assert seen.ids("h2") == ["explain"]
    assert seen.ids("h3") == []


def test_links_ask_the_same_again():
    """The links to the result as a page and as JSON carry the question, and nothing else."""
    form = {"name": 'a"&b', "from": "", "ndots": "2", "token": "secret", "format": "html"}
    seen = Markup(page.explained(form, explanations.explanation(), "", NOW))
    assert seen.all("a", "href") == [
        "./",
        "explain?name=a%22%26b&ndots=2&format=html",
        "explain?name=a%22%26b&ndots=2&format=json",
    ]


@pytest.mark.parametrize("part", [False, True])
def test_hostile_texts(part):
    """Texts chosen by an enemy make no elements; controls and directions are spelled out."""
    usual = {
        (tag, *named)
        for found in (explanations.explanation(), explanations.wrong_name())
        for form in ({}, {"type": "TYPE65"})
        for tag, named in Markup(page.explained(form, found, "", NOW)).elements
    }
    form = {"name": HOSTILE[2], "type": HOSTILE[1], "from": HOSTILE[3], "search": HOSTILE[8]}
    made = page.explained(form, explanations.hostile_explanation(), "", NOW, part=part)
    found = Markup(made)
    extra = {(tag, *named) for tag, named in found.elements} - usual
    assert extra <= {("p", "class"), ("details", "open"), ("li",)}
    assert "\\u202eevil\\u2066rtl" in found.text
    assert "line\\r\\nof\\x00two\\x1b[31m" in found.text
    assert not [each for each in made if each in "\u202e\u2066\x00\x1b\u2028\ud800"]
    assert len(made.encode()) < 200_000


@pytest.mark.parametrize("problem", HOSTILE)
def test_hostile_problem(problem):
    """A refusal that repeats what was asked is as harmless."""
    usual = Markup(page.explained({}, None, "no", NOW)).elements
    found = Markup(page.explained({}, None, problem, NOW))
    assert [tag for tag, _ in found.elements] == [tag for tag, _ in usual]


def test_any_value_may_be_of_any_shape():
    """Each value of the other processes' explanations is missing or of a wrong type: no failure."""
    rng = random.Random(8)
    ours = list(mutations(explanations.authority(NAME, ede={"code": 0, "text": "x"})))
    theirs = list(mutations(explanations.wrong_name().questions[3].forwarder))  # type: ignore[arg-type]
    pairs = [(each, None) for each in rng.sample(ours, 250)]
    pairs += [(None, each) for each in rng.sample(theirs, 250)]
    usual = explanations.explanation()
    for authority, forwarder in pairs:
        question = Question(NAME, "A", authority, forwarder)
        page.explained({}, replace(usual, questions=(question,)), "", NOW, part=True).encode()


@pytest.mark.parametrize("document", WRONG)
def test_another_program_answers(document):
    """Where another program answers in the place of kubedns or of the forwarder, nothing fails."""
    question = Question(NAME, "A", document, document)
    page.explained({}, explanations.explanation(questions=(question,)), "", NOW)


def test_many_of_everything():
    """A walk and a service of thousands of parts make no page of megabytes."""
    many = [f"10.0.{n // 250}.{n % 250}" for n in range(5000)]
    one = explanations.authority(NAME, answers=many, did_you_mean=many, elsewhere=many)
    one["slices"] = one["slices"] * 1000
    steps = [explanations.step(f"x{n}.example.", "A", "NXDOMAIN") for n in range(1000)]
    found = explanations.explanation(
        walks=(explanations.walk("glibc", *steps),),
        questions=tuple(Question(each.name, "A", one, None) for each in steps),
        limits=tuple(many),
    )
    made = page.explained({}, found, "", NOW)
    assert len(made) < 800_000
    assert "and 960 more names" in made
    assert "and 960 more questions" in made
