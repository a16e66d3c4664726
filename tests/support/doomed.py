"""Two actors of the chaos suite: one that meets every fault there is, and one that keeps books beside it."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import stat
import sys
from pathlib import Path
from typing import ClassVar

from actors import Actor, ExitReason, Message, handles
from actors.wire.framing import header
from tests.support.book import Book
from tests.support.inside import channel_of
from tests.support.perils import MIB, hoard, overflow_the_stack, segfault
from tests.support.taking_time import sleep_forever

FATE = (
    "ACTORS_DOOM"  # variable of the environment: a file that says in which phase of its life the next one meets its end
)


class Note(Message[int]):
    """To be handled once."""

    number: int


class Meet(Message[None]):
    """Meet that fault."""

    fault: str


class Begin(Message[None]):
    """Leave, and let the next life meet its end in that phase."""

    phase: str


class Life(Message[int]):
    """Which?"""

    idempotent: ClassVar[bool] = True


class SequenceNumbers(Message[list[int]]):
    """All notes so far."""


def spin() -> None:
    """A loop in C that never lets go of the interpreter."""
    all(itertools.repeat(True))


def fork_and_die() -> None:
    """The grandchild keeps every descriptor, and sleeps."""
    if os.fork() == 0:
        sleep_forever()
    os.kill(os.getpid(), signal.SIGKILL)


def close_everything() -> None:
    os.closerange(3, 1024)
    sleep_forever()


def write_everywhere() -> None:
    """Garbage, into whatever takes it; only files on disk are spared."""
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.fstat(fd).st_mode) and os.fstat(fd).st_nlink:
                continue
            os.set_blocking(fd, False)
            os.write(fd, b"\xff" * 64)
    sleep_forever()


def announce_gigabytes() -> None:
    os.write(Doomed.channel, (2**31 - 1).to_bytes(4, "little"))
    sleep_forever()


def half_a_frame_then_die() -> None:
    os.write(Doomed.channel, header(1000) + b"\x93\x14")
    os.kill(os.getpid(), signal.SIGKILL)


def half_a_frame_then_hang() -> None:
    os.write(Doomed.channel, header(1000) + b"\x93\x14")
    sleep_forever()


def log_to_a_full_disk() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 1)
    os.dup2(full, 2)
    print("this cannot be said")  # noqa: T201 - what prints is what is tested
    with open("/dev/full", "w", buffering=1) as file:  # noqa: PTH123 - plainly
        file.write("nor can this\n")


DEEDS = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSTOP": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "SIGSEGV": segfault,
    "SIGABRT": os.abort,
    "os._exit": lambda: os._exit(3),
    "sys.exit": lambda: sys.exit(3),
    "C loop": spin,
    "RLIMIT_AS": lambda: hoard(MIB),
    "stack overflow": overflow_the_stack,
    "exception": lambda: {}["cherry"],
    "fork": fork_and_die,
    "closed descriptors": close_everything,
    "garbage": write_everywhere,
    "2 GiB announced": announce_gigabytes,
    "half a frame, death": half_a_frame_then_die,
    "half a frame, silence": half_a_frame_then_hang,
    "full disk": log_to_a_full_disk,
}


def meet_fate(phase: str) -> None:
    """Raise if the file says that this is the phase, and let the next life live."""
    file = Path(os.environ.get(FATE, os.devnull))
    if file.is_file() and file.read_text() == phase:
        file.unlink()
        raise ArithmeticError(f"doomed in {phase}")


class Doomed(Actor):
    """Keeps a book of what it handles, and meets its fate.

    Args:
        book: a file; each note is one line.

    Attributes:
        channel: the descriptor through which the daemon hears of this process.
    """

    channel: ClassVar[int] = -1

    def __init__(self, book: str) -> None:
        meet_fate("__init__")
        Doomed.channel = channel_of(self).duplex.outgoing
        self._book = Book(book)

    def on_start(self) -> None:
        meet_fate("on_start")

    def on_stop(self, reason: ExitReason) -> None:
        meet_fate("on_stop")

    @handles
    def note(self, msg: Note) -> int:
        self._book.write(msg.number)
        return msg.number

    @handles
    def life(self, msg: Life) -> int:
        return self.context.incarnation

    @handles
    def meet(self, msg: Meet) -> None:
        DEEDS[msg.fault]()

    @handles
    def begin(self, msg: Begin) -> None:
        Path(os.environ[FATE]).write_text(msg.phase)
        if msg.phase == "on_stop":
            self.context.stop()
        else:
            os._exit(3)


class Sibling(Actor):
    """Keeps its books in memory: what it has seen, and in which order."""

    def __init__(self) -> None:
        self._seen: list[int] = []

    @handles
    def note(self, msg: Note) -> int:
        self._seen.append(msg.number)
        return msg.number

    @handles
    def numbers(self, msg: SequenceNumbers) -> list[int]:
        return self._seen

    @handles
    def life(self, msg: Life) -> int:
        return self.context.incarnation


meet_fate("import")
