"""Actors that hang while they start, at once or the second time."""

from __future__ import annotations

from actors import Actor
from tests.support.taking_time import sleep_forever


class HangsInSecondStart(Actor):
    """Its first start is quick, those that follow never end."""

    def on_start(self) -> None:
        if self.context.incarnation > 1:
            sleep_forever()


class HangsInEveryStart(Actor):
    def on_start(self) -> None:
        sleep_forever()
