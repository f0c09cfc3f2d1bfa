"""Chromium without a window: what a page looks like, what it asked for, what it complained of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.realapi.waiting import until

NEEDS = ("chromium", "chromedriver")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_NO_SCRIPTS = "--blink-settings=scriptEnabled=false"

# The contrast of each text that is seen, against what is painted behind it (WCAG 2.2).
_CONTRAST = """
const light = (rgb) => {
  const [r, g, b] = rgb.map((v) => v / 255).map(
    (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const behind = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const found = numbers(getComputedStyle(each).backgroundColor);
    if (found.length < 4 || found[3] > 0) return found.slice(0, 3);
  }
  return [255, 255, 255];
};
const poor = [];
for (const element of document.body.querySelectorAll("*")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.checkVisibility()) continue;
  const [one, other] = [
    light(numbers(getComputedStyle(element).color).slice(0, 3)), light(behind(element))];
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (ratio < 4.5) poor.push(`${element.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
}
return poor;
"""


def missing() -> list[str]:
    """Return the programs that are not installed."""
    return [name for name in NEEDS if shutil.which(name) is None]


class Chromium:
    """One browser with a window of its own; profile: an empty folder for what it writes."""

    def __init__(self, profile: Path, *, scripts: bool = True) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        if not scripts:
            options.add_argument(_NO_SCRIPTS)
        self.driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        self.driver.set_page_load_timeout(60)
        self.driver.set_script_timeout(60)

    def quit(self) -> None:
        """End it."""
        self.driver.quit()

    def fresh(self) -> None:
        """Forget the last test: an empty page, a window of usual size, no logs."""
        self.driver.get("about:blank")
        self.looks()
        self.complaints()
        self.requests()

    def open(self, url: str) -> None:
        """Load a page."""
        self.driver.get(url)

    def looks(self, *, width: int = 1280, scheme: str = "light") -> None:
        """Give the window a width in pixels, and the reader a taste: light or dark."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        taste = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", taste)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page, and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        """Return the first element, by a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str = "body") -> str:
        """Return what a reader sees of an element, blanks put together."""
        return " ".join(self.find(selector).text.split())

    def shows(self, text: str, selector: str = "body") -> str:
        """Wait until a reader sees a text, and return all that is seen."""
        # Not `text`: between finding an element and reading it the page may have another, and
        # the driver takes no noscript for visible.
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return until(
            lambda: " ".join(self.run(script, selector).split()),
            lambda seen: text in seen,
            wanted=f"with {text!r}",
        )

    def style(self, selector: str, name: str) -> str:
        """Return a computed style of an element."""
        return self.find(selector).value_of_css_property(name)

    def too_wide(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        root = "document.documentElement"
        return int(self.run(f"return {root}.scrollWidth - {root}.clientWidth"))

    def poor_contrast(self) -> list[str]:
        """Return the texts whose contrast is below 4.5."""
        found: list[str] = self.run(_CONTRAST)
        return found

    def complaints(self) -> list[str]:
        """Return what the console says since the last look."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the last look."""
        events = (json.loads(entry["message"]) for entry in self.driver.get_log("performance"))
        return [
            event["message"]["params"]["request"]["url"]
            for event in events
            if event["message"]["method"] == "Network.requestWillBeSent"
        ]

    def alert(self) -> str | None:
        """Return the text of an alert, None if there is none."""
        try:
            return self.driver.switch_to.alert.text
        except NoAlertPresentException:
            return None
