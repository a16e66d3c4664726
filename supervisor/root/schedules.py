"""Schedules: messages that a tree sends to its children by the clock.

Runs on the thread of the event loop that entered the tree.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from actors.bounds import shown
from actors.errors import UsageError
from actors.lazy import LazyModule
from actors.messages import Message
from supervisor.messaging.registry import absolute
from supervisor.root.lifecycle import Lifecycle

if TYPE_CHECKING:
    from supervisor.core import schedule as times
    from supervisor.root.scheduler import ScheduledMessage
else:
    times = LazyModule("supervisor.core.schedule")


class Schedules(Lifecycle):
    """The schedules of a tree."""

    def schedule(self, name: str, child: str, message: Message[Any], schedule: times.Schedule) -> asyncio.Future[None]:
        """Send a message to a child by the clock, as `Schedule.cron("0 3 * * *")` says.

        Called again with the same name it replaces message and schedule. One that is the same goes on where it was, so
        a daemon calls this at each start. With a store a schedule stays until `unschedule`, over restarts of the
        daemon; what was missed meanwhile is sent once. The message is a tell. If the child is down for good or its
        mailbox is full, it becomes a dead letter.

        Args:
            name: of the schedule, unique in the tree.
            child: name of an actor, as in `root[child]`.
            message: what is sent each time.
            schedule: when.

        Returns:
            A future that is done when the schedule is stored, at once without a store. It need not be awaited.

        Raises:
            NoSuchActor: there is no actor of that name.
            UsageError: the actor does not handle the message, or an argument cannot work.
        """
        self._engine_now()
        if not isinstance(name, str) or not name:
            raise UsageError(f"the name of a schedule is a text that is not empty; it is {shown(name)}")
        if not isinstance(schedule, times.Schedule):
            raise UsageError(
                f"schedule {name!r} takes Schedule.every(...), .at(...) or .cron(...); it is {shown(schedule)}"
            )
        if not isinstance(child, str):
            raise UsageError(f"schedule {name!r} goes to a child by its name; {shown(child)} is not a str")
        admitted = self._tree.registry.find(absolute(self.path, child)).intake.check(message)
        if admitted.packed.attachments:
            raise UsageError(f"schedule {name!r} keeps {admitted.name} in memory; send what is large as a path")
        return self._scheduler.add(name, child, admitted, schedule)

    def unschedule(self, name: str) -> asyncio.Future[None]:
        """End a schedule; what was sent already is handled.

        Returns:
            A future that is done when that is stored. It need not be awaited.

        Raises:
            UsageError: there is no schedule of that name.
        """
        self._engine_now()
        return self._scheduler.remove(name)

    def schedules(self) -> tuple[ScheduledMessage, ...]:
        """All schedules, by name, with the time of their next run."""
        self._engine_now()
        return self._scheduler.list()
