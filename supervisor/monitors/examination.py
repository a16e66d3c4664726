"""Examination: where a process is that is not ready in time, or whose handler takes long.

The process is asked for its stacks. Nothing is decided here.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from supervisor.core.health.stacks import of_the_actor, waiting_place
from supervisor.ports import Life

PATIENCE: Final = 0.3  # seconds that it has to write its stacks
PULSE_TIME: Final = 0.15  # seconds of them that its heartbeat thread has, if it has one
POLL: Final = 0.02  # seconds between two looks at what it has written

_LIBRARIES: Final = f"{os.path.dirname(os.__file__)}/"  # noqa: PTH120 - as it stands in stacks


class Examination:
    """Asks one life for its stacks, once.

    Args:
        life: its process.
        heartbeat: whether it has a heartbeat thread, which also shows tasks while its event loop waits.
        then: called at the end, unless it is closed before.

    Attributes:
        stacks: the stacks of its threads and tasks; None as long as there are none.
        place: where it waits; empty as long as that is not known.
    """

    def __init__(
        self, life: Life, loop: asyncio.AbstractEventLoop, *, heartbeat: bool, then: Callable[[], None]
    ) -> None:
        self.stacks: str | None = None
        self.place = ""
        self._life = life
        self._loop = loop
        self._then = then
        self._until = loop.time() + PATIENCE
        self._pulse = life.activity().pulse
        if heartbeat and life.ask_pulse():
            self._timer = loop.call_later(PULSE_TIME, self._ask_c_code)
        else:
            self._ask_c_code()

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _ask_c_code(self) -> None:
        """Its interpreter is held up, or it has no heartbeat thread: faulthandler's C code writes the stacks."""
        if self._life.activity().pulse == self._pulse:
            self._life.dump_stacks()
        self._look("")

    def _look(self, before: str) -> None:
        text = self._life.text()
        if not (text and text == before) and self._loop.time() < self._until:
            self._timer = self._loop.call_later(POLL, self._look, text)
            return
        self.stacks = of_the_actor(text) or None
        self.place = waiting_place(text, _LIBRARIES)
        self._then()
