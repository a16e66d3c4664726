"""Actors that hang while they start, at once or the second time."""

from __future__ import annotations

import time

from actors import Actor


class HangsInSecondStart(Actor):
    """Its first start is quick, those that follow never end."""

    def on_start(self) -> None:
        if self.context.incarnation > 1:
            time.sleep(3600)


class HangsInEveryStart(Actor):
    def on_start(self) -> None:
        time.sleep(3600)
