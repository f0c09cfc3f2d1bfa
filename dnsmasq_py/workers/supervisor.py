"""
The parent of the workers: it forks, passes messages and signals on, and ends what is frozen.

It has no reactor and no threads, so it may fork at any time; all imports are done before, and their
memory is shared. It keeps its user, as the original's nanny does: a worker that is started again
opens its sockets as the first one did, then drops what --user drops. Sockets of queries are opened
by workers themselves: the kernel gives the clients of one that ended to the others at once. Those
of pages are opened here, since any worker may answer there.
"""

import contextlib
import gc
import os
import secrets
import select
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable

import dnsmasq_py.workers.worker  # noqa: F401 - what workers need is loaded once, before they are
from dnsmasq_py import interfaces
from dnsmasq_py.options import Options
from dnsmasq_py.workers import sums
from dnsmasq_py.workers.child import Child
from dnsmasq_py.workers.hub import LOOK_S, Action, End, Hub, Tell
from dnsmasq_py.workers.place import Place, pages_of
from kubedns.serve import sockets

Work = Callable[[Options, Place], int]

_ENDING = (signal.SIGINT, signal.SIGTERM)
_SIGNALS = (*_ENDING, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)
_STEADY_S = 10.0  # who lived so long is started again at once
_FIRST_PAUSE_S = 0.1
_MAX_PAUSE_S = 5.0
_GRACE_S = 15.0  # beyond --drain


