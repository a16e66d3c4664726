"""Actors that write in every way there is."""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
import sys
import time

import structlog

from actors import Actor, Message, handles
from tests.support.taking_time import sleep_forever

log = logging.getLogger("shop.cart")
told = structlog.get_logger()


class Everything(Message[None]):
    """Say so many numbers in every way."""

    rounds: int


class Print(Message[float]):
    """Print so many lines of such a size; the answer is the seconds it took."""

    lines: int
    size: int = 60


class WriteBytes(Message[float]):
    """Write so many bytes past Python."""

    count: int


class Abort(Message[None]):
    """Die in a C library that says why."""


class Fatal(Message[None]):
    """Die of the interpreter itself."""


class Leave(Message[None]):
    """Say half a line and leave."""


class Full(Message[str]):
    """Write to a full disk."""


class LeaveUnwritten(Message[None]):
    """Leave with output that no disk takes."""


class Where(Message[list[str]]):
    """What descriptors 1 and 2 are."""


class Long(Message[None]):
    """Print a line of so many characters."""

    size: int


class Fork(Message[int]):
    """Leave a grandchild behind that keeps every descriptor."""


class Chatty(Actor):
    """Writes."""

    def on_start(self) -> None:
        log.setLevel(logging.INFO)

    @handles
    def everything(self, msg: Everything) -> None:
        libc = ctypes.CDLL(None)
        for at in range(0, msg.rounds * 9, 9):
            print(at)
            os.write(1, b"%d\n" % (at + 1))
            print(at + 2, file=sys.stderr)
            os.write(2, b"%d\n" % (at + 3))
            log.info("%d", at + 4)
            told.error(str(at + 5), place="here")
            self.context.log.debug(str(at + 6))
            subprocess.run(["/bin/echo", str(at + 7)], check=True)
            libc.puts(b"%d" % (at + 8))

    @handles
    def print(self, msg: Print) -> float:
        begun = time.monotonic()
        for number in range(msg.lines):
            print(f"{number} ".ljust(msg.size, "x"))
        return time.monotonic() - begun

    @handles
    def write_bytes(self, msg: WriteBytes) -> float:
        begun = time.monotonic()
        line = b"y" * 99 + b"\n"
        for _ in range(msg.count // 1000):
            os.write(1, line * 10)
        return time.monotonic() - begun

    @handles
    def abort(self, msg: Abort) -> None:
        ctypes.CDLL(None).puts(b"lib: the heap is corrupt")
        os.write(2, b"lib: cannot go on")
        os.abort()

    @handles
    def fatal(self, msg: Fatal) -> None:
        ctypes.pythonapi.Py_FatalError(b"the interpreter is not well")

    @handles
    def leave(self, msg: Leave) -> None:
        print("half a line", end="")
        self.context.stop()

    @handles
    def full(self, msg: Full) -> str:
        with open("/dev/full", "w") as disk:  # noqa: PTH123
            os.dup2(disk.fileno(), 1)
            os.dup2(disk.fileno(), 2)
        print("is heard all the same")
        os.write(1, b"is not")
        return "unreachable"

    @handles
    def leave_unwritten(self, msg: LeaveUnwritten) -> None:
        sys.stdout = open("/dev/full", "w")  # noqa: PTH123, SIM115
        print("this is read by no process")
        self.context.stop()

    @handles
    def where(self, msg: Where) -> list[str]:
        print("to the daemon's own output")
        sys.stdout.flush()
        self.context.log.info("log.kept")
        return [os.readlink(f"/proc/self/fd/{fd}") for fd in (1, 2)]  # noqa: PTH115

    @handles
    def long(self, msg: Long) -> None:
        print("z" * msg.size)

    @handles
    def fork(self, msg: Fork) -> int:
        print("before")
        pid = os.fork()
        if pid == 0:
            print("from the grandchild")
            sleep_forever()
            os._exit(0)
        return pid
