"""The explain box: typed into by keyboard, read on a phone, not disturbed by the live page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from sidecar import page
from tests.browser import explanations, states
from tests.browser.chromium import Chromium
from tests.browser.conftest import Operate
from tests.realapi.waiting import until

_FOCUS = """
const each = document.activeElement;
return each.id || each.name || each.tagName.toLowerCase() + ":" + each.innerText.slice(0, 30);
"""


def keys(browser: Chromium, *pressed: str) -> None:
    """Press keys, wherever the focus is."""
    ActionChains(browser.driver).send_keys(*pressed).perform()


def focus(browser: Chromium) -> str:
    """Return the id, the name or the text of what has the focus."""
    return str(browser.run(_FOCUS))


def ask(browser: Chromium, name: str = "wbe") -> str:
    """Type a name into the box, and return what its result says."""
    browser.find("input[name=name]").send_keys(name, Keys.ENTER)
    return browser.shows("Each question", "#answer")


def test_by_keyboard_alone(browser: Chromium, operate: Operate):
    """Tab, the name, Enter: the verdict has the focus, and the page is the same one as before."""
    serving = operate()
    browser.open(serving.url)
    browser.run("window.marker = 1")
    keys(browser, Keys.TAB)
    assert focus(browser) == "name"
    keys(browser, "wbe", Keys.TAB, Keys.TAB, "prod", Keys.ENTER)
    browser.shows("No service wbe in namespace prod", "#answer h3")
    assert until(lambda: focus(browser), lambda seen: seen == "verdict", wanted="focus")
    assert browser.style("#verdict", "outline-style") == "solid"
    assert browser.run("return window.marker") == 1
    assert serving.got == [{"format": "html", "name": "wbe", "from": "prod", "part": "1"}]
    # On from the verdict: the links, then each question, which Enter opens.
    keys(browser, Keys.TAB, Keys.TAB, Keys.TAB)
    assert focus(browser).startswith("summary:")
    assert "kubedns answers" not in browser.text("#answer")
    keys(browser, Keys.ENTER)
    browser.shows("is the zone of the cluster, which kubedns answers", "#answer")
    assert browser.complaints() == []


def test_all_fields_by_keyboard(browser: Chromium, operate: Operate):
    """Every field is reached by Tab in the order in which it is read, and its focus is seen."""
    serving = operate()
    browser.open(serving.url)
    reached = []
    for _ in range(10):
        keys(browser, Keys.TAB)
        reached.append(focus(browser))
        assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") != "none"
        if reached[-1].startswith("summary:Another"):
            keys(browser, Keys.SPACE)
    order = ["name", "type", "from", "button:Explain", "search", "ndots", "servers", "try"]
    assert [each for each in reached if not each.startswith("summary")][:8] == order
    browser.find("input[name=search]").send_keys("a.example b.example")
    browser.find("select[name=type]").send_keys("SRV")
    browser.find("input[name=try]").send_keys(Keys.SPACE)
    ask(browser)
    assert serving.got == [{
        "format": "html", "name": "wbe", "type": "SRV", "search": "a.example b.example",
        "try": "1", "part": "1",
    }]  # fmt: skip


def test_verdict_before_all_else(browser: Chromium, operate: Operate):
    """Right below the box stands the verdict, then the hints, then the walks, then the rest."""
    browser.open(operate().url)
    seen = ask(browser)
    order = ["No service wbe", "Did you mean", "asked by", "As glibc asks", "As musl asks"]
    assert sorted(order, key=seen.index) == order
    assert seen.startswith("✕ No service wbe in namespace prod")


@pytest.mark.parametrize("own", [False, True], ids=["in the page", "a page of its own"])
@pytest.mark.parametrize("percent", [100, 200])
@pytest.mark.parametrize("width", [320, 768, 1280])
def test_readable_at_any_width(
    browser: Chromium, operate: Operate, width: int, percent: int, own: bool
):
    """On a phone and with letters twice as large nothing is cut or wider than the window."""
    serving = operate()
    browser.looks(width=width)
    browser.open(f"{serving.url}explain?name=wbe&format=html" if own else serving.url)
    browser.run(f"document.documentElement.style.fontSize = '{percent}%'")
    if not own:
        ask(browser)
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert browser.too_wide() == 0
    hidden = """return [...document.querySelectorAll("#explained *")].filter(
      (each) => each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 1
                && getComputedStyle(each).overflowX !== "visible").length"""
    assert browser.run(hidden) == 0


@pytest.mark.parametrize("own", [False, True], ids=["in the page", "a page of its own"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("good", [False, True])
def test_contrast(browser: Chromium, operate: Operate, scheme: str, good: bool, own: bool):
    """Verdict, walk, form and lists can be read by day and by night."""
    serving = operate(explanations.explanation() if good else "")
    browser.looks(scheme=scheme)
    browser.open(f"{serving.url}explain?name=wbe&format=html" if own else serving.url)
    if not own:
        ask(browser)
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert browser.poor_contrast() == []


def test_good_and_bad_differ_without_colours(browser: Chromium, operate: Operate):
    """A verdict has a sign as well as a colour."""
    serving = operate()
    browser.open(serving.url)
    ask(browser)
    bad = browser.style(".verdict", "background-color")
    assert browser.text("#verdict").startswith("✕")
    serving.found = explanations.explanation()
    browser.find("input[name=name]").send_keys(Keys.ENTER)
    browser.shows("✓ web is the service web", "#verdict")
    assert browser.style(".verdict", "background-color") != bad


def test_live_page_does_not_disturb(browser: Chromium, operate: Operate):
    """What is typed, chosen and opened stays while the page around it follows the pod."""
    serving = operate()
    browser.open(serving.url)
    ask(browser)
    browser.find("#answer .question:not([open]) summary").send_keys(Keys.ENTER)
    box = browser.find("input[name=name]")
    box.send_keys(" and more")
    browser.run("arguments[0].setSelectionRange(2, 5)", box)
    browser.run("window.result = document.getElementById('explained')")
    before = browser.text("#answer")
    for clock in ("17:44:39 UTC", "17:45:39 UTC"):
        serving.now += 60
        serving.state = states.unwell()
        serving.state.seen = explanations.seen(findings=())
        browser.shows(clock, ".clock")
    assert browser.text("h1") == "✕ Not well"
    assert "no dead ends" in browser.text("[aria-labelledby=findings]")
    assert focus(browser) == "name"
    assert box.get_property("value") == "wbe and more"
    assert browser.run("return [arguments[0].selectionStart, arguments[0].selectionEnd]", box) == [
        2, 5,
    ]  # fmt: skip
    assert browser.run("return window.result.isConnected")
    assert browser.text("#answer") == before
    assert len(serving.got) == 1


def test_another_version_waits_for_the_reader(
    browser: Chromium, operate: Operate, monkeypatch: pytest.MonkeyPatch
):
    """After an upgrade the page is not loaded anew over what is typed; it says that it is old."""
    serving = operate()
    browser.open(serving.url)
    browser.run("window.marker = 1")
    browser.find("input[name=name]").send_keys("wbe")
    monkeypatch.setattr(page, "_BUILD", "another")
    browser.shows("Another version of the sidecar answers", "#gone")
    assert browser.run("return window.marker") == 1
    assert browser.find("input[name=name]").get_property("value") == "wbe"
    browser.find("input[name=name]").clear()
    until(lambda: browser.run("return window.marker ?? 0"), lambda seen: not seen)


def test_result_is_announced(browser: Chromium, operate: Operate):
    """Who listens to the page hears that it looks, and then the verdict, which gets the focus."""
    serving = operate()
    browser.open(serving.url)
    assert browser.run("return document.getElementById('asking').getAttribute('role')") == "status"
    serving.held.clear()
    browser.find("input[name=name]").send_keys("wbe", Keys.ENTER)
    browser.shows("Looking…", "#asking")
    assert browser.find("#answer").get_attribute("aria-busy") == "true"
    serving.held.set()
    browser.shows("No service wbe", "#answer")
    assert until(lambda: focus(browser), lambda seen: seen == "verdict", wanted="focus")
    assert browser.text("#asking") == ""
    assert browser.find("#answer").get_attribute("aria-busy") is None


def test_last_question_wins(browser: Chromium, operate: Operate):
    """Who asks again before the answer came gets the answer to the last question alone."""
    serving = operate("name: the first one")
    browser.open(serving.url)
    serving.held.clear()
    box = browser.find("input[name=name]")
    box.send_keys("first", Keys.ENTER)
    until(lambda: len(serving.got), lambda seen: seen == 1, wanted="the first question")
    box.send_keys("last", Keys.ENTER)
    until(lambda: len(serving.got), lambda seen: seen == 2, wanted="the last question")
    serving.found = explanations.explanation()
    serving.held.set()
    browser.shows("web is the service web", "#answer")
    assert browser.text("#asking") == ""


def test_not_understood(browser: Chromium, operate: Operate):
    """A question that is none is answered with what is wrong with it, in the same place."""
    browser.open(operate("name: 'a..b' is no domain name").url)
    browser.find("input[name=name]").send_keys("a..b", Keys.ENTER)
    browser.shows("✕ Not explained: name: 'a..b' is no domain name", "#answer")
    assert until(lambda: focus(browser), lambda seen: seen == "verdict", wanted="focus")


def test_sidecar_goes_away(browser: Chromium, operate: Operate):
    """When nobody answers the box says so, and keeps what was typed."""
    serving = operate()
    browser.open(serving.url)
    serving.stop()
    browser.shows("The sidecar does not answer.", "#gone")
    browser.find("input[name=name]").send_keys("wbe", Keys.ENTER)
    browser.shows("Not explained:", "#asking")
    assert browser.find("input[name=name]").get_property("value") == "wbe"
    serving.start()


@pytest.mark.parametrize("answer", ["another program", "<p id=explain>another program</p>"])
def test_another_program_answers(
    browser: Chromium, operate: Operate, monkeypatch: pytest.MonkeyPatch, answer: str
):
    """What is no explanation is not put into the page."""
    browser.open(operate().url)
    monkeypatch.setattr(page, "explained", lambda *_, **__: answer)
    browser.find("input[name=name]").send_keys("wbe", Keys.ENTER)
    browser.shows("Not explained: another program answers", "#asking")
    assert browser.find("#answer").get_attribute("innerHTML") == ""


def test_empty_name(browser: Chromium, operate: Operate):
    """Without a name nothing is asked."""
    serving = operate()
    browser.open(serving.url)
    browser.find("input[name=name]").send_keys(Keys.ENTER)
    assert browser.run("return document.querySelector('form').checkValidity()") is False
    assert serving.got == []


def test_without_javascript(without_scripts: Chromium, operate: Operate):
    """Without JavaScript the form leads to a page of its own, with the form filled in again."""
    serving = operate()
    without_scripts.open(serving.url)
    assert "look again" in without_scripts.shows("Without JavaScript this page stays as it is")
    without_scripts.find("input[name=name]").send_keys("wbe")
    without_scripts.find("input[name=from]").send_keys("prod", Keys.ENTER)
    without_scripts.shows("No service wbe in namespace prod", "#verdict")
    assert [each["name"] for each in serving.got] == ["wbe"]
    assert without_scripts.text("h1") == "Why a name resolves, or does not"
    assert without_scripts.find("input[name=name]").get_attribute("value") == "wbe"
    assert without_scripts.find("input[name=from]").get_attribute("value") == "prod"
    assert without_scripts.complaints() == []


def inert(browser: Chromium) -> dict[str, Any]:
    """Return how many elements there are that could do something."""
    count = "return document.querySelectorAll(arguments[0]).length"
    kinds = (
        "script",
        "img, iframe, object, [onload], [onerror], [onfocus], [style]",
        "form",
        "svg",
    )
    return {each: browser.run(count, each) for each in kinds}


def test_hostile_texts_stay_inert(browser: Chromium, operate: Operate):
    """Names, sentences, search domains and pods that are HTML run nothing and make nothing."""
    state = states.hostile()
    serving = operate()
    browser.open(serving.url)
    usual = inert(browser)
    serving.found = explanations.hostile_explanation()
    state.seen = explanations.hostile_seen()
    serving.state = state
    browser.shows("Last burst: <img src=x onerror=alert(1)>", "[aria-labelledby=recorder]")
    ask(browser, states.HOSTILE[0])
    seen = browser.text()
    assert "\\u202eevil\\u2066rtl" in seen
    assert not set(seen) & set("\u202e\u2066\x1b")
    assert inert(browser) == usual
    browser.open(serving.url)
    assert inert(browser) == usual
    for width in (320, 1280):
        browser.looks(width=width)
        assert browser.too_wide() == 0
    form = {"name": "<script>alert(1)</script>", "type": '"><svg onload=alert(2)>',
            "from": '"autofocus onfocus=alert(3)', "format": "html"}  # fmt: skip
    browser.open(f"{serving.url}explain?{urlencode(form)}")
    assert inert(browser) == usual | {"script": 0, "svg": 0}
    assert browser.find("input[name=name]").get_attribute("value") == form["name"]
    for width in (320, 1280):
        browser.looks(width=width)
        assert browser.too_wide() == 0
    assert browser.alert() is None
    assert browser.complaints() == []


def test_form_asks_nobody_else(browser: Chromium, operate: Operate):
    """A form that came into the page some way could send nothing elsewhere: a policy forbids it."""
    serving = operate()
    other = operate()
    browser.open(serving.url)
    browser.run(
        "const made = document.createElement('form'); made.action = arguments[0];"
        "document.body.append(made); made.submit();",
        f"{other.url}explain",
    )
    browser.shows("Explain a name")
    found = until(browser.complaints, wanted="a complaint of the policy")
    assert "form-action" in "".join(found)
    assert other.asked == []
