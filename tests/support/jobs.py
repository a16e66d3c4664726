"""Jobs of the tests."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import msgspec

from actors import Codec, Jobs, Rejected, Shared, job
from tests.support.taking_time import sleep_forever

Deed = Literal["fine", "raise", "segfault", "exit", "memory", "hang", "slow"]


class Item(msgspec.Struct, frozen=True):
    number: int
    deed: Deed = "fine"
    log: str = ""  # a file that gets one line whenever it is run


class Report(msgspec.Struct, frozen=True):
    number: int
    pid: int


@job
def work(item: Item) -> Report:
    """Do what the item says."""
    if item.log:
        note(item.log, item.number)
    if item.deed == "raise":
        raise ValueError(f"item {item.number} is bad")
    if item.deed == "segfault":
        ctypes.string_at(0)
    if item.deed == "exit":
        os._exit(3)
    if item.deed == "memory":
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when there is none left
    if item.deed == "hang":
        sleep_forever()
    if item.deed == "slow":
        time.sleep(0.05)
    return Report(item.number, os.getpid())


def note(path: str, what: object) -> None:
    """Append a line; short lines are written whole."""
    with Path(path).open("a") as file:
        file.write(f"{what}\n")


@job
def reversed_bytes(values: list[Shared], die_once: str = "") -> dict[str, Shared]:
    """The values joined, backwards; at the first time the process ends instead."""
    if die_once and not Path(die_once).exists():
        Path(die_once).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    joined = b"".join(map(bytes, values))
    return {"back": Shared.of(joined[::-1]), "first": values[0]}


@job
def double(number: int) -> int:
    return 2 * number


@job
def pid() -> int:
    return os.getpid()


@job
def length(data: bytes) -> int:
    return len(data)


@job
def zeros(size: int) -> bytes:
    return bytes(size)


@job
def options(path: str, depth: int = 3, /, *, strict: bool = False) -> tuple[str, int, bool]:
    return path, depth, strict


@job
def hang(log: str) -> None:
    note(log, os.getpid())
    sleep_forever()


@job
def die_times(log: str, times: int) -> int:
    """Die in the first runs, then return how many there were."""
    note(log, os.getpid())
    runs = len(Path(log).read_text().split())
    if runs <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return runs


@job
def close_everything() -> int:
    """Return, in a process that can tell nobody."""
    os.closerange(3, 256)
    return 1


@job
def leave(code: int) -> None:
    sys.exit(code)


@job
def interrupt() -> None:
    raise KeyboardInterrupt("enough")


@job
def anything(kind: str) -> Any:
    return threading.Lock() if kind == "lock" else lambda: None


@job
def wrong(number: int) -> int:
    return str(number)  # type: ignore[return-value]


class Broken:
    """No msgspec type."""


class LateError(Exception):
    pass


class WordlessError(BaseException):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@job
def reject(what: str) -> None:
    del what
    raise Rejected("not today")


@job
def wordless() -> None:
    raise WordlessError


@job
def chained() -> None:
    try:
        raise KeyError("cause")
    except KeyError as error:
        raise LateError("effect") from error


@job
def halved(value: Fraction) -> Fraction:
    return value / 2


class FractionJobs(Jobs):
    codecs = (Codec(Fraction, encode=str, decode=Fraction),)


@job
def named_alike(self: int, function: int) -> int:
    return self - function
