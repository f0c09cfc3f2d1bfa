"""The page while it is open: it follows the pod, disturbs no reader, and tells when it cannot."""

from dataclasses import replace

import pytest
from selenium.webdriver.common.keys import Keys

from sidecar import page
from tests.browser import documents, states
from tests.browser.chromium import Chromium
from tests.browser.conftest import Serve
from tests.realapi.waiting import until


def test_values_change_without_a_reload(browser: Chromium, serve: Serve):
    """New values appear in the page that is open, in the same elements."""
    serving = serve(states.well())
    browser.open(serving.url)
    browser.run("window.marker = 1; window.card = document.querySelector('article')")
    status = documents.forwarder_status()
    status["cache"] |= {"entries": 977}
    serving.state, serving.now = states.well(forwarder=status), states.NOW + 60
    browser.shows("977 of 1,000")
    browser.shows("17:44:39 UTC")
    assert browser.run("return window.marker === 1 && window.card.isConnected")
    assert serving.asked.count("/") == 1
    assert browser.complaints() == []


def test_probe_that_fails_turns_red(browser: Chromium, serve: Serve):
    """When a probe fails the verdict, the card and the title tell it, and again when it heals."""
    serving = serve(states.well())
    browser.open(serving.url)
    green = browser.style("[data-key=kubedns] .mark", "color")
    serving.state = states.unwell()
    browser.shows("Not well", "h1")
    browser.shows("probe fails", "[data-key=kubedns]")
    red = browser.style("[data-key=kubedns] .mark", "color")
    assert red != green
    assert browser.style("h1", "color") == red
    assert browser.driver.title == "✕ not well: kube-dns"
    serving.state = states.well()
    browser.shows("Every probe is good")
    assert browser.style("[data-key=kubedns] .mark", "color") == green
    assert browser.driver.title == "✓ well: kube-dns"


def test_sidecar_away(browser: Chromium, serve: Serve):
    """When the sidecar is away the page says so, and of what time all the rest is."""
    serving = serve(states.well())
    browser.open(serving.url)
    assert browser.text("#gone") == ""
    serving.stop()
    of_when = "What stands below is of 17:43:39 UTC, "
    browser.shows(f"The sidecar does not answer. {of_when}", "#gone")
    assert "Every probe is good" in browser.text()
    assert browser.driver.title.startswith("? no answer")
    until(lambda: float(browser.style("#live", "opacity")), lambda seen: seen < 1, wanted="faded")
    serving.start()
    until(lambda: browser.text("#gone"), lambda seen: not seen, wanted="no notice")
    assert browser.driver.title == "✓ well: kube-dns"


@pytest.mark.parametrize("answer", ["internal error", "<p>some other program</p>"])
def test_sidecar_answers_something_else(
    browser: Chromium, serve: Serve, monkeypatch: pytest.MonkeyPatch, answer: str
):
    """What is no part of this page does not take its place: it counts as no answer."""
    serving = serve(states.well())
    browser.open(serving.url)
    with monkeypatch.context() as patched:
        patched.setattr(page, "fragment", lambda *_: answer)
        browser.shows("does not answer", "#gone")
        assert answer not in browser.text()
    until(lambda: browser.text("#gone"), lambda seen: not seen, wanted="no notice")


