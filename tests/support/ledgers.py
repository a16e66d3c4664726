"""Durable actors that count money, for tests and for daemons that are killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import ClassVar

import msgspec

from actors import Actor, Message, Rejected, handles


class Book(msgspec.Struct):
    """What a ledger keeps."""

    balance: int = 0
    entries: list[str] = []


class Charge(Message[int]):
    """Book an amount; the reply is the balance."""

    amount: int
    name: str = ""


class Once(Message[int]):
    """As Charge, at most once."""

    at_most_once: ClassVar[bool] = True

    amount: int
    name: str = ""
    kill: bool = False


class Transfer(Message[int]):
    """Give an amount to another ledger."""

    amount: int
    to: str
    name: str = ""


class Show(Message[Book]):
    """Everything."""


class Refuse(Message[None]):
    """Is rejected."""


class Fail(Message[None]):
    """Changes the state, then raises."""


class Kill(Message[None]):
    """Books an entry, then kills its process; in its first `times` lives."""

    times: int = 1


class Ledger(Actor):
    """Keeps a book."""

    def __init__(self) -> None:
        self.book = Book()

    def save(self) -> Book:
        return self.book

    def load(self, state: Book) -> None:
        self.book = state

    def enter(self, amount: int, name: str) -> int:
        self.book.balance += amount
        if name:
            self.book.entries.append(name)
        return self.book.balance

    @handles
    def charge(self, msg: Charge) -> int:
        return self.enter(msg.amount, msg.name)

    @handles
    def once(self, msg: Once) -> int:
        if msg.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.enter(msg.amount, msg.name)

    @handles
    def transfer(self, msg: Transfer) -> int:
        self.context.actor(msg.to).tell_nowait(Charge(msg.amount, msg.name))
        return self.enter(-msg.amount, msg.name)

    @handles
    def show(self, msg: Show) -> Book:
        return self.book

    @handles
    def refuse(self, msg: Refuse) -> None:
        raise Rejected("no")

    @handles
    def fail(self, msg: Fail) -> None:
        self.enter(1_000_000, "failed")
        raise ValueError("after half of it")

    @handles
    def kill(self, msg: Kill) -> None:
        self.enter(0, "killed")
        if self.context.incarnation <= msg.times:
            os.kill(os.getpid(), signal.SIGKILL)


class Entry(Message[int]):
    """An amount of one customer."""

    customer: str
    amount: int


class Customers(Actor):
    """One member of a keyed pool: the balances of its customers."""

    def __init__(self) -> None:
        self.balances: dict[str, int] = {}

    def save(self) -> dict[str, int]:
        return self.balances

    def load(self, state: dict[str, int]) -> None:
        self.balances = state

    @handles
    def entry(self, msg: Entry) -> int:
        self.balances[msg.customer] = self.balances.get(msg.customer, 0) + msg.amount
        return self.balances[msg.customer]


class Seen(Message[list[str]]):
    """What a stateless actor has handled, by its file."""


class Note(Message[None]):
    """Append to the file."""

    text: str


class NoteAgain(Message[None]):
    """As Note; may be repeated."""

    idempotent: ClassVar[bool] = True

    text: str
    kill: bool = False


class HoldNote(Message[None]):
    """Append to the file, then wait until the gate is there."""

    text: str
    gate: str


class Notebook(Actor):
    """Durable without a state: what it does is in a file."""

    def __init__(self, file: str) -> None:
        self.file = file

    @handles
    def note(self, msg: Note | NoteAgain | HoldNote) -> None:
        with Path(self.file).open("a") as file:
            file.write(f"{msg.text}\n")
        while isinstance(msg, HoldNote) and not Path(msg.gate).exists():
            time.sleep(0.005)
        if isinstance(msg, NoteAgain) and msg.kill:
            os.kill(os.getpid(), signal.SIGKILL)
