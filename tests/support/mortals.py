"""An actor that dies when it is told to."""

from __future__ import annotations

import os

from actors import Actor, Message, handles


class Die(Message[None]):
    pass


class Mortal(Actor):
    @handles
    def die(self, msg: Die) -> None:
        os._exit(3)
