"""DurableSettlement: the ends of a durable mailbox's messages, stored before their askers hear of them.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from actors.errors import ActorCrashed
from actors.exits import ExitReport
from actors.messages import Message
from actors.protocol.protocol import ActorProtocol
from actors.wire import kinds
from actors.wire.codec import encode
from actors.wire.errors import encode_error
from actors.wire.framing import Carried
from actors.wire.from_child import Outcome, Replies
from actors.wire.kinds import NOTHING
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.in_flight import Acknowledged
from supervisor.core.delivery.losses import LostMessage
from supervisor.core.delivery.messages import QueuedMessage
from supervisor.core.delivery.outcomes import crashed
from supervisor.core.delivery.queue import MessageQueue
from supervisor.durable.stored import StoredMailbox
from supervisor.mailbox.settlement import Settlement
from supervisor.observe.dead_letters import DeadLetter

_NO_OUTCOME = (kinds.CANCELLED, kinds.EXPIRED)


class DurableSettlement(Settlement):
    """As `Settlement`; each end is part of a transaction.

    Args:
        stored: the mailbox's side of the store.
        path: as of `Settlement`; so are the others.
        protocol: of the actor.
        decode: of its messages.
        stop_reason: of the actor.
        on_dead_letter: of the tree.
    """

    def __init__(  # noqa: PLR0917 - as `Settlement`
        self,
        stored: StoredMailbox,
        path: str,
        protocol: ActorProtocol,
        decode: Callable[[msgspec.Raw], Message[Any]],
        stop_reason: Callable[[], Fate],
        on_dead_letter: Callable[[DeadLetter], None],
    ) -> None:
        super().__init__(path, protocol, decode, stop_reason, on_dead_letter)
        self._stored = stored
        self.on_tells = stored.settle_tells

    def on_outcomes(
        self, queue: MessageQueue, member: str, outcomes: Sequence[Outcome], attachments: Sequence[Carried]
    ) -> None:
        """See `Settlement.on_outcomes`."""
        with self._stored.together():
            super().on_outcomes(queue, member, outcomes, attachments)

    def on_replies(self, queue: MessageQueue, member: str, frame: Replies) -> None:
        """See `Settlement.on_replies`."""
        with self._stored.together():
            super().on_replies(queue, member, frame)

    def acknowledged(self, acknowledged: Acknowledged) -> None:
        """See `Settlement.acknowledged`."""
        for seq in acknowledged.outside:
            self._stored.settle(seq, kinds.DONE, bytes(NOTHING))
        super().acknowledged(acknowledged)

    def replied(self, message: QueuedMessage, payload: msgspec.Raw) -> None:
        """See `Settlement.replied`."""
        self._stored.settle(message.seq, kinds.REPLY, bytes(payload))
        super().replied(message, payload)

    def replied_beside(self, message: QueuedMessage, attachment: Carried | None) -> None:
        """See `Settlement.replied_beside`; a reply that cannot be read is an error of who asked."""
        if attachment is not None:
            try:
                payload = encode(bytes(attachment.value))
            except OSError as error:  # in shared memory: there is no room to map it
                self._unread(message, error)
                return
            self._stored.settle(message.seq, kinds.REPLY, payload)
        super().replied_beside(message, attachment)

    def _unread(self, message: QueuedMessage, error: OSError) -> None:
        why = f"{self.path} handled {self.name_of(message)}, and its reply cannot be read, so it is not stored: {error}"
        self.unanswered(message, ActorCrashed(why, started=True, finished=True))

    def unanswered(self, message: QueuedMessage, lost: ActorCrashed) -> None:
        """See `Settlement.unanswered`."""
        self._stored.settle(message.seq, *encode_error(lost))
        super().unanswered(message, lost)

    def ended(self, message: QueuedMessage, outcome: Outcome, given_up: Fate | None) -> None:
        """See `Settlement.ended`."""
        kind = None if outcome.kind in _NO_OUTCOME else outcome.kind
        self._stored.settle(message.seq, kind, bytes(outcome.payload))
        super().ended(message, outcome, given_up)

    def lost(self, loss: LostMessage, report: ExitReport) -> None:
        """See `Settlement.lost`."""
        seq = loss.message.seq
        if loss.fate is None:
            if loss.deliveries or loss.message.handler in self._stored.noted:
                self._stored.begun(seq, loss.deliveries)
            return
        with self._stored.together():
            if loss.fate in (Fate.CRASHED, Fate.POISON, Fate.HANDLED_UNANSWERED):
                error = crashed(self.path, self.name_of(loss.message), loss, report)
                kept = ActorCrashed(str(error), started=error.started, finished=error.finished)
                self._stored.settle(seq, *encode_error(kept))
            elif loss.fate is Fate.HANDLED:
                self._stored.settle(seq, kinds.DONE, bytes(NOTHING))
            else:
                self._stored.settle(seq)
            super().lost(loss, report)

    def expired(self, message: QueuedMessage) -> None:
        """See `Settlement.expired`."""
        self._stored.settle(message.seq)
        super().expired(message)

    def withdrawn(self, seq: int, fate: Fate) -> None:
        """See `Settlement.withdrawn`."""
        self._stored.settle(seq)
        super().withdrawn(seq, fate)

    def dead_letter(self, message: QueuedMessage, fate: Fate, detail: str, deliveries: int = 0) -> None:
        """See `Settlement.dead_letter`; the store keeps the message with all its bytes."""
        if message.seq:
            self._stored.die(message.seq, fate.value, detail, deliveries)
        super().dead_letter(message, fate, detail, deliveries)
