"""Actors that are started on demand and leave when nothing waits for them."""

from __future__ import annotations

from actors import Actor, Message, handles


class Hit(Message[int]):
    number: int


class Sync(Actor):
    @handles
    def hit(self, msg: Hit) -> int:
        self.context.stop(if_idle=True)
        return msg.number


class Async(Actor):
    @handles
    async def hit(self, msg: Hit) -> int:
        self.context.stop(if_idle=True)
        return msg.number
