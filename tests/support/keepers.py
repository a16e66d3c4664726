"""Actors that keep their state when they are recycled."""

from __future__ import annotations

import os

import msgspec

from actors import Actor, Message, handles


class Total(msgspec.Struct):
    """What they keep."""

    total: int
    lives: list[int] = []


class Put(Message[int]):
    """Add to the total; the reply is the total."""

    amount: int


class Shown(Message[Total]):
    """The state."""


class Die(Message[None]):
    """End the process at once."""


class Keeper(Actor):
    """Counts; the state names the lives that saved it. A negative total does not load, one above 999 does not save."""

    def __init__(self) -> None:
        self.state = Total(0)

    def save(self) -> Total:
        if self.state.total > 999:
            return "too much"  # type: ignore[return-value]
        return Total(self.state.total, [*self.state.lives, self.context.incarnation])

    def load(self, state: Total) -> None:
        if state.total < 0:
            raise ValueError(f"a total of {state.total}")
        self.state = state

    @handles
    def put(self, msg: Put) -> int:
        self.state.total += msg.amount
        return self.state.total

    @handles
    def shown(self, msg: Shown) -> Total:
        return self.state

    @handles
    def die(self, msg: Die) -> None:
        os._exit(9)


class AsyncKeeper(Keeper):
    """The same with an event loop."""

    @handles
    async def put(self, msg: Put) -> int:
        self.state.total += msg.amount
        return self.state.total
