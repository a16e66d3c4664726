"""An actor that reads its environment."""

from __future__ import annotations

import os

from actors import Actor, Message, handles


class Variable(Message[str | None]):
    """What a variable says."""

    name: str


class Reader(Actor):
    """Says it."""

    @handles
    def variable(self, message: Variable) -> str | None:
        return os.environ.get(message.name)
