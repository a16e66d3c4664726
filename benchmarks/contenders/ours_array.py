"""Our actor that sums arrays, apart from the others: what it imports for them costs memory."""

from __future__ import annotations

from actors import Actor, Message, Shared, handles


class Sum(Message[float]):
    array: Shared


class Summer(Actor):
    @handles
    def sum(self, msg: Sum) -> float:
        return float(msg.array.array().sum())
