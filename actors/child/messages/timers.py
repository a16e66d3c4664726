"""Timers: messages that an actor sends to itself later.

A tick is due at its multiple of the period. One that comes late comes once: ticks that were missed meanwhile, because
the machine slept or a handler took long, are skipped and counted.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any

from actors.bounds import LEAST_SECONDS, check_time
from actors.messages import Message
from actors.protocol.protocol import ActorProtocol

if TYPE_CHECKING:
    from actors.child.messages.driver import Clock


class Timer:
    """One timer.

    Attributes:
        period: seconds between two of its messages, None for a single one.
        message: what it sends.
        trace: the trace context in which it was set; of one that repeats none, since each tick begins something new.
        waits: whether its last message has not begun: it gets no other before.
    """

    __slots__ = ("message", "period", "trace", "waits")

    def __init__(self, period: float | None, message: Message[Any], trace: str | None) -> None:
        self.period = period
        self.message = message
        self.trace = trace
        self.waits = False


class Timers:
    """The timers of one life.

    Attributes:
        missed: how many ticks were skipped.
        line: those that are set, by the time at which they are due.
    """

    def __init__(self, path: str, protocol: ActorProtocol, clock: Clock) -> None:
        self.missed = 0
        self._path = path
        self._protocol = protocol
        self._clock = clock
        self.line: list[tuple[float, int, Timer]] = []
        self._ids = count()

    def after(self, delay: float, message: Message[Any], trace: str | None) -> None:
        """See `Context.after`."""
        check_time(f"the delay of context.after in {self._path}", delay)
        self._set(delay, None, message, trace)

    def every(self, period: float, message: Message[Any]) -> None:
        """See `Context.every`."""
        check_time(f"the period of context.every in {self._path}", period, LEAST_SECONDS)
        self._set(period, period, message, None)

    def take_due(self, inbox: deque[Any]) -> float | None:
        """Append the timers that are due; returns seconds to the next one, None without any."""
        now = self._clock.monotonic()
        while self.line:
            due, _, timer = self.line[0]
            if due > now:
                return due - now
            del self.line[0]
            late = 0 if timer.period is None else int((now - due) / timer.period)  # ticks missed since this one
            if timer.waits:
                late += 1
            else:
                timer.waits = True
                inbox.append(timer)
            if timer.period is not None:
                self.missed += late
                following = due + timer.period * (int((now - due) / timer.period) + 1)
                self._push(max(following, now + timer.period / 2), timer)
        return None

    def _set(self, delay: float, period: float | None, message: Message[Any], trace: str | None) -> None:
        self._protocol.encode(message)  # the check of a sender
        self._push(self._clock.monotonic() + delay, Timer(period, message, trace))

    def _push(self, due: float, timer: Timer) -> None:
        insort(self.line, (due, next(self._ids), timer))
