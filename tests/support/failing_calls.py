"""Failing calls: one call of an operating-system function raises an errno that it can raise.

A call is known by its function, its place in the library (the innermost frames of `actors/` and `supervisor/`) and its
number there. Only calls that the library makes count.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import os
import select
import selectors
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from actors.event import KernelCounter
from tests.support import waiting

LIBRARY = tuple(f"{waiting.LIBRARY / package}{os.sep}" for package in ("actors", "supervisor"))
ASYNCIO = f"{Path(asyncio.__file__).parent}{os.sep}"
DEPTH = 3  # frames that make up a place
ADMINISTRATOR = 0.3  # seconds after which a process that the daemon may not kill is killed by other means

FAILURES = {
    "os.pipe": ("EMFILE", "ENFILE"),
    "os.memfd_create": ("EMFILE", "ENFILE", "ENOMEM"),
    "os.eventfd": ("EMFILE", "ENFILE", "ENOMEM"),
    "os.ftruncate": ("ENOMEM", "ENOSPC"),
    "os.lseek": ("EBADF",),
    "os.pidfd_open": ("EMFILE", "ENFILE", "ENOMEM", "ENOSYS"),
    "os.open": ("EMFILE", "ENFILE", "ENOMEM"),
    "os.listdir": ("EMFILE", "ENFILE", "ENOMEM"),
    "os.stat": ("EIO", "ESTALE", "ENOMEM"),
    "os.read": ("EIO", "EAGAIN", "EBADF"),
    "os.write": ("EPIPE", "EAGAIN", "ENOMEM"),
    "os.close": ("EIO",),
    "os.kill": ("ESRCH", "EPERM"),
    "os.killpg": ("ESRCH", "EPERM"),
    "os.wait4": ("ECHILD",),
    "os.waitid": ("ECHILD",),
    "os.waitpid": ("ECHILD",),
    "os.set_blocking": ("EBADF",),
    "io.open": ("EMFILE", "ENFILE", "ENOMEM"),
    "builtins.open": ("EMFILE", "ENFILE", "ENOMEM"),
    "mmap.mmap": ("ENOMEM", "EMFILE", "EAGAIN"),
    "fcntl.fcntl": ("EPERM", "ENOMEM", "EBUSY"),
    "signal.pidfd_send_signal": ("ESRCH", "EPERM", "ENOSYS"),
    "select.epoll": ("EMFILE", "ENFILE", "ENOMEM"),
    "select.epoll.register": ("ENOSPC", "ENOMEM"),
    "select.epoll.modify": ("ENOMEM",),
    "select.epoll.unregister": ("EBADF", "ENOENT"),
    "select.epoll.poll": ("ENOMEM", "EBADF"),
    "select.poll.poll": ("ENOMEM",),
    "socket.socketpair": ("EMFILE", "ENFILE", "ENOMEM"),
    "socket.socket.send": ("ENOBUFS", "EPIPE", "EAGAIN"),
    "socket.socket.sendall": ("ENOBUFS", "EPIPE"),
    "socket.socket.recv": ("ENOMEM", "ECONNRESET", "EAGAIN"),
    "_posixsubprocess.fork_exec": ("EAGAIN", "ENOMEM"),
    "threading.Thread.start": ("RuntimeError",),
}
"""By function: what it can raise. `RuntimeError` is Python's word for a thread that cannot be started."""

DONE = {
    ("select.epoll.unregister", "EBADF"),
    ("select.epoll.unregister", "ENOENT"),
    ("os.close", "EIO"),
    ("os.kill", "ESRCH"),
    ("signal.pidfd_send_signal", "ESRCH"),
}
"""Their effect is there when they fail: the descriptor is closed or not watched, the process is dead."""

WAITS = {"os.wait4", "os.waitid", "os.waitpid"}
"""They fail when other code has taken the exit code before, so only for processes that have ended."""


class Failure(NamedTuple):
    """One call that fails: which, the how many-th at its place, and what it raises."""

    function: str
    place: tuple[str, ...]
    nth: int
    error: str

    def __str__(self):
        return f"{self.function} in {' < '.join(self.place)}, call {self.nth}, raises {self.error}"


