"""The chronicle: what happened to the actors, kept from the supervisor's events."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

from actors import ExitReport
from supervisor import ChildExited, ChildStarted, Happening, Missed


class Chronicle:
    """Who lives, who was killed, what was in hand.

    Args:
        tell: told one short line when an actor is back.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.alive: dict[str, ChildStarted] = {}  # by path
        self.kills: Counter[str] = Counter()  # of which actor
        self.redelivered = 0  # messages that were in a handler when the kill came
        self._tell = tell
        self._crew: set[str] = set()
        self._complete = asyncio.Event()
        self._died: dict[str, tuple[float, ExitReport]] = {}

    async def keep(self, events: AsyncIterator[Happening | Missed]) -> None:
        """Runs as a task until the tree is down."""
        async for event in events:
            match event:
                case ChildStarted(actor):
                    self._crew.add(actor)
                    self.alive[actor] = event
                    if len(self.alive) == len(self._crew):
                        self._complete.set()
                    self._back(event)
                case ChildExited(report):
                    self.condemn(report.actor)
                    if report.signal == "SIGKILL" and report.decision == "restart":
                        self._killed(report)

    def here(self) -> list[str]:
        """Those who live on this machine: a pid of another is no process here."""
        return [actor for actor, life in self.alive.items() if life.node is None]

    def condemn(self, actor: str) -> int | None:
        """Strike an actor off the living; its pid."""
        self._complete.clear()
        life = self.alive.pop(actor, None)
        return None if life is None else life.pid

    async def everybody_back(self) -> None:
        """Wait until no actor is between two lives."""
        await self._complete.wait()

    def _killed(self, report: ExitReport) -> None:
        self.kills[_short(report.actor)] += 1
        self.redelivered += bool(report.last_message_begun)
        self._died[report.actor] = time.monotonic(), report

    def _back(self, event: ChildStarted) -> None:
        if event.actor not in self._died:
            return
        when, report = self._died.pop(event.actor)
        doing = f"in the middle of a {report.last_message}" if report.last_message_begun else "between messages"
        took = (time.monotonic() - when) * 1000
        self._tell(f"kill -9 {report.pid}: {_short(event.actor)} {doing}; life {event.life} after {took:.0f} ms")


def _short(actor: str) -> str:
    return actor.removeprefix("/root/")
