"""Stepping: an actor's process that is killed before its n-th step.

A step is whatever another process can see: a store into memory, or a call, in the code of `actors`. The interpreter
says which comes next (`f_trace_opcodes`), so a process is killed between any two of them, without a hook in that code.
"""

from __future__ import annotations

import dis
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, ClassVar

import actors
from actors import Actor, Fed, Message, Rejected, handles
from actors.lazy import LazyModule
from tests.support.book import Book

asyncio = LazyModule("asyncio")  # the processes of actors with sync handlers do without

LIBRARY = f"{Path(actors.__file__).parent}{os.sep}"
STORES = {dis.opmap[name] for name in ("STORE_SUBSCR", "STORE_SLICE") if name in dis.opmap}
CALLS = {number for name, number in dis.opmap.items() if name in ("CALL", "CALL_FUNCTION_EX", "CALL_KW", "YIELD_VALUE")}
VISIBLE = {  # where the stores into shared memory and the writes into the channel are
    f"{LIBRARY}ipc{os.sep}box_cells.py": STORES,
    f"{LIBRARY}ipc{os.sep}counter_cells.py": STORES,
    f"{LIBRARY}ipc{os.sep}reply_area.py": STORES,
    f"{LIBRARY}ipc{os.sep}channel.py": STORES | CALLS,
    f"{LIBRARY}child{os.sep}runners{os.sep}batches.py": STORES,
    f"{LIBRARY}child{os.sep}messages{os.sep}inbox.py": STORES,
}


@cache
def code_of(code: CodeType) -> bytes:
    return code.co_code


def die_before(number: int, *, every: bool) -> None:
    """Kill this process before its step of that number, from 1: of every step, or of the visible ones."""
    left = number

    def look(frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        nonlocal left
        if event == "opcode":
            code = frame.f_code
            steps = STORES | CALLS if every else VISIBLE[code.co_filename]
            if code_of(code)[frame.f_lasti] in steps:
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
        return look

    def begin(frame: FrameType, _: str, __: Any) -> Callable[..., Any] | None:
        file = frame.f_code.co_filename
        if not (file.startswith(LIBRARY) if every else file in VISIBLE):
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return look

    sys.settrace(begin)


class Job(Message[int]):
    """Never to be begun twice."""

    number: int


class Memo(Message[int]):
    """May be begun again after a death."""

    idempotent: ClassVar[bool] = True

    number: int


class Bad(Message[int]):
    """Its handler raises, or refuses it."""

    number: int


class Maybe(Message[int]):
    """Withdrawn by its sender, soon."""

    number: int


class Pull(Message[AsyncIterator[int]]):
    """Three items."""

    number: int


class Push(Fed[int, int]):
    """How many items follow."""

    number: int


class Stepper(Actor):
    """Each of its lives with an even number dies before a step, the later the higher its number is.

    A first life that dies before it is ready would end the tree.
    """

    on_error = "reply"

    def __init__(self, book: str, stride: int, every: bool) -> None:
        self._book = Book(book)
        self._stride = stride
        self._every = every

    def on_start(self) -> None:
        life = self.context.incarnation
        if not life % 2:
            die_before((life // 2 - 1) * self._stride + 1, every=self._every)

    def _begin(self, message: Message[Any]) -> None:
        self._write("begin", message)
        self.context.count("begun", kind=type(message).__name__)

    def _write(self, step: str, message: Message[Any]) -> None:
        self._book.write(step, type(message).__name__, message.number, self.context.incarnation)

    def _end(self, message: Message[Any]) -> int:
        self._write("end", message)
        if isinstance(message, Bad):
            if message.number % 2:
                raise Rejected("no")
            raise ValueError(message.number)
        return message.number


class SyncStepper(Stepper):
    """Without an event loop."""

    @handles
    def work(self, message: Job | Memo | Bad | Maybe) -> int:
        self._begin(message)
        return self._end(message)

    @handles
    def pull(self, message: Pull) -> Iterator[int]:
        self._begin(message)
        yield from range(3)
        self._end(message)

    @handles
    def push(self, message: Push, items: Iterator[int]) -> int:
        self._begin(message)
        count = len(list(items))
        self._end(message)
        return count


class AsyncStepper(Stepper):
    """On an event loop, one thing at a time."""

    @handles
    async def work(self, message: Job | Memo | Bad | Maybe) -> int:
        self._begin(message)
        for _ in range(message.number % 4):  # they end in another order than they have begun
            await asyncio.sleep(0)
        return self._end(message)

    @handles
    async def pull(self, message: Pull) -> AsyncIterator[int]:
        self._begin(message)
        for number in range(3):
            yield number
        self._end(message)

    @handles
    async def push(self, message: Push, items: AsyncIterator[int]) -> int:
        self._begin(message)
        count = len([item async for item in items])
        self._end(message)
        return count


class Two(AsyncStepper):
    concurrency = 2


class Four(AsyncStepper):
    concurrency = 4


class Pay(Message[int]):
    """Kept in the state; the reply is how many are."""

    number: int


class Paid(Message[list[int]]):
    """What is kept."""


class DurableStepper(Stepper):
    """Keeps what it was paid as its state."""

    def __init__(self, book: str, stride: int, every: bool) -> None:
        super().__init__(book, stride, every)
        self._paid: list[int] = []

    def save(self) -> list[int]:
        return self._paid

    def load(self, state: list[int]) -> None:
        self._paid = state

    @handles
    def pay(self, message: Pay) -> int:
        self._paid.append(message.number)
        return len(self._paid)

    @handles
    def paid(self, message: Paid) -> list[int]:
        return self._paid
