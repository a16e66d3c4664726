"""The actors of the tests of rolling renewal: a life after the first starts when a file says so, as the file says."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from actors import Actor, Message, handles


class Note(Message[int]):
    """Append a numbered line of a key to the book; which life did."""

    key: str
    number: int


class Flow(Message[AsyncIterator[int]]):
    """Yield a first item, and another when the file `flow` is there."""

    key: str = ""


class Renewed(Actor):
    """Notes what it handles. Its later lives wait in `on_start` for the file `gate`; "fail" in it makes them fail."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_start(self) -> None:
        self.pid_file().write_text(str(os.getpid()))
        gate = self.folder / "gate"
        while self.context.incarnation > 1 and not gate.exists():
            time.sleep(0.005)
        if self.context.incarnation > 1 and gate.read_text() == "fail":
            raise RuntimeError("the gate says no")

    def pid_file(self) -> Path:
        return self.folder / f"pid{self.context.incarnation}"

    @handles
    def note(self, msg: Note) -> int:
        with (self.folder / "book").open("a") as book:
            book.write(f"{msg.key} {msg.number} {self.context.incarnation}\n")
        return self.context.incarnation

    @handles
    def flow(self, msg: Flow) -> Iterator[int]:
        yield self.context.incarnation
        while not (self.folder / "flow").exists():
            time.sleep(0.005)
        yield self.context.incarnation


class SlowToLeave(Renewed):
    """Waits in `on_stop` for the file `leave`."""

    def on_stop(self, reason: object) -> None:
        while not (self.folder / "leave").exists():
            time.sleep(0.005)