def test_another_version_is_loaded_as_a_whole(
    browser: Chromium, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    """After an upgrade of the sidecar an open page takes over the new looks too."""
    serving = serve(states.well())
    browser.open(serving.url)
    browser.run("window.marker = 1")
    monkeypatch.setattr(page, "_BUILD", "another")
    until(lambda: browser.run("return window.marker ?? 0"), lambda seen: not seen)
    browser.shows("Every probe is good")


def test_reader_is_not_disturbed(browser: Chromium, serve: Serve):
    """Focus, what was opened, what is selected, and the place in the page outlive an update."""
    serving = serve(states.unwell())
    browser.open(serving.url)
    browser.find("summary").send_keys(Keys.ENTER)
    browser.run(
        "scrollTo(0, 700);"
        "const chosen = document.querySelector('[data-key=sidecar] dd').firstChild;"
        "getSelection().setBaseAndExtent(chosen, 0, chosen, 11);"
    )
    before = browser.run("return scrollY")
    assert before > 300
    serving.now += 60
    serving.state = replace(states.unwell(), samples=states.samples(100))
    browser.shows("17:44:39 UTC")
    assert browser.run("return document.activeElement.tagName") == "SUMMARY"
    assert browser.run("return document.querySelector('details').open")
    assert browser.run("return getSelection().toString()") == "kube-dns-py"
    assert browser.run("return scrollY") == before


def test_selection_of_what_changes(browser: Chromium, serve: Serve):
    """Who selects a text that changes at each look can still copy it."""
    serving = serve(states.well())
    browser.open(serving.url)
    browser.run(
        "const clock = document.querySelector('.clock time').firstChild;"
        "getSelection().setBaseAndExtent(clock, 0, clock, 8);"
    )
    serving.now += 60
    browser.shows("17:44:39 UTC", ".clock")
    assert browser.run("return getSelection().toString()") == "17:44:39"


def test_elements_move(browser: Chromium, serve: Serve):
    """A route that goes to the top because it is down is moved there, and not made anew."""
    serving = serve(states.well())
    browser.open(serving.url)
    browser.run("window.row = document.querySelector('.routes [data-key=\"corp.example\"]')")
    assert browser.run("return document.querySelector('.routes tbody') === window.row") is False
    serving.state = states.well(forwarder=documents.forwarder_status(routes=[
        documents.route(".", "default", documents.upstream("192.0.2.53")),
        documents.route("corp.example", "stub", documents.upstream("10.20.0.53", "down")),
    ]))  # fmt: skip
    browser.shows("2 routes, 1 with trouble")
    assert browser.run("return document.querySelector('.routes tbody') === window.row")


def test_focus_outlives_what_goes_above_it(browser: Chromium, serve: Serve):
    """A note that disappears above the focus does not take it away, nor close what was opened."""
    serving = serve(states.foreign())
    browser.open(serving.url)
    browser.find("summary").send_keys(Keys.ENTER)
    serving.state = states.well()
    browser.shows("412 of 1,000")
    assert browser.run("return document.activeElement.tagName") == "SUMMARY"
    assert browser.run("return document.querySelector('details').open")


def test_keyboard_reaches_all_that_can_be_opened(browser: Chromium, serve: Serve):
    """The one thing that opens is reached by the keyboard, and its focus is seen."""
    browser.open(serve(states.well()).url)
    browser.find("body").send_keys(Keys.TAB)
    assert browser.run("return document.activeElement.tagName") == "SUMMARY"
    assert browser.style("summary", "outline-style") == "solid"


def test_hidden_page_asks_nothing(browser: Chromium, serve: Serve):
    """A page in a tab that nobody sees does not ask; seen again, it is up to date at once."""
    serving = serve(states.well())
    browser.open(serving.url)
    browser.run(
        "window.seen = false; Object.defineProperty(document, 'hidden', {get: () => !window.seen});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    before = len(serving.asked)
    browser.driver.execute_async_script("setTimeout(arguments[0], 5000)")
    assert len(serving.asked) <= before + 1  # one may have been on its way
    serving.state = states.unwell()
    browser.run("window.seen = true; document.dispatchEvent(new Event('visibilitychange'))")
    browser.shows("Not well", "h1")


def test_stays_small_over_many_updates(browser: Chromium, serve: Serve):
    """Looking again and again does not make the page grow."""
    serving = serve(states.well())
    browser.open(serving.url)
    count = "return document.querySelectorAll('*').length"
    before = browser.run(count)
    for clock in ("17:44:39 UTC", "17:45:39 UTC"):
        serving.now += 60
        browser.shows(clock, ".clock")
    assert browser.run(count) == before
