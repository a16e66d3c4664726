"""Examination: where a process is that is not ready in time, or whose handler takes long.

The process is asked for its stacks. Nothing is decided here.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from supervisor.core.health.stacks import of_the_actor, waiting_place, without_their_start
from supervisor.ports.life import Inspection
from supervisor.shadowing import STANDARD_LIBRARY

PATIENCE: Final = 0.3  # seconds that it has to write its stacks
HEARTBEAT_TIME: Final = 0.15  # seconds of them that its heartbeat thread has, if it has one
POLL: Final = 0.02  # seconds between two looks at what it has written


class Examination:
    """Asks one life for its stacks, once.

    Args:
        life: its process.
        heartbeat_time: seconds that its heartbeat thread has to answer.
        patience: seconds that it has in all.
        heartbeat: whether it has a heartbeat thread, which also shows tasks while its event loop waits.
        then: called at the end, unless it is closed before; never while this is being made.

    Attributes:
        stacks: the stacks of its threads and tasks; None as long as there are none.
        place: where it waits; empty as long as that is not known.
    """

    def __init__(
        self,
        life: Inspection,
        loop: asyncio.AbstractEventLoop,
        *,
        heartbeat: bool,
        then: Callable[[], None],
        heartbeat_time: float = HEARTBEAT_TIME,
        patience: float = PATIENCE,
    ) -> None:
        self.stacks: str | None = None
        self.place = ""
        self._life = life
        self._loop = loop
        self._then = then
        self._until = loop.time() + patience
        self._heartbeats = life.activity().heartbeats
        if heartbeat and life.ask_heartbeat():
            self._timer = loop.call_later(POLL, self._await_heartbeat, loop.time() + heartbeat_time)
        else:
            self._ask_c_code()

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _await_heartbeat(self, until: float) -> None:
        """Wait for the answer of its heartbeat thread, which comes after the stacks."""
        if self._life.activity().heartbeats != self._heartbeats:
            self._look(self._life.text())
        elif self._loop.time() < until:
            self._timer = self._loop.call_later(POLL, self._await_heartbeat, until)
        else:
            self._ask_c_code()

    def _ask_c_code(self) -> None:
        """Its interpreter is held up, or it has no heartbeat thread: faulthandler's C code writes the stacks."""
        self._life.dump_stacks()
        self._look("")

    def _look(self, before: str) -> None:
        text = self._life.text()
        if not (text and text == before) and self._loop.time() < self._until:
            self._timer = self._loop.call_later(POLL, self._look, text)
            return
        self.stacks = without_their_start(of_the_actor(text)) or None
        self.place = waiting_place(text, STANDARD_LIBRARY)
        self._then()
