"""Failing calls: make the n-th call of an operating-system function raise an errno that it can raise.

Only calls made by the library count: those whose stack has a frame in `actors/` or `supervisor/`.
"""

from __future__ import annotations

import errno
import importlib
import os
import select
import sys
import threading

from tests.support.waiting import ROOT

LIBRARY = tuple(f"{ROOT / package}{os.sep}" for package in ("actors", "supervisor"))

FAILURES = {
    "os.pipe": errno.EMFILE,
    "os.memfd_create": errno.EMFILE,
    "os.eventfd": errno.EMFILE,
    "os.ftruncate": errno.ENOMEM,
    "os.pidfd_open": errno.EMFILE,
    "os.open": errno.EMFILE,
    "os.listdir": errno.EMFILE,
    "os.read": errno.EIO,
    "os.write": errno.ENOMEM,
    "os.wait4": errno.ECHILD,
    "os.waitid": errno.ECHILD,
    "os.waitpid": errno.ECHILD,
    "os.set_blocking": errno.EIO,
    "io.open": errno.EMFILE,
    "builtins.open": errno.EMFILE,
    "mmap.mmap": errno.ENOMEM,
    "fcntl.fcntl": errno.EPERM,
    "select.epoll": errno.EMFILE,
    "select.epoll.register": errno.ENOSPC,
    "socket.socketpair": errno.EMFILE,
    "_posixsubprocess.fork_exec": errno.EAGAIN,
    "threading.Thread.start": None,
}
"""By function: the errno of its failure; None for `RuntimeError`."""

TAKEN = {"os.wait4", "os.waitpid"}
"""They fail because other code was faster: the exit code is taken before the error is raised."""


class FailingCall:
    """Raises in the n-th counted call of a function while it is armed.

    Attributes:
        armed: whether calls count.
        left: calls until the one that fails; above 0 when it was not reached.
        raised: the error, once it was raised.
    """

    def __init__(self, monkeypatch, function, nth):
        self.function = function
        self.armed = False
        self.left = nth
        self.raised = None
        self._lock = threading.Lock()
        if function == "select.epoll.register":
            self._patch_epoll(monkeypatch)
            return
        place, _, name = function.rpartition(".")
        module, _, owner = place.partition(".")
        holder = importlib.import_module(module)
        holder = getattr(holder, owner) if owner else holder
        monkeypatch.setattr(holder, name, self._wrapped(getattr(holder, name)))

    def _wrapped(self, real):
        def call(*args, **options):
            if self.armed and self._is_the_one():
                if self.function in TAKEN:
                    real(*args, **options)
                raise self.raised
            return real(*args, **options)

        return call

    def _is_the_one(self):
        frame = sys._getframe(2)
        if frame.f_code.co_filename.endswith("resource_tracker.py"):
            return False  # its probe fails only when the tracker is dead; else it waits for one that does not end
        while frame is not None and not frame.f_code.co_filename.startswith(LIBRARY):
            frame = frame.f_back
        if frame is None:
            return False
        with self._lock:
            self.left -= 1
            if self.left:
                return False
        number = FAILURES[self.function]
        self.raised = RuntimeError("can't start new thread") if number is None else OSError(number, os.strerror(number))
        return True

    def _patch_epoll(self, monkeypatch):
        """Its type is immutable: replace it by one that passes everything on."""
        failing, make = self, select.epoll

        class Epoll:
            def __init__(self):
                self.real = make()
                self.register = failing._wrapped(self.real.register)

            def __getattr__(self, name):
                return getattr(self.real, name)

        monkeypatch.setattr(select, "epoll", Epoll)
