"""The product as a process, seen from outside: flags in, answers, pages and a log out."""

from __future__ import annotations

import json
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.reversename

from tests.realapi.api import Object
from tests.realapi.ports import free_port
from tests.realapi.program import Program
from tests.realapi.waiting import until

ZONE = dns.name.from_text("cluster.local.")
ROOT = Path(__file__).parents[2]

NOBODY = "127.0.0.1:9"
"""An upstream server that is not there, so that no question of a test leaves the machine."""


class KubeDns:
    """
    One running ``kube-dns`` on ports of its own, with ``/status`` and ``/metrics``.

    ``wrapper`` is a command that runs the rest of the command line.  When it is stopped it must
    exit with status 0, and its log must be free of tracebacks.
    """

    def __init__(
        self,
        folder: Path,
        *flags: str | Path,
        environment: Mapping[str, str] | None = None,
        wrapper: Sequence[str | Path] = (),
    ) -> None:
        self.port = free_port()
        self._pages = f"http://127.0.0.1:{free_port()}"
        self._status = f"http://127.0.0.1:{free_port()}"
        self._program = Program(
            [
                *wrapper,
                sys.executable,
                "-m",
                "kubedns",
                f"--dns-port={self.port}",
                "--dns-bind-address=127.0.0.1",
                f"--healthz-port={self._pages.rpartition(':')[2]}",
                f"--status-address={self._status.removeprefix('http://')}",
                "--lame-duck=0s",
                *([] if any("--config-" in str(flag) for flag in flags) else _NO_UPSTREAM),
                *map(str, flags),
            ],
            log=folder / f"kube-dns-{self.port}.log",
            environment={"PYTHONPATH": str(ROOT), **(environment or {})},
        )

    def stop(self) -> None:
        """
        End the process in good order.

        Raises:
            AssertionError: it did not end well, or an error went through unforeseen.
        """
        assert self._program.alive(), f"kube-dns had ended:\n{self._program.last_words()}"
        status = self._program.stop()
        assert status == 0, f"exit status {status}:\n{self._program.last_words()}"
        assert "Traceback" not in self.log(), self.log()

    def kill(self) -> None:
        """End the process at once, as the kernel does when memory is short."""
        self._program.kill()

    def pause(self) -> None:
        """Stop the process from running at all, until ``go_on``."""
        self._program.send(signal.SIGSTOP)

    def go_on(self) -> None:
        self._program.send(signal.SIGCONT)

    def log(self) -> str:
        return self._program.output()

    def logs(self, text: str) -> str:
        """Wait for a line of the log which holds ``text``, whatever its case; return it."""

        def line() -> str:
            return next((line for line in self.log().splitlines() if text in line.lower()), "")

        return until(line, wanted=f"a log line with {text!r} in\n{self._program.last_words()}")

    # Pages

    def page(self, path: str) -> tuple[int, str]:
        """Return status and text of a page of ``--healthz-port``; status 0: nobody listens."""
        return _fetch(self._pages + path)

    def ready(self) -> KubeDns:
        """Wait until the process calls itself ready."""

        def ready() -> bool:
            assert self._program.alive(), f"kube-dns ended:\n{self._program.last_words()}"
            return self.page("/readiness") == (200, "ok\n")

        until(ready, wanted=f"ready:\n{self._program.last_words()}")
        return self

    def status(self) -> Object:
        """Return ``/status``; empty while nobody listens."""
        code, text = _fetch(f"{self._status}/status")
        answer: Object = json.loads(text) if code == 200 else {}
        return answer

    def source(self, resource: str) -> Object:
        """Return what ``/status`` says about one kind of object; empty if nothing."""
        sources = self.status().get("sources", [])
        return next((source for source in sources if source["resource"] == resource), {})

    def metric(self, series: str) -> float:
        """Return the value of a metric, or the sum of all its series if no labels are given."""
        code, text = _fetch(f"{self._status}/metrics")
        assert code == 200, text
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        found = [float(value) for name, _, value in lines if series in (name, name.split("{")[0])]
        assert found, f"no metric {series} in\n{text}"
        return sum(found)

    # Questions.  A name without a final dot is one of the cluster domain.

    def ask(
        self, name: str, rdtype: str = "A", *, tcp: bool = False, recursion: bool = True
    ) -> dns.message.Message:
        query = dns.message.make_query(
            dns.name.from_text(name, ZONE), rdtype, use_edns=0, payload=4096
        )
        if not recursion:
            query.flags &= ~dns.flags.RD
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, "127.0.0.1", port=self.port, timeout=5)

    def look(self, name: str, rdtype: str = "A", *, tcp: bool = False) -> set[str]:
        """Return the data of all answers as text; of a negative reply NODATA or its rcode."""
        response = self.ask(name, rdtype, tcp=tcp)
        data = {record.to_text() for rrset in response.answer for record in rrset}
        if response.rcode() != dns.rcode.NOERROR:
            data.add(dns.rcode.to_text(response.rcode()))
        return data or {"NODATA"}

    def shows(self, name: str, *data: str, rdtype: str = "A", tcp: bool = False) -> None:
        """
        Wait until the answer has exactly these data, in any order; as ``look`` has them.

        Raises:
            AssertionError: it never had; holds the last ones.
        """
        wanted = f"{sorted(data)} for {name} {rdtype}"
        until(lambda: self.look(name, rdtype, tcp=tcp), lambda seen: seen == {*data}, wanted=wanted)


class Steady:
    """
    Asks one question all the time, and counts the answers.

    On leaving, it must have been answered at least once, and always with ``data``.
    """

    def __init__(self, kube_dns: KubeDns, name: str, *data: str) -> None:
        self._look: Callable[[], set[str]] = lambda: kube_dns.look(name)
        self._expected = {*data}
        self._over = threading.Event()
        self._wrong: list[str] = []
        self._asked = 0

    def __enter__(self) -> Steady:
        self._thread = threading.Thread(target=self._ask_on, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        if error is None:
            assert self._asked
            assert not self._wrong, f"{len(self._wrong)} of {self._asked}: {self._wrong[:3]}"

    def _ask_on(self) -> None:
        while not self._over.wait(0.01):
            self._asked += 1
            try:
                seen = self._look()
            except Exception as error:
                self._wrong.append(repr(error))
                continue
            if seen != self._expected:
                self._wrong.append(repr(seen))


def reverse(address: str) -> str:
    return dns.reversename.from_address(address).to_text()


def _fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


_NO_UPSTREAM = [f"--nameservers={NOBODY}"]