class FailingCalls:
    """Stands before all functions of FAILURES: counts their calls, and makes one of them fail.

    Attributes:
        armed: whether calls count.
        seen: how many calls were made while it was armed, by function and place.
        raised: the error, once it was raised.
    """

    def __init__(self, monkeypatch):
        self.armed = False
        self.seen = Counter()
        self.raised = None
        self._failure = None
        self._lock = threading.Lock()
        self._patch_polls(monkeypatch)
        for function in FAILURES:
            if not function.startswith(("select.epoll", "select.poll")):
                place, _, name = function.rpartition(".")
                module, _, owner = place.partition(".")
                holder = importlib.import_module(module)
                holder = getattr(holder, owner) if owner else holder
                monkeypatch.setattr(holder, name, self._wrapped(function, getattr(holder, name)))
        monkeypatch.setattr(KernelCounter, "_close_fd", staticmethod(os.close))  # it has kept the real one

    def arm(self, failure=None):
        """Count calls from now on, and let one of them fail."""
        self.seen.clear()
        self.raised = None
        self._failure = failure
        self.armed = True

    def disarm(self):
        """Nothing fails any more."""
        self.armed = False

    def _wrapped(self, function, real):
        def call(*args, **options):
            place = self._place(function) if self.armed else None
            if place is None:
                return real(*args, **options)
            if function in WAITS:
                return self._wait(function, place, real, args)
            if not self._fails(function, place):
                return real(*args, **options)
            if (function, self._failure.error) in DONE:
                with contextlib.suppress(OSError):
                    real(*args, **options)
            elif function == "signal.pidfd_send_signal" and args[1] == signal.SIGKILL:
                self._kill_later(args[0])
            raise self.raised

        return call

    def _wait(self, function, place, real, args):
        found = real(*args)
        if found is None or (function != "os.waitid" and found[0] == 0) or not self._fails(function, place):
            return found
        if function == "os.waitid":  # it only looked: now the exit code is taken
            os.waitid(*args[:2], os.WEXITED | os.WNOHANG)
        raise self.raised

    def _fails(self, function, place):
        with self._lock:
            self.seen[function, place] += 1
            failure = self._failure
            if failure is None or self.raised is not None or (function, place) != failure[:2]:
                return False
            if self.seen[function, place] != failure.nth:
                return False
            self.raised = _error(failure.error)
            return True

    @staticmethod
    def _place(function):
        """The innermost frames of the library; None for a call that is not the library's own."""
        frame = sys._getframe(2)
        file = frame.f_code.co_filename
        if file.endswith("resource_tracker.py"):
            return None  # its probe fails only when the tracker is dead; else it waits for one that does not end
        if file.endswith("multiprocessing/util.py") and function == "os.close":
            return None  # it would not say which process it has started
        if file.startswith(ASYNCIO) and frame.f_code.co_name == "_write_to_self":
            return None  # asyncio takes no notice of a wake-up that fails
        place = []
        while frame is not None and len(place) < DEPTH:
            if frame.f_code.co_filename.startswith(LIBRARY):
                place.append(frame.f_code.co_qualname)
            frame = frame.f_back
        return tuple(place) or None

    @staticmethod
    def _kill_later(pidfd):
        fields = dict(line.split(":\t", 1) for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines())
        number = int(fields["Pid"])

        def kill():
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)

        timer = threading.Timer(ADMINISTRATOR, kill)
        timer.daemon = True
        timer.start()

    def _patch_polls(self, monkeypatch):
        """Their types are immutable: they are replaced by ones that pass everything on."""
        failing, make_epoll, make_poll = self, select.epoll, select.poll

        class Epoll:
            def __init__(self):
                self.real = make_epoll()
                for name in ("register", "modify", "unregister", "poll"):
                    setattr(self, name, failing._wrapped(f"select.epoll.{name}", getattr(self.real, name)))

            def __getattr__(self, name):
                return getattr(self.real, name)

        class Poll:
            def __init__(self):
                self.real = make_poll()
                self.poll = failing._wrapped("select.poll.poll", self.real.poll)

            def __getattr__(self, name):
                return getattr(self.real, name)

        monkeypatch.setattr(select, "epoll", self._wrapped("select.epoll", Epoll))
        monkeypatch.setattr(select, "poll", Poll)
        monkeypatch.setattr(selectors.EpollSelector, "_selector_cls", Epoll)


def _error(name):
    if name == "RuntimeError":
        return RuntimeError("can't start new thread")
    number = getattr(errno, name)
    return OSError(number, os.strerror(number))
