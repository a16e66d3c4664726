"""Settling: outcomes of a durable actor with `save`, each frame with the state that they have led to.

    handler ends ─▶ outcome kept ─▶ no handler runs ─▶ save ─▶ Settled(outcomes, state)

What the daemon stores of one frame it stores together. So a frame leaves between two messages only: at once when a
sender waits for a reply, else before the next handler or while the actor is idle, when it has sent something, or a
millisecond has passed. A sender that awaits each tell has its next one stored before that: they share a frame.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from actors.child.messages.keeping import Keeper
from actors.child.messages.outbox import ACK_AGE, ACK_EVERY, Outbox
from actors.errors import UsageError
from actors.ipc.channel import Channel
from actors.process.tracebacks import ActorFailed
from actors.wire import kinds
from actors.wire.codec import encode
from actors.wire.framing import Carried
from actors.wire.from_child import Outcome, Outcomes, Settled
from actors.wire.kinds import NOTHING

if TYPE_CHECKING:
    from actors.child.messages.driver import Clock


class SettlingOutbox(Outbox):
    """What the daemon does not know yet, of an actor that handles one message at a time.

    Args:
        channel: where it is sent.
        clock: of the life.
        crashes: whether an exception in a handler ends the life. Then the state that it left is not kept, and the
            messages before it that are not settled are handled again, on the state before them.
    """

    def __init__(self, channel: Channel, clock: Clock, *, crashes: bool) -> None:
        super().__init__(channel, clock, sequential=True)
        self.send = self._send
        self._crashes = crashes
        self._keeper: Keeper | None = None
        self._handling = False
        self._changed = False  # whether a handler has run since the last frame
        self._sent = False  # whether the actor has sent something since
        self._first = 0  # ns at which the first of what waits began
        self.oldest = 1  # `before_handler` is called each time

    def keep(self, keeper: Keeper) -> None:
        """See `Outbox.keep`."""
        self._keeper = keeper

    def before_handler(self, now: int) -> None:
        """A handler is about to be called at that time (ns): settle what must not wait for it."""
        self._settle_what_is_due(now)
        if not self._first:
            self._first = now
        self._handling = True

    def before_batch(self) -> None:
        """See `Outbox.before_batch`."""
        self._settle_what_is_due(self._clock.monotonic_ns())
        self._handling = True  # what waits is not settled with the changes of a handler that has not ended

    def reply(  # noqa: PLR0917 - as the outcome has them
        self,
        seq: int,
        kind: int,
        payload: msgspec.Raw,
        began: int,
        attachments: tuple[Carried, ...] = (),
        ended: int = 0,
    ) -> None:
        """A handler has ended: settle, since its sender waits."""
        if kind == kinds.FAILED and self._crashes:  # still handling: what it has left is never saved
            self._channel.send(encode(Outcomes(0, [Outcome(seq, kind, payload, began, ended)])))
            return
        self._handling = False
        self._changed = True
        self._ack_up_to = seq
        self._waiting.append(Outcome(seq, kind, payload, began, ended))
        self._settle(attachments)

    def hold(self, seq: int, reply: float | bool | msgspec.Raw | None, began: int) -> None:
        """As `reply`: a durable mailbox gives no batch of asks."""
        self.reply(seq, kinds.REPLY, reply if isinstance(reply, msgspec.Raw) else msgspec.Raw(encode(reply)), began)

    def acknowledge(self, seq: int, began: int, ended: int = 0) -> None:
        """The handler of a tell has returned; the daemon may hear of it later."""
        if ended:
            self._waiting.append(Outcome(seq, kinds.DONE, NOTHING, began, ended))
        self._handling = False
        self._changed = True
        self._ack_up_to = seq
        self._count += 1

    def acknowledge_now(self, seq: int, began: int) -> None:
        """Everything up to there has ended; the daemon hears of it now."""
        self.acknowledge(seq, began)
        self._settle()

    def batch_over(self, seq: int, began: int) -> None:
        """See `Outbox.batch_over`."""
        self.acknowledge(seq, began)
        self._first = self._first or began
        self._settle_what_is_due(self._clock.monotonic_ns())

    def skip(self, seq: int, kind: int, payload: msgspec.Raw = NOTHING, *, over: bool = True) -> None:
        """A message has ended that did not begin."""
        self._waiting.append(Outcome(seq, kind, payload))
        if over:
            self._ack_up_to = seq
        self._changed = self._urgent = True

    def item(self, seq: int, kind: int, payload: msgspec.Raw, attachments: tuple[Carried, ...] = ()) -> None:
        """Send an item of a running message by itself; nothing of it is stored."""
        self._channel.send(encode(Outcomes(0, [Outcome(seq, kind, payload)])), attachments)

    def own_ended(self) -> None:
        """The handler of a timer's message has ended: the state may have changed."""
        self._handling = False
        self._changed = True

    def lingers(self) -> float:
        """Seconds for which what waits may wait for more, while the actor is idle."""
        if not self._changed or self._sent or self._urgent:
            return 0.0
        return max(0, self._first + ACK_AGE - self._clock.monotonic_ns()) / 1e9

    def flush(self) -> None:
        """Settle what waits; not while a handler runs, whose changes are not complete."""
        if self._changed and not self._handling:
            self._settle()

    def _settle_what_is_due(self, now: int) -> None:
        """Settle between two handlers what must not wait for the next one, at that time (ns)."""
        if self._changed and (self._sent or self._urgent or now - self._first > ACK_AGE or self._count >= ACK_EVERY):
            self._settle()

    def _send(self, frame: bytes, attachments: Sequence[Carried] = ()) -> None:
        self._sent = True
        self._channel.send(frame, attachments)

    def _settle(self, attachments: Sequence[Carried] = ()) -> None:
        assert self._keeper is not None  # noqa: S101 - set before the first message
        frame = encode(Settled(self._ack_up_to, self._waiting, self._keeper.save()))
        try:
            self._channel.send(frame, attachments)
        except UsageError as error:
            raise ActorFailed("settling its messages with its state", error) from error
        self._waiting.clear()
        self._count = self._first = 0
        self._changed = self._sent = self._urgent = False
