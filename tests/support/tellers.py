"""An actor for programs without an event loop."""

from __future__ import annotations

import os

from actors import Actor, Message, handles


class Add(Message[int]):
    n: int


class Die(Message[int]):
    pass


class Counter(Actor):
    def __init__(self, *, broken: bool = False) -> None:
        if broken:
            raise ValueError("cannot begin")
        self.total = 0

    @handles
    def add(self, msg: Add) -> int:
        self.total += msg.n
        return self.total

    @handles
    def die(self, msg: Die) -> int:
        os._exit(3)
