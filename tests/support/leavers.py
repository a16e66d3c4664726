"""Actors that arrange what runs at the exit of their process, and write down that it ran."""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing
import os
import sys
import threading
from multiprocessing import util
from typing import Any

from actors import Actor, Message, handles

KEPT: list[Any] = []  # lives as long as its module


class Arrange(Message[None]):
    """Register everything that may run at an exit."""


class LeaveOpen(Message[None]):
    """Leave a file open with unwritten text in it, and a child process running."""


class GoOn(Message[None]):
    """Leave a thread running that writes a line when it still runs Python code in C's exit."""


class Book:
    """A file with a line for each thing that ran; it is open only while a line is written."""

    _open, _write, _close = map(
        staticmethod, (os.open, os.write, os.close)
    )  # in the teardown the names of modules are gone
    _how = os.O_WRONLY | os.O_CREAT | os.O_APPEND

    def __init__(self, path: str) -> None:
        self.path = path

    def write(self, line: str) -> None:
        fd = self._open(self.path, self._how, 0o600)
        self._write(fd, f"{line}\n".encode())
        self._close(fd)


class Farewell:
    """Writes a line when it is freed."""

    def __init__(self, book: Book, line: str) -> None:
        self.book = book
        self.line = line

    def __del__(self) -> None:

        self.book.write(self.line)


class Leaving(Actor):
    """What the leavers share."""

    def __init__(self, path: str) -> None:
        self.book = Book(path)
        self.farewell = Farewell(self.book, "attribute")
        KEPT.append(Farewell(self.book, "teardown"))

    def arrange(self) -> None:
        book, finalized = self.book, threading.Event()

        def wait() -> None:
            finalized.wait()
            book.write("thread")

        def finalize() -> None:
            book.write("finalizer")
            finalized.set()

        atexit.register(book.write, "atexit")
        util.Finalize(None, finalize, exitpriority=1)
        threading.Thread(target=wait).start()
        libc = ctypes.CDLL(None)
        at_exit = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: book.write("C atexit"))
        KEPT.append(at_exit)
        getattr(libc, "__cxa_atexit")(at_exit, None, None)
        libc.printf(b"C stdio, half a line")

    def leave_open(self) -> None:
        KEPT.append(open(f"{self.book.path}.open", "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - it is left open
        KEPT[-1].write("unwritten")
        multiprocessing.get_context("fork").Process(target=self.book.write, args=("child",)).start()

    def go_on(self) -> None:
        mark = f"{self.book.path}.mark"
        with open(mark, "w", encoding="utf-8"):  # noqa: PTH123 - as above
            pass
        self.after_main = threading.Thread(target=_look_for, args=(mark, self.book), daemon=True)
        self.after_main.start()
        libc = ctypes.CDLL(None)
        KEPT.append(ctypes.create_string_buffer(os.fsencode(mark)))
        for function, argument in ((libc.usleep, 500_000), (libc.unlink, ctypes.addressof(KEPT[-1]))):  # the last first
            pointer = ctypes.cast(function, ctypes.c_void_p)
            getattr(libc, "__cxa_atexit")(pointer, ctypes.c_void_p(argument), None)


def _look_for(mark: str, book: Book) -> None:
    while os.path.exists(mark):  # noqa: PTH110 - in the teardown the names of modules are gone
        pass
    book.write("ran in C's exit")


class SyncLeaver(Leaving):
    @handles
    def on_go_on(self, msg: GoOn) -> None:
        self.go_on()

    @handles
    def on_arrange(self, msg: Arrange) -> None:
        self.arrange()

    @handles
    def on_leave_open(self, msg: LeaveOpen) -> None:
        self.leave_open()


class AsyncLeaver(Leaving):
    @handles
    async def on_arrange(self, msg: Arrange) -> None:
        self.arrange()


class Forget(Message[None]):
    """Break every import from now on."""


class Exit(Message[None]):
    """Leave with code 3."""


class Forgetful(Actor):
    @handles
    def forget(self, msg: Forget) -> None:
        sys.modules.clear()

    @handles
    def exit(self, msg: Exit) -> None:
        sys.exit(3)
