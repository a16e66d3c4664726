"""Watchdog: looks at a life whose handlers have a limit, and ends it when it hangs, with its stacks.

Between looks nothing happens; an idle life is looked at once in `handler_timeout`, and is never woken. A killed
process was over its limit at two looks, and at a third one after it had been asked for its stacks.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from actors.exits import ExitKind, ExitReason
from supervisor.core.health.hang_detector import Alarm, Finding, HangDetector, Look, explain, finding
from supervisor.core.health.life_end import LifeEnd
from supervisor.core.health.stacks import in_debugger, of_the_actor, without_their_start
from supervisor.ports.life import Life

if TYPE_CHECKING:
    from actors.child.messages.driver import Clock

HEARTBEAT_TIME: Final = 500_000_000  # ns that a suspect has to answer a heartbeat
STACKS_TIME: Final = 500_000_000  # ns that it then has to write its stacks
POLL: Final = 0.02  # seconds between two looks at what it has written

_DIED_OF_IT: Final = (signal.SIGSEGV, signal.SIGBUS)


class Watched(Protocol):
    """The life it looks at."""

    @property
    def busy(self) -> bool:
        """Whether messages are in flight to the life, and it must begin them."""

    def handler_name(self, index: int) -> str:
        """A handler in words, `Index.search`."""


class Watchdog:
    """Watches one life, from when it is ready until it has ended.

    Attributes:
        stacks: the stacks of its threads and tasks; None as long as it is not hung, and when they are not available.
    """

    def __init__(self, limit: float, child: Watched, life: Life, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self.stacks: str | None = None
        self._limit = limit
        self._child = child
        self._life = life
        self._loop = loop
        self._clock = clock
        self._hang_detector = HangDetector(int(limit * 1e9))
        self._timer: asyncio.TimerHandle | None = None
        self._hang = ""  # the hang as text, once its stacks were asked for
        self._killed = False
        self._step(self._look)

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()

    def reason(self, end: LifeEnd) -> ExitReason | None:
        """Why the life ended, if it ended by a hang; its exit code may not be known.

        faulthandler reads the stacks of threads that may be running, which is not quite safe: a hung process may die of
        it.
        """
        if self._killed and end.exit_code in {None, -signal.SIGKILL}:
            return ExitReason(ExitKind.KILLED, f"{self._hang}; {end.survival or 'killed by its supervisor'}")
        if self._hang and end.exit_code in [-number for number in _DIED_OF_IT]:
            return ExitReason(ExitKind.KILLED, f"{self._hang}; it died when it was asked for its stacks")
        return None

    def _look(self) -> None:
        self._hang = ""
        if self._life.said_farewell:  # a handler that left by sys.exit looks as if it continued
            return
        now = self._clock.monotonic_ns()
        alarm = self._seen(now, now - self._life.seen_at(now))
        if alarm is None:
            self._later((self._hang_detector.next_at - self._clock.monotonic_ns()) / 1e9, self._look)
        elif self._state() == "T":
            self._end(alarm, Finding.STOPPED)
        else:
            before = self._life.activity().heartbeats
            asked = self._clock.monotonic_ns()
            self._await_heartbeat(alarm, asked, before if self._life.ask_heartbeat() else None)

    def _await_heartbeat(self, alarm: Alarm, asked: int, before: int | None) -> None:
        """Wait for the answer, which brings the stacks; without one C code holds the interpreter: C code reads them."""
        answered = None if before is None else self._life.activity().heartbeats != before
        if answered is False and self._seen_at() < asked + HEARTBEAT_TIME:
            self._later(POLL, lambda: self._await_heartbeat(alarm, asked, before))
            return
        found = finding(self._state(), answered=answered)
        self._hang = self._in_words(alarm, found)
        if not answered:
            asked = self._clock.monotonic_ns()
            self._life.dump_stacks()
        self._later(POLL, lambda: self._await_stacks(found, asked, ""))

    def _await_stacks(self, found: Finding, asked: int, before: str) -> None:
        """Wait for the stacks, then look once more: it may have continued.

        What is seen of it may be older than now; only what it did after it was asked is proof.
        """
        text = self._life.text()
        seen = self._seen_at()
        if seen < asked or (not (text and text == before) and seen < asked + STACKS_TIME):
            self._later(POLL, lambda: self._await_stacks(found, asked, text))
            return
        alarm = self._seen(seen, 0)
        if alarm is None or self._life.said_farewell:
            self._look()
        elif in_debugger(text):
            self._hang_detector.excuse(self._clock.monotonic_ns())
            self._look()
        else:
            self.stacks = without_their_start(of_the_actor(text)) or None
            self._end(alarm, found)

    def _seen(self, now: int, age: int) -> Alarm | None:
        condition_now = self._life.condition()
        return self._hang_detector.look(
            Look(
                now=now,
                activity=self._life.activity(),
                waiting=self._child.busy,
                starved=condition_now.starved,
                stopped=condition_now.state == "T",
                traced=condition_now.state == "t",
                age=age,
            )
        )

    def _seen_at(self) -> int:
        return self._life.seen_at(self._clock.monotonic_ns())

    def _state(self) -> str:
        return self._life.condition().state

    def _end(self, alarm: Alarm, found: Finding) -> None:
        self._hang = self._in_words(alarm, found)
        self._killed = True
        self._life.kill()

    def _in_words(self, alarm: Alarm, found: Finding) -> str:
        handler = "" if alarm.work is None else self._child.handler_name(alarm.work.handler)
        return explain(found, handler, self._limit)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._timer = self._loop.call_later(max(0.0, seconds), self._step, what)

    def _step(self, what: Callable[[], None]) -> None:
        """A look that fails does not end the watch."""
        try:
            what()
        except Exception as error:
            self._loop.call_exception_handler({"message": f"error in {self!r}; it continues", "exception": error})
            self._later(self._limit, self._look)
