"""The page of the real sidecar, beside the real kubedns and the real forwarder."""

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import pytest
from selenium.webdriver.common.keys import Keys

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


def test_operators_of_a_pod(browser: Chromium, pod: Pod):
    """
    An operator asks a pod why a name does not resolve, and sees who asked for what.

    The public page of the same pod shows none of that.
    """
    until(lambda: served(pod.operators_url), wanted="the page")
    for name in ("kubernetes.default.svc.cluster.local", "web.shop.default.svc.cluster.local"):
        dns.query.udp(dns.message.make_query(name, "A"), pod.dns[0], port=pod.dns[1], timeout=30)
    browser.open(pod.operators_url)
    browser.shows("in sync with the cluster")
    browser.find("input[name=name]").send_keys("web.shop", Keys.TAB, Keys.TAB)
    browser.find("input[name=from]").send_keys("default", Keys.ENTER)
    assert browser.shows("Each question", "#answer").startswith("✓")
    seen = browser.text("#answer")
    assert "As glibc and musl ask ✓ ends with an answer after 4 questions" in seen
    assert "web.shop.default.svc.cluster.local." in seen
    assert "Service shop/web, ClusterIP" in seen
    assert "Answer" in seen

    box = browser.find("input[name=name]")
    box.clear()
    box.send_keys("kubernets.default.svc.cluster.local.", Keys.ENTER)
    seen = browser.shows("Did you mean", "#answer")
    assert seen.startswith("✕")
    assert "kubernetes.default.svc.cluster.local." in seen

    browser.shows("web.shop.default.svc.cluster.local.", "[aria-labelledby=top]")
    assert "127.0.0.1" in browser.text("[aria-labelledby=top]")
    browser.shows("transactions held", "[aria-labelledby=recorder]")
    link = browser.find("[aria-labelledby=recorder] a[href*=jsonl][href*=live]")
    with urllib.request.urlopen(link.get_property("href"), timeout=30) as reply:
        lines = [json.loads(line) for line in reply]
    assert "web.shop.default.svc.cluster.local." in {each["name"] for each in lines}
    assert browser.complaints() == []
    assert {url.partition("?")[0] for url in browser.requests()} <= {
        pod.operators_url, f"{pod.operators_url}explain", "data:,",
    }  # fmt: skip

    with urllib.request.urlopen(pod.url, timeout=30) as reply:
        public = reply.read().decode()
    assert "web.shop" not in public
    assert "<form" not in public
    assert "port-forward" in public
