"""An actor for every way to die."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import resource
import signal
import sys
import threading
import time
from typing import ClassVar

from actors import Actor, ExitReason, Message, handles
from actors.lazy import LazyModule
from tests.support.inside import channel_of
from tests.support.taking_time import FOREVER, sleep_forever, sleep_forever_async

asyncio = LazyModule("asyncio")  # the processes of actors with sync handlers do without

MIB = 2**20


class Perish(Message[None]):
    """Die in that way."""

    how: str


class PerishAgain(Message[None]):
    """The same; may be begun again."""

    idempotent: ClassVar[bool] = True

    how: str


class Pid(Message[int]):
    pass


class Depart(Message[None]):
    """Stop, with a thread that stays."""


class Sleep(Message[None]):
    pass


class Wrong(BaseException):
    """No `Exception`."""


def segfault() -> None:
    ctypes.string_at(0)


def overflow_the_stack() -> None:
    faulthandler._stack_overflow()


def recurse(depth: int = 0) -> int:
    return recurse(depth + 1) + 1


def hoard(size: int) -> None:
    """Take all the memory there may be, in pieces."""
    limit_memory()
    kept: list[object] = []
    while True:
        kept.append(bytearray(size) if size else [len(kept)])


def outgrow_the_machine() -> None:
    kept = []
    while True:
        kept.append(b"x" * MIB)


def limit_memory() -> None:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - as in the child
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 100 * MIB, used + 100 * MIB))


def compute_too_long() -> None:
    used = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + 1, used + 10))
    while True:
        pass


def leave_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(3600,)).start()
    raise ValueError("a thread stays")


def raise_two_lines() -> None:
    raise ValueError("first\nsecond")


def raise_wrong() -> None:
    raise Wrong("no Exception")


def raise_interrupt() -> None:
    raise KeyboardInterrupt


def raise_close() -> None:
    raise GeneratorExit("not closed")


def raise_cancelled() -> None:
    raise asyncio.CancelledError("by nobody")


WAYS = {
    "nothing": lambda: None,
    "raise": lambda: {}["cherry"],
    "raise two lines": raise_two_lines,
    "raise Wrong": raise_wrong,
    "raise KeyboardInterrupt": raise_interrupt,
    "raise GeneratorExit": raise_close,
    "raise CancelledError": raise_cancelled,
    "recursion": recurse,
    "MemoryError": lambda: hoard(MIB),
    "MemoryError, crumbs": lambda: hoard(0),
    "outgrow": outgrow_the_machine,
    "segfault": segfault,
    "stack overflow": overflow_the_stack,
    "abort": os.abort,
    "sleep": sleep_forever,
    "hold the lock": lambda: sum(range(10**15)),
    "SIGSTOP": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGUSR1": lambda: os.kill(os.getpid(), signal.SIGUSR1),
    "CPU time": compute_too_long,
    "os._exit(0)": lambda: os._exit(0),
    "os._exit(4)": lambda: os._exit(4),
    "os._exit(70)": lambda: os._exit(70),
    "sys.exit()": sys.exit,
    "sys.exit(0)": lambda: sys.exit(0),
    "sys.exit(3)": lambda: sys.exit(3),
    "sys.exit(137)": lambda: sys.exit(137),
    "sys.exit(-9)": lambda: sys.exit(-9),
    "sys.exit('bye')": lambda: sys.exit("out of cherries"),
    "leave a thread": leave_a_thread,
}


class Interrupts(Message[None]):
    """Raises KeyboardInterrupt when another process decodes it."""

    made_by: int

    def __post_init__(self) -> None:
        if os.getpid() != self.made_by:
            raise KeyboardInterrupt("enough")


class Victim(Actor):
    """Dies at work."""

    @handles
    def interrupts(self, msg: Interrupts) -> None: ...

    @handles
    def pid(self, msg: Pid) -> int:
        return os.getpid()

    @handles
    def perish(self, msg: Perish) -> None:
        WAYS[msg.how]()

    @handles
    def perish_again(self, msg: PerishAgain) -> None:
        WAYS[msg.how]()

    @handles
    def depart(self, msg: Depart) -> None:
        threading.Thread(target=time.sleep, args=(3600,)).start()
        self.context.stop()

    @handles
    def sleep(self, msg: Sleep) -> None:
        sleep_forever()


class AsyncVictim(Actor):
    """Dies at work, on an event loop, while it does three other things."""

    concurrency = 4

    @handles
    async def interrupts(self, msg: Interrupts) -> None: ...

    @handles
    async def pid(self, msg: Pid) -> int:
        return os.getpid()

    @handles
    async def perish(self, msg: Perish) -> None:
        await asyncio.sleep(0)
        if msg.how == "in a task":
            asyncio.get_running_loop().call_soon(sys.exit, 3)
            await sleep_forever_async()
        WAYS[msg.how]()

    @handles
    async def sleep(self, msg: Sleep) -> None:
        await sleep_forever_async()


class DiesInInit(Victim):
    def __init__(self, how: str) -> None:
        WAYS[how]()


class DiesInStart(Victim):
    def __init__(self, how: str) -> None:
        self.how = how

    def on_start(self) -> None:
        WAYS[self.how]()


class DiesInStop(Victim):
    def __init__(self, how: str) -> None:
        self.how = how

    def on_stop(self, reason: ExitReason) -> None:
        WAYS[self.how]()


class HangsInStop(Victim):
    def on_stop(self, reason: ExitReason) -> None:
        sleep_forever()


class HangsInStart(Victim):
    def on_start(self) -> None:
        time.sleep(FOREVER)  # the report names this line


class Blabbers(Victim):
    """Writes to its channel what is no frame."""

    @handles
    def perish(self, msg: Perish) -> None:
        with contextlib.suppress(OSError):
            channel_of(self).duplex.send_all(b"\xff" * 8)
        sleep_forever()


if "PERISH_AT_IMPORT" in os.environ:
    WAYS[os.environ["PERISH_AT_IMPORT"]]()
