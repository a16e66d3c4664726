"""History: the last events of a tree, and the last deaths of each child, kept for those who look later.

Bounded: long texts are left out of what is kept. Those who follow events live get them whole, with the same time.

Runs on the loop's thread.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final, NamedTuple

from msgspec.structs import replace

from actors.exits import ExitReport
from supervisor.clock import machine_time
from supervisor.control.look.slim import without_texts
from supervisor.observe.broadcast import Broadcast, Missed, Reading
from supervisor.observe.happenings import ChildExited, HandlerSlow, Happening

KEPT: Final = 500  # events
DEATHS: Final = 20  # of one child
LINE: Final = 200  # characters of the last line of its output
CHILDREN: Final = 5_000  # whose deaths are kept; the names of dynamic children come and go


class Dated(NamedTuple):
    """An event, when it happened, in time.time(), and its number in this tree, from 1."""

    at: float
    event: Happening
    number: int


class Death(NamedTuple):
    """The end of a life.

    Attributes:
        at: when it was, in `machine_time()`.
        report: without its long texts.
        wrote: the last line of its output, as far as that is known.
    """

    at: float
    report: ExitReport
    wrote: str


class History:
    """Listens to the events of one tree.

    Attributes:
        events: the last ones.
        count: of all events so far: the number of the last one.
    """

    def __init__(self) -> None:
        self.count = 0
        self.events: deque[Dated] = deque(maxlen=KEPT)
        self._live: Broadcast[Dated] = Broadcast()
        self._deaths: dict[str, deque[Death]] = {}

    def put(self, happening: Happening | Missed) -> None:
        """Keep an event."""
        if isinstance(happening, Missed):
            return
        self.count += 1
        now = time.time()
        self._live.tell(Dated(now, happening, self.count))
        event = _short(happening)
        self.events.append(Dated(now, event, self.count))
        if isinstance(event, ChildExited):
            path = event.report.actor
            deaths = self._deaths.pop(path, None) or deque(maxlen=DEATHS)
            deaths.append(Death(machine_time(), event.report, _last_line(happening)))
            self._deaths[path] = deaths  # at the end: the one that has been quiet for longest goes first
            if len(self._deaths) > CHILDREN:
                del self._deaths[next(iter(self._deaths))]

    def end(self) -> None:
        """The tree has ended."""
        self._live.close()

    def follow(self) -> Reading[Dated]:
        """A reader of all events from now on, each with the time at which it happened, however late it is read."""
        return self._live.read()

    def deaths(self, path: str) -> tuple[Death, ...]:
        """The last deaths of a child, oldest first."""
        return tuple(self._deaths.get(path, ()))


def _last_line(happening: Happening) -> str:
    lines = happening.report.stderr if isinstance(happening, ChildExited) else ()
    return next((line.strip()[:LINE] for line in reversed(lines) if line.strip()), "")


def _short(happening: Happening) -> Happening:
    if isinstance(happening, ChildExited):
        return ChildExited(without_texts(happening.report))
    if isinstance(happening, HandlerSlow):
        return replace(happening, stacks=None)
    return happening
