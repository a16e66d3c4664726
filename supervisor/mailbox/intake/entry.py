"""Entry: a message on its way into a mailbox, and what becomes of it there: taken, waiting for room, or dropped.

Values, used on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import msgspec

from actors.wire.framing import Carried
from supervisor.core.delivery.messages import QueuedMessage
from supervisor.mailbox.askers import Asker
from supervisor.mailbox.capacity import Place
from supervisor.mailbox.validation import Admitted


class Patience(Enum):
    """What a sender accepts at a full mailbox, besides what its `Overflow` does."""

    WAIT = "wait"  # it waits for room
    REFUSE = "refuse"  # MailboxFull is raised


class Taken(msgspec.Struct, frozen=True):
    """The message is in the mailbox.

    Attributes:
        seq: its sequence number.
    """

    seq: int


class Dropped(msgspec.Struct, frozen=True):
    """The message became a dead letter: the mailbox drops the newest."""


class Entry(msgspec.Struct, frozen=True):
    """A checked message on its way in.

    Attributes:
        kind: TELL, ASK, STREAM or FEED.
        message: the message.
        sender: path of the actor that sent it, None when the daemon did.
        deadline: when it is no longer wanted, on the mailbox's clock; None without a bound.
        asker: waits for its end.
        fail_if_down: whether it ends when no life serves the mailbox.
        key: of a message to a durable actor, whose outcome is kept; None without one.
    """

    kind: int
    message: Admitted
    sender: str | None = None
    deadline: float | None = None
    asker: Asker | None = None
    fail_if_down: bool = False
    key: str | None = None

    def queued(self, seq: int) -> QueuedMessage:
        """The message as it lies in a queue, under that number."""
        message, packed = self.message, self.message.packed
        return QueuedMessage(
            seq,
            self.kind,
            self.sender,
            self.deadline,
            msgspec.Raw(packed.data),
            packed.beside,
            message.trace,
            packed.attachments,
            message.handler.index,
            message.key,
        )

    def holding(self, attachments: tuple[Carried, ...]) -> Entry:
        """The same with attachments that hold room for shared values."""
        message = self.message
        packed = msgspec.structs.replace(message.packed, attachments=attachments)
        return msgspec.structs.replace(self, message=msgspec.structs.replace(message, packed=packed))


class Wait:
    """A message that waits for room, in the order of arrival.

    Args:
        place: among those that wait.
        entry: the message.
        enter: puts it into the mailbox when there is room; raises ActorStopped when that is closed.
    """

    def __init__(self, place: Place, entry: Entry, enter: Callable[[Entry], Taken]) -> None:
        self._place = place
        self._entry = entry
        self._enter = enter

    def cancel(self) -> None:
        """The sender no longer waits; `taken` ends as cancelled."""
        self._place.leave()

    async def taken(self, deadline: float | None = None) -> Taken:
        """Wait until the message is in the mailbox, until `deadline` on the mailbox's clock.

        Raises:
            TimeoutError: there was no room in time.
            ActorStopped: the actor went down for good meanwhile.
        """
        await self._place.wait(deadline)
        return self._enter(self._entry)
