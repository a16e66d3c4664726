"""Recall: messages that a pool's member got in advance come back when the member stays busy.

A message is never begun twice. What has begun is left alone, and nothing is taken that might begin.

Why it is certain: a process that begins a message first looks at the doorbell of its black box, and reads its channel
if that was rung. So the daemon asks for the messages, rings, and looks again after a while: if every lane of the
process is still busy with the same call as before, its next look at the doorbell is yet to come, and it will skip
what it was asked for. A process that has continued meanwhile reports for each message whether it skipped or began it.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from supervisor.mailbox.consumers import Consumers

LOOK: Final = 0.02  # seconds between two looks; far more than a store takes to become visible to another processor


class _Seen(NamedTuple):
    steps: int  # of its activity
    asked: bool  # whether it was asked to give back what it has not begun


class Recall:
    """Looks at the members of one pool that have messages in advance.

    Args:
        loop: whose timer.
        consumers: of the pool.
        concurrency: how many messages a member handles at once.
        on_return: called when messages are queued again.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, consumers: Consumers, concurrency: int, on_return: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._consumers = consumers
        self._concurrency = concurrency
        self._on_return = on_return
        self._seen: dict[str, _Seen] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Look later, if some member has messages in advance that another could take."""
        if self._timer is None and any(self._ahead()):
            self._timer = self._loop.call_later(LOOK, self._look)

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ahead(self) -> list[str]:
        """The members with more in flight than they handle at once, where others take from the same queue."""
        queue, served = self._consumers.shared_queue, self._consumers.served
        if queue is None or len(served) < 2:
            return []
        return [name for name in served if queue.flights.count(name) > self._concurrency]

    def _look(self) -> None:
        self._timer = None
        former, self._seen = self._seen, {}
        returned = [self._look_at(name, former.get(name)) for name in self._ahead()]
        if any(returned):
            self._on_return()
        self.watch()

    def _look_at(self, name: str, former: _Seen | None) -> bool:
        """Ask a busy member, or take back what it was asked for; returns whether messages are queued again."""
        life, queue = self._consumers.served[name], self._consumers.queue_of(name)
        activity = life.activity()
        stays = former is not None and activity.steps == former.steps and len(activity.work) >= self._concurrency
        asked = stays and former is not None and former.asked
        if asked and life.caught_up and not life.congested:
            queue.flights.take_over(name)
            return True
        if stays and not asked and not life.congested:
            self._consumers.found_slow(name)
            life.recall(queue.flights.of(name).ask_back(life.progress().begun))
            asked = True
        self._seen[name] = _Seen(activity.steps, asked)
        return False
