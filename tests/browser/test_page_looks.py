"""What an operator sees: on a desk and on a phone, by day and by night, of good and bad pods."""

import pytest

from tests.browser import states
from tests.browser.chromium import Chromium
from tests.browser.conftest import Serve

STATES = ("well", "unwell", "aged", "crowded", "foreign", "hostile")

_TORN = """
return [...document.querySelectorAll("#live *")].filter((each) => {
  const { width, height } = each.getBoundingClientRect();
  if (each.childElementCount || each.closest("thead")?.offsetWidth <= 1) return false;
  const words = each.textContent.trim();
  return words.length > 3 && width > 1 && height > 3 * width;
}).map((each) => each.textContent);
"""


@pytest.mark.parametrize("name", STATES)
def test_loads_and_asks_nobody_else(browser: Chromium, serve: Serve, name: str):
    """The page loads without a word on the console, and with one request, to the sidecar."""
    serving = serve(getattr(states, name)())
    browser.open(serving.url)
    assert browser.text("h1").endswith("ell")
    assert browser.complaints() == []
    others = [url for url in browser.requests() if not url.startswith((serving.url, "data:"))]
    assert others == []
    assert serving.asked[0] == "/"
    assert set(serving.asked) <= {"/", "/?part=live"}


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("width", [320, 400, 800, 1280])
def test_no_sideways_scrolling(browser: Chromium, serve: Serve, name: str, width: int):
    """Nothing is wider than the window, be the window a phone's and the names an enemy's."""
    browser.looks(width=width)
    browser.open(serve(getattr(states, name)()).url)
    assert browser.too_wide() == 0
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert browser.too_wide() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["well", "unwell", "aged", "foreign"])
def test_contrast(browser: Chromium, serve: Serve, name: str, scheme: str):
    """Every text can be read against what is behind it."""
    browser.looks(scheme=scheme)
    browser.open(serve(getattr(states, name)()).url)
    assert browser.poor_contrast() == []


def test_dark(browser: Chromium, serve: Serve):
    """Who has a dark desktop gets a dark page, also when the taste changes while it is open."""
    browser.open(serve(states.well()).url)
    light = browser.style("body", "background-color")
    browser.looks(scheme="dark")
    dark = browser.style("body", "background-color")
    assert (
        sum(map(int, dark[5:-1].split(",")[:3]))
        < 150
        < 600
        < sum(map(int, light[5:-1].split(",")[:3]))
    )


@pytest.mark.parametrize("name", ["well", "unwell", "aged", "foreign"])
@pytest.mark.parametrize("width", [400, 1280])
def test_no_word_is_torn(browser: Chromium, serve: Serve, name: str, width: int):
    """Usual words are not broken into letters to fit: nothing is higher than it is wide."""
    browser.looks(width=width)
    browser.open(serve(getattr(states, name)()).url)
    assert browser.run(_TORN) == []


def test_phone_names_each_value(browser: Chromium, serve: Serve):
    """On a phone, where there is no head of a table, each value stands beside its name."""
    browser.looks(width=400)
    browser.open(serve(states.well()).url)
    label = "return getComputedStyle(document.querySelector('.routes td'), '::before').content"
    assert browser.run(label) == "attr(data-name)" or "Upstream" in browser.run(label)
    assert browser.find(".routes thead").size["height"] <= 1


def test_good_and_bad_differ_without_colours(browser: Chromium, serve: Serve):
    """Good and bad have other signs and other words, not only other colours."""
    serving = serve(states.well())
    browser.open(serving.url)
    good, colour = browser.text("article p"), browser.style("article .mark", "color")
    serving.state = states.unwell()
    browser.open(serving.url)
    assert good.startswith("✓ answers")
    assert browser.text("article p").startswith("✕ probe fails")
    assert browser.style("article .mark", "color") != colour


def test_hostile_names_stay_inert(browser: Chromium, serve: Serve):
    """Names that are HTML run nothing and make nothing, in the page and in what is loaded later."""
    serving = serve(states.well())
    browser.open(serving.url)
    usual = "script, img, iframe, object, form, [onload], [onerror], [onfocus], [style]"
    count = f"return document.querySelectorAll({usual!r}).length"
    assert browser.run(count) == 1
    serving.state = states.hostile()
    browser.shows("<img src=x onerror=alert(1)>")
    assert browser.run(count) == 1
    assert browser.run("return document.querySelectorAll('svg').length") == 2
    assert browser.alert() is None
    browser.open(serving.url)
    assert browser.run(count) == 1
    assert browser.alert() is None
    assert browser.complaints() == []


def test_policy_holds(browser: Chromium, serve: Serve):
    """Even a script that came into the page some way would not run: the policy forbids it."""
    browser.open(serve(states.well()).url)
    browser.run(
        "const made = document.createElement('script'); made.textContent = 'window.bad = 1';"
        "document.body.append(made);"
    )
    assert browser.run("return window.bad") is None
    assert "Content Security Policy" in "".join(browser.complaints())


def test_without_javascript(without_scripts: Chromium, serve: Serve):
    """Without JavaScript everything stands in the page, which says how it keeps up to date."""
    serving = serve(states.unwell())
    without_scripts.open(serving.url)
    seen = without_scripts.shows("Not well")
    assert "10.20.0.53" in seen
    assert "loaded again every 10 s" in seen
    assert "Live:" not in seen
    serving.state = states.well()
    without_scripts.shows("Every probe is good")
    assert set(serving.asked) == {"/"}