class Supervisor:
    """
    Runs workers until a signal.

    work: what a worker does, in its own process, until its exit status.

    Raises:
        KubednsError: what cannot be opened, in one line.
    """

    def __init__(self, options: Options, work: Work) -> None:
        self._options = options
        self._work = work
        self._count = options.workers
        self._hub = Hub(options.kubedns_server, sums.bury)
        self._children: dict[int, Child] = {}
        self._to_start: dict[int, float] = {0: 0.0}  # monotonic seconds; the others follow
        self._failures: dict[int, int] = {}
        self._selector = selectors.DefaultSelector()
        self._awake, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._secret = secrets.token_bytes(32)
        self._started = False  # all of them, once
        self._ends_at: float | None = None
        self._status = 0
        self._find_port_free()
        self._pages = {place: sockets.tcp(*place) for place in pages_of(options)}

    def run(self) -> int:
        """Return the exit status."""
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        self._selector.register(self._awake, selectors.EVENT_READ)
        gc.collect()
        gc.freeze()
        look_at = time.monotonic() + LOOK_S
        while self._children or (self._to_start and self._ends_at is None):
            now = time.monotonic()
            self._start_due(now)
            self._wait(max(0.0, min([look_at, *self._to_start.values()]) - now))
            now = time.monotonic()
            if now >= look_at:
                look_at = now + LOOK_S
                self._do(self._hub.looked())
                self._end_late(now)
        return self._status

    def _find_port_free(self) -> None:
        """Workers share the port, so they would share it with another server of the same user."""
        if self._options.port:
            for host in interfaces.wanted(self._options) or [""]:
                sockets.tcp(host, self._options.port).close()

    # Processes

    def _start_due(self, now: float) -> None:
        for number in [each for each, at in self._to_start.items() if at <= now]:
            if self._ends_at is None:
                del self._to_start[number]
                self._fork(number, now)
            else:
                self._to_start.clear()
                return

    def _fork(self, number: int, now: float) -> None:
        ours, theirs = socket.socketpair()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until a worker has let go of `_wake`
        try:
            pid = os.fork()
            if not pid:
                ours.close()
                self._become(number, theirs)
        except OSError as error:  # too many processes, no memory
            ours.close()
            self._to_start[number] = now + _MAX_PAUSE_S
            self._say(f"cannot start worker {number}: {error.strerror}")
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            theirs.close()
        self._children[number] = Child(number, pid, ours, now, self._selector)
        self._hub.started(number)

    def _become(self, number: int, channel: socket.socket) -> None:
        """Be a worker; does not return."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for each in _SIGNALS:  # orders come by the channel: a terminal's ^C is for all of us
                signal.signal(each, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self._selector.close()
            os.close(self._awake)
            os.close(self._wake)
            for child in self._children.values():
                child.channel.close()
            place = Place(number, self._count, channel, self._pages, self._secret)
            status = self._work(self._options, place)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for child in list(self._children.values()):
                if child.pid == pid:
                    self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: Child, status: int) -> None:
        was_ready = child.number in self._hub.ready
        self._receive(child)  # its last words
        child.shut()
        del self._children[child.number]
        self._do(self._hub.ended(child.number))
        if self._ends_at is not None:
            return
        if not self._started and not was_ready:  # a start that is impossible is said by the worker
            self._status = status if status > 0 else 1
            self._end(signal.SIGINT)
            return
        now = time.monotonic()
        steady = now - child.began >= _STEADY_S
        failures = self._failures[child.number] = 0 if steady else self._failed(child.number) + 1
        pause = min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2 ** (failures - 2)) if failures > 1 else 0.0
        self._to_start[child.number] = now + pause
        how = f"signal {-status}" if status < 0 else f"status {status}"
        why = f" ({child.why})" if child.why else ""
        who = f"worker {child.number}, process {child.pid},"
        self._say(f"{who} ended with {how}{why}: starting it again")

    def _failed(self, number: int) -> int:
        return self._failures.get(number, 0)

    def _end(self, number: int) -> None:
        if self._ends_at is None:
            drain_s = self._options.drain_s if number == signal.SIGTERM else 0.0
            self._ends_at = time.monotonic() + drain_s + _GRACE_S
        self._do(self._hub.signalled(number))

    def _end_late(self, now: float) -> None:
        if self._ends_at is not None and now >= self._ends_at:
            self._do([End(number, "it does not end") for number in self._children])

    # Messages and signals

    def _wait(self, timeout_s: float) -> None:
        for key, events in self._selector.select(timeout_s):
            child = key.data
            if child is None:
                self._signalled()
            elif events & selectors.EVENT_WRITE:
                child.send()
            else:
                self._receive(child)

    def _signalled(self) -> None:
        numbers = os.read(self._awake, 4096)
        for number in numbers:
            if number in _ENDING:
                self._end(number)
            elif number == signal.SIGCHLD:
                self._reap()
            else:
                self._do(self._hub.signalled(number, one=number == signal.SIGUSR1))

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            child = self._children.get(action.worker)
            if child is None:
                continue
            match action:
                case Tell(_, message):
                    child.say(message)
                case End(_, why):
                    child.kill(why)

    def _receive(self, child: Child) -> None:
        for message in child.receive():
            self._do(self._hub.said(child.number, message, time.monotonic()))
        if not child.is_open and self._children.get(child.number) is child:
            self._hub.leaves(child.number)
        self._start_others()

    def _start_others(self) -> None:
        """Start the others when the first one answers: what is impossible is said once."""
        ready = self._hub.ready
        if not self._started and 0 in ready and self._ends_at is None:
            now = time.monotonic()
            others = set(range(self._count)) - self._children.keys() - self._to_start.keys()
            self._to_start.update(dict.fromkeys(others, now))
            self._started = len(ready) == self._count
            if self._started:
                self._say(f"{self._count} workers answer")

    def _say(self, text: str) -> None:
        """Write a line to the log; never wait for who should read it."""
        line = f"dnsmasq[{os.getpid()}]: {text}\n".encode()
        path = self._options.log_facility
        with contextlib.suppress(OSError):
            if path.startswith("/"):
                stamp = time.strftime("%b %e %H:%M:%S ", time.gmtime()).encode()
                fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    os.write(fd, stamp + line)
                finally:
                    os.close(fd)
            elif select.select([], [2], [], 0)[1]:
                os.write(2, line)
