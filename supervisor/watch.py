"""Watch: looks at a life whose handlers have a limit, and ends it when it hangs, with the stacks of its threads.

Law: between looks nothing happens; a life that is idle is looked at once in `handler_timeout`, and is never woken.
     Whoever is killed was over its limit at two looks, and at a third one after it had been asked for its stacks.
May import: core, ports, proc, house.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from supervisor.core.vigil import Alarm, Finding, Look, Vigil, explain, finding
from supervisor.ports import Life
from supervisor.proc import condition

EXAMINATION: Final = 1.0  # seconds that a suspect has at most to leave its stacks and a sign of life
POLL: Final = 0.02  # seconds between two looks at what it has left


class Hang(msgspec.Struct, frozen=True):
    """Why a life was ended: one line, and the Python stacks of its threads, None when they could not be had."""

    detail: str
    stacks: str | None


class Watched(Protocol):
    """Whose life it is."""

    @property
    def busy(self) -> bool:
        """Whether the life has messages in its hands, and shall begin them."""

    def handler_name(self, index: int) -> str:
        """A handler in words, `Index.search`."""


class Watch:
    """Watches one life, from when it is ready until it is over.

    Attributes:
        hang: why the life was ended, None as long as it was not.
    """

    def __init__(self, limit: float, child: Watched, life: Life, loop: asyncio.AbstractEventLoop) -> None:
        self.hang: Hang | None = None
        self._limit = limit
        self._child = child
        self._life = life
        self._loop = loop
        self._vigil = Vigil(int(limit * 1e9))
        self._timer: asyncio.TimerHandle | None = None
        self._look()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        alarm = self._seen()
        if alarm is None:
            self._later((self._vigil.next_at - time.monotonic_ns()) / 1e9, self._look)
        elif self._state() == "T":
            self._end(alarm, Finding.STOPPED, None)
        else:
            before = self._life.activity().pulse
            self._life.dump_stacks()
            asked = self._life.ask_pulse()
            self._examine(self._loop.time() + EXAMINATION, before if asked else None, "")

    def _examine(self, until: float, before: int | None, text: str) -> None:
        """Wait for the stacks and a sign of life, then look once more: it may have gone on."""
        answered = None if before is None else self._life.activity().pulse != before
        now_text = self._life.text()
        complete = answered is not False and now_text and now_text == text
        if not complete and self._loop.time() < until:
            self._later(POLL, lambda: self._examine(until, before, now_text))
            return
        alarm = self._seen()
        if alarm is None:
            self._look()
        else:
            self._end(alarm, finding(self._state(), answered=answered), _of_the_actor(now_text) or None)

    def _seen(self) -> Alarm | None:
        condition_now = condition(self._life.pid)
        return self._vigil.look(
            Look(
                now=time.monotonic_ns(),
                activity=self._life.activity(),
                waiting=self._child.busy,
                starved=condition_now.starved,
                stopped=condition_now.state == "T",
                traced=condition_now.state == "t",
            )
        )

    def _state(self) -> str:
        return condition(self._life.pid).state

    def _end(self, alarm: Alarm, found: Finding, stacks: str | None) -> None:
        handler = "" if alarm.work is None else self._child.handler_name(alarm.work.handler)
        self.hang = Hang(explain(found, handler, self._limit), stacks)
        self._life.kill()

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._timer = self._loop.call_later(max(0.0, seconds), what)


def _of_the_actor(stacks: str) -> str:
    """The stacks without that of the thread that gives signs of life."""
    return "\n\n".join(stack for stack in stacks.split("\n\n") if "actors/pulse.py" not in stack)
