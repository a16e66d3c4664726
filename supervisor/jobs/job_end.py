"""JobEnd: ends a job that is no longer wanted, and harms no other.

    not begun: it is skipped ─────────────────────────────────────────────┐
    running:   its process gets nothing more, gives back what it has not   ├─▶ over
               begun, and is killed when it certainly begins nothing else ─┘

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from typing import Final

from supervisor.mailbox.mailbox import Mailbox

LOOK: Final = 0.02  # seconds to the next look; far more than a store takes to become visible to another processor
MAX_LOOK: Final = 1.0  # seconds; a job that waits behind another may wait long


class JobEnd:
    """Ends one job whose message was withdrawn while it was in flight.

    Why no other job is killed: a process that begins a message first looks at its doorbell, and reads its channel if
    that was rung. When the job still runs some time after the process was asked for everything else, the next thing
    that the process does is to look.

    Args:
        mailbox: of the pool.
        member: that has the message.
        delivery_tag: of the message there.
        why: it is no longer wanted.
    """

    def __init__(self, mailbox: Mailbox, member: str, delivery_tag: int, why: str) -> None:
        self._mailbox = mailbox
        self._why = why
        self._member = member
        self._delivery_tag = delivery_tag
        self._paused = False
        self._pause = LOOK
        self._look()

    def _look(self) -> None:
        consumers = self._mailbox.consumers
        life = consumers.bearer(self._member, self._delivery_tag)
        if life is None:
            if self._paused:
                consumers.resume(self._member, self._delivery_tag)
                self._mailbox.dispatcher.dispatch()
            return
        if self._delivery_tag in life.progress().active and life.caught_up:
            if self._paused or not consumers.pause(self._member, self._delivery_tag):
                consumers.end(self._member, self._why)
                return
            self._paused, self._pause = True, LOOK
        asyncio.get_running_loop().call_later(self._pause, self._look)
        self._pause = min(MAX_LOOK, self._pause * 2)
