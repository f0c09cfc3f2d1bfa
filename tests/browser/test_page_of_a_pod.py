"""The page of the real sidecar, beside the real kubedns and the real forwarder."""

import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium
from tests.browser.pod import Pod
from tests.realapi.waiting import until


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    made = Pod(tmp_path)
    yield made
    made.end()


def served(url: str) -> bool:
    """Tell whether the page is there."""
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return reply.status == 200
    except urllib.error.URLError:
        return False


def test_pod(browser: Chromium, pod: Pod):
    """
    The page of a pod that is well; kubedns frozen, thawed and killed; the sidecar ended.

    All of it is seen in one page that is never loaded again.
    """
    until(lambda: served(pod.url), wanted="the page")
    browser.open(pod.url)
    browser.run("window.marker = 1")
    seen = browser.shows("Every probe is good")
    assert "✓ in sync with the cluster" in browser.shows("serial", "[aria-labelledby=cluster]")
    assert "cluster.local to kubedns" in browser.shows("to kubedns", ".routes")
    assert "kube-dns-py" in seen
    browser.shows("entries", "[aria-labelledby=cache]")
    browser.shows("Hit rate", "figure")
    green = browser.style("[data-key=kubedns] .mark", "color")

    pod.kubedns.process.send_signal(signal.SIGSTOP)
    browser.shows("probe fails", "[data-key=kubedns]")
    browser.shows("Not well", "h1")
    assert browser.style("[data-key=kubedns] .mark", "color") != green
    pod.kubedns.process.send_signal(signal.SIGCONT)
    browser.shows("Every probe is good")
    assert browser.style("[data-key=kubedns] .mark", "color") == green

    pod.kubedns.end(signal.SIGKILL)
    browser.shows("probe fails", "[data-key=kubedns]")
    browser.shows("old: kubedns read", "[aria-labelledby=cluster]")
    assert browser.complaints() == []
    assert browser.too_wide() == 0
    assert {url.removeprefix(pod.url) for url in browser.requests()} <= {"", "?part=live", "data:,"}

    pod.sidecar.stop()
    browser.shows("The sidecar does not answer.", "#gone")
    assert browser.run("return window.marker") == 1
