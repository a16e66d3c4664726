"""Losses: the fate of a message that was in flight when its life ended. Pure.

The input is what the black box says; the result is a fate, or that the message may be begun again.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.wire.kinds import ASK, FEED, STREAM, TELL
from actors.wire.progress import Progress
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.in_flight import InFlight
from supervisor.core.delivery.messages import Classes, QueuedMessage


class LostMessage(msgspec.Struct, frozen=True):
    """One message that was in flight when its life ended.

    Attributes:
        message: the message.
        fate: how it ended, None when it is queued again.
        started: whether its handler had begun, None when that is not known.
        finished: whether its handler had returned, None when that is not known.
        deliveries: how often it has been begun.
    """

    message: QueuedMessage
    fate: Fate | None
    started: bool | None
    finished: bool | None
    deliveries: int


class Redelivery(msgspec.Struct, frozen=True):
    """Whether a message may be begun again.

    Attributes:
        idempotent: whether its class allows that.
        before: how often lives that ended have begun it.
        most: how often it may be begun in all.
        undone: whether the death has undone what its handler did: its state is stored with its outcome, or not at all.
    """

    idempotent: bool
    before: int
    most: int
    undone: bool = False


def lost_message(
    message: QueuedMessage, delivery_tag: int, progress: Progress | None, unwanted: Fate | None, again: Redelivery
) -> LostMessage:
    """The fate of one message.

    Args:
        message: the message.
        delivery_tag: its number in the life.
        progress: what the black box of the life says; None when it cannot be read.
        unwanted: how it ends when it was cancelled, None when it is wanted.
        again: whether it may be begun again.
    """
    started = None if progress is None else delivery_tag <= progress.begun
    finished = None if progress is None else bool(started) and delivery_tag not in progress.active
    guilty = not (again.undone and finished and progress is not None and progress.active)  # another one was handled
    deliveries = again.before + (started is not False and guilty)
    may = again.idempotent and deliveries < again.most
    fate: Fate | None
    if unwanted is not None:
        fate = unwanted
    elif started is False or (finished and may and (message.kind == ASK or (again.undone and message.kind == TELL))):
        fate = None  # handling a finished ask again gives the asker its reply
    elif finished and not again.undone:
        fate = Fate.HANDLED if message.kind == TELL else Fate.HANDLED_UNANSWERED
    elif message.kind in (STREAM, FEED) or not again.idempotent:  # what has flowed cannot flow again
        fate = Fate.CRASHED
    else:
        fate = None if may else Fate.POISON
    return LostMessage(message, fate, started, finished, deliveries)


class Attempts:
    """What is known of messages that were in flight to lives that ended.

    Args:
        classes: of the messages.
        max_deliveries: how often an idempotent message may be begun.

    Attributes:
        begun: how often lives that ended have begun a message, by sequence number.
        suspects: how many lives ended that were decoding the message or another one, by sequence number.
    """

    def __init__(self, classes: Classes, max_deliveries: int) -> None:
        self.begun: dict[int, int] = {}
        self.suspects: dict[int, int] = {}
        self._classes = classes
        self._max_deliveries = max_deliveries

    def of(self, seq: int) -> int:
        """How often a message has been begun by lives that ended."""
        return self.begun.get(seq, 0)

    def lose(
        self, flight: InFlight, progress: Progress | None, unwanted: Mapping[int, Fate]
    ) -> tuple[LostMessage, ...]:
        """The fates of all messages of a life that has ended; those that are begun again are counted.

        Args:
            flight: what the life had.
            progress: what its black box says; None when it cannot be read.
            unwanted: the messages that were cancelled, by sequence number, and how they end.
        """
        if progress is not None and progress.begun > flight.last_tag:  # no such message was given: a wild write
            progress = None
        losses = tuple(
            self._lost(message, delivery_tag, progress, unwanted.get(message.seq))
            for delivery_tag, message in flight.all()
        )
        self.begun |= {loss.message.seq: loss.deliveries for loss in losses if loss.fate is None and loss.deliveries}
        return losses

    def _lost(
        self, message: QueuedMessage, delivery_tag: int, progress: Progress | None, unwanted: Fate | None
    ) -> LostMessage:
        """The fate of a message whose life has ended; see `lost_message`."""
        seq = message.seq
        begun = self.of(seq)
        if progress is None or delivery_tag <= progress.begun:
            begun += self.suspects.pop(seq, 0)
        elif progress.decoding and unwanted is None:
            self.suspects[seq] = self.suspects.get(seq, 0) + 1
        classes = self._classes
        again = Redelivery(classes.idempotent[message.handler], begun, self._max_deliveries, classes.undone)
        return lost_message(message, delivery_tag, progress, unwanted, again)


def blame(flight: InFlight, progress: Progress) -> Progress:
    """What a dead life was doing. The one message that it had and was decoding counts as begun.

    Args:
        flight: what the life had.
        progress: what its black box says.
    """
    if not progress.decoding:
        return progress
    waiting = [held for held in flight.all() if held[0] > progress.begun]
    if len(waiting) != 1:
        return progress
    ((delivery_tag, message),) = waiting
    return Progress(delivery_tag, progress.active | {delivery_tag}, progress.since, message.handler)
