"""The cluster changes all the time, and how soon clients are told is looked at when all is calm."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable

from tests.soak.cluster import Cluster
from tests.soak.kinds import NEWS_S
from tests.soak.once import ask_once
from tests.soak.questions import Key

_PAUSE_S = 0.2


class Changing:
    """
    A thread that changes something about five times a second.

    news_s: of changes at calm times, from the acknowledgement to the first answer that is new.
    """

    def __init__(
        self, cluster: Cluster, is_calm: Callable[[], bool], port: Callable[[], int]
    ) -> None:
        self._cluster, self._is_calm, self._port = cluster, is_calm, port
        self.news_s: list[float] = []
        self.fault = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(90)

    def _run(self) -> None:
        while not self._over.wait(_PAUSE_S):
            try:
                key = self._cluster.change()
                if key is not None and self._is_calm():
                    self._look(key)
            except Exception:
                self.fault = traceback.format_exc()
                return

    def _look(self, key: Key) -> None:
        written = time.monotonic()
        wanted = self._cluster.history.now(key)
        while time.monotonic() < written + NEWS_S:
            if ask_once(self._port(), key) == wanted:
                self.news_s.append(time.monotonic() - written)
                return
            time.sleep(0.002)
        if self._is_calm():
            self.news_s.append(NEWS_S)
