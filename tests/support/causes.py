"""Actors that end for a cause of one's choice."""

from __future__ import annotations

import os

from actors import Actor, Message, handles
from tests.support.taking_time import sleep_forever


class ConfigError(Exception):
    pass


class MissingKey(ConfigError):
    pass


class Die(Message[None]):
    how: str


class Mortal(Actor):
    @handles
    def die(self, msg: Die) -> None:
        if msg.how == "raise":
            raise MissingKey(msg.how)
        if msg.how == "exit":
            raise SystemExit(78)
        if msg.how == "leave":
            os._exit(78)
        if msg.how == "hang":
            sleep_forever()
        os.abort()


class Unready(Actor):
    def on_start(self) -> None:
        raise MissingKey("no port")
