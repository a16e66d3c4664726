"""Observers: what looks at messages as they pass, for metrics and tracing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from actors.exits import ExitReport
from actors.wire.from_child import Outcomes, Replies
from actors.wire.progress import Progress
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.losses import LostMessage
from supervisor.core.delivery.queue import MessageQueue


class Observer(Protocol):
    """Looks at the messages of one mailbox as they pass: metrics, tracing. Called on the loop's thread.

    A mailbox without observers pays for one look at an empty tuple, by batch.
    """

    def accepted(self) -> None:
        """Messages were accepted: called at the end of the loop's turn, and for an ask without a timeout sent at once.

        Of an ask with a timeout, its asker knows since when it waits.
        """

    def outcomes(self, queue: MessageQueue, member: str, frame: Outcomes | Replies) -> None:
        """A member reports how messages ended; called before they are settled. The frame may be wrong."""

    def lost(self, losses: Sequence[LostMessage], progress: Progress | None, report: ExitReport) -> None:
        """A life has ended: what becomes of the messages in flight to it; called before they are settled.

        Args:
            losses: each message, and how far it was; without those that came in batches and had not begun.
            progress: what its black box says, None when it cannot be read.
            report: of its end.
        """


Check = Callable[[bytes], object]
"""Checks an encoded message, and raises where it is wrong."""


class Tracer(Observer, Protocol):
    """Knows the trace context of messages, see `actors.wire.traces`. Called on the loop's thread."""

    def current(self) -> str | None:
        """The trace context in which the caller runs, None outside of any."""

    def checking(self, check: Check, turn_to: Callable[[str | None], None]) -> Check:
        """A check that calls `turn_to` with the current trace context when it is another one than last time.

        It raises where the message needs a span. It runs for each message of the fast path.
        """

    def entered(self, seq: int, trace: str, name: str) -> None:
        """A message with a trace context, of a class of that name, is in the mailbox under that number."""

    def dropped(self, seq: int, fate: Fate) -> None:
        """A message has ended, and no life has reported it."""
