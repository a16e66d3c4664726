"""The actor of the benchmarks of durable messages; apart from them, so that its process imports nothing else."""

from __future__ import annotations

import msgspec

from actors import Actor, Message, handles

TEXT = "x" * 60


class Add(Message[int]):
    """A message of a usual size."""

    amount: int
    text: str = TEXT


class Sum(msgspec.Struct):
    """What the actor keeps."""

    total: int = 0


class Adder(Actor):
    """Keeps a sum."""

    def __init__(self) -> None:
        self.sum = Sum()

    def save(self) -> Sum:
        return self.sum

    def load(self, state: Sum) -> None:
        self.sum = state

    @handles
    def add(self, msg: Add) -> int:
        self.sum.total += msg.amount
        return self.sum.total
