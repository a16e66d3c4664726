"""Door: a checked message comes into a mailbox, waits for room, is refused, or becomes a dead letter.

    check, check_bytes ─▶ post ─▶ Taken: in the queue
                            └───▶ Wait, then Taken │ Dropped: a dead letter │ MailboxFull

Runs on the loop's thread; nothing here blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import msgspec

from actors.errors import ActorsError, ActorStopped, MailboxFull, UsageError
from actors.messages import Message
from actors.wire.attachments import EncodedMessage
from actors.wire.codec import ReplyCodec
from actors.wire.kinds import ASK, TELL
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.messages import QueuedMessage
from supervisor.core.rules.down import Down
from supervisor.mailbox.askers import PendingAsk, pending_ask, reader
from supervisor.mailbox.intake.checks import IntakeChecks
from supervisor.mailbox.intake.entry import Dropped, Entry, Patience, Taken, Wait
from supervisor.mailbox.intake.parts import MailboxParts
from supervisor.mailbox.intake.shared_budget import SharedBudget
from supervisor.mailbox.timers import DelayedTells
from supervisor.mailbox.validation import Admitted
from supervisor.specs import Overflow


class Door(IntakeChecks):
    """Where checked messages come into one mailbox.

    Args:
        parts: of the mailbox.

    Attributes:
        refused_as: how messages end that were refused with an error, by its class.
        closed_reason: the fate of what comes all the same.
        budget: the room for shared values in the tree, None without a bound.
    """

    refused_as: ClassVar[Mapping[type[ActorsError], Fate]] = {MailboxFull: Fate.MAILBOX_FULL}

    def __init__(self, parts: MailboxParts) -> None:
        super().__init__(parts.path, parts.admission, parts.home)
        self.closed_reason = Fate.ACTOR_STOPPED
        self.budget: SharedBudget | None = None
        self._consumers = parts.consumers
        self._capacity = parts.capacity
        self._settlement = parts.settlement
        self._askers = parts.settlement.askers
        self._dispatcher = parts.dispatcher
        self._deadlines = parts.deadlines
        self._overflow = parts.overflow
        self._resolve = parts.resolve
        self._loop = parts.home.loop
        self._clock: Final = parts.capacity.clock
        self._delayed = DelayedTells(self._loop, self._due)

    def share(self, budget: SharedBudget) -> None:
        """Shared values of its messages, and of replies to them, count for the tree."""
        self.budget = budget
        self._settlement.count_values = budget.count

    # ---- its sender hears of it

    def post(self, entry: Entry, patience: Patience) -> Taken | Wait | Dropped:
        """Put a checked message into the mailbox, or begin to wait for room; see `Overflow`.

        Raises:
            MailboxFull: the message is refused.
            UsageError: its shared values never fit.
        """
        budget, attachments = self.budget, entry.message.packed.attachments
        if budget is None or attachments is None:
            return self._post(entry, patience)
        held = budget.hold(attachments, self._path)
        if held is not None:
            return self._post(entry.holding(held), patience)
        waits = patience is Patience.WAIT and self._overflow in (Overflow.WAIT, Overflow.DROP_OLDEST)
        if waits and (entry.sender is None or not budget.crowded):
            return budget.wait(self, entry, self._path, self._post_held)
        raise budget.full(entry.message.name, self._path, self._remedy())

    def check_room(self, message: Admitted) -> None:
        """Check that there may be room for the shared values of a message.

        Raises:
            UsageError: there never is.
        """
        if self.budget is not None and message.packed.attachments is not None:
            self.budget.fits(message.packed.attachments, self._path)

    def _post_held(self, entry: Entry) -> Taken | Wait | Dropped:
        """Post a message that has waited for room for its shared values.

        Raises:
            ActorStopped: the actor went down for good meanwhile.
        """
        self.check_open(entry.message.name)
        return self._post(entry, Patience.WAIT)

    def _post(self, entry: Entry, patience: Patience) -> Taken | Wait | Dropped:
        capacity = self._capacity
        if capacity.line:
            capacity.grant()  # what has begun meanwhile takes no room any more
        if not capacity.full:
            return Taken(self._enqueue(entry))
        if self._overflow is Overflow.DROP_OLDEST:
            while self._drop_oldest():
                if capacity.free > 0:
                    return Taken(self._enqueue(entry))
        elif self._overflow is Overflow.DROP_NEWEST:
            self._dead_letter(entry, Fate.MAILBOX_FULL, "the mailbox was full, and the newest goes")
            if entry.kind == TELL:
                return Dropped()
        if patience is Patience.WAIT and self._overflow in (Overflow.WAIT, Overflow.DROP_OLDEST):
            return Wait(capacity.join(), entry, self._enter)
        raise MailboxFull(
            f"{self._path} has {capacity.crowd}; {entry.message.name} was not sent. {self._remedy()}, or raise "
            f"`{capacity.bound}=` in its ChildSpec"
        )

    def _remedy(self) -> str:
        """What a sender can do whose message was refused for lack of room."""
        if self._overflow in (Overflow.WAIT, Overflow.DROP_OLDEST):
            return "Wait with `await ref.tell(...)`"
        return f"With overflow={self._overflow.value!r} no sender waits: send it again later"

    def post_ask(
        self, message: Admitted, timeout: float | None, *, fail_if_down: bool, key: str | None = None
    ) -> tuple[PendingAsk, Taken | Wait | Dropped]:
        """Post a checked ask of the daemon; its timeout includes the wait for room, or for the store.

        Raises:
            MailboxFull: the message is refused.
        """
        future, read = self._loop.create_future(), self.reader_of(message.handler.reply)
        asker = pending_ask(future, read, self._path, message.name, timeout, self._clock)
        entry = Entry(ASK, message, None, asker.deadline, asker, fail_if_down, key)
        return asker, self.post(entry, Patience.WAIT)

    def reader_of(self, codec: ReplyCodec) -> Callable[[msgspec.Raw], Any]:
        """A decoder of replies; refs in them are bound to this tree."""
        return reader(codec, self._resolve)

    # ---- no sender waits for it

    def post_published(self, payload: bytes, sender: str | None, trace: str | None = None) -> None:
        """Take a published message if there is room and it fits; else it becomes a dead letter."""
        if sender is None:
            trace = self.current_trace
        try:
            entry = Entry(TELL, self.check_bytes(msgspec.Raw(payload), TELL, None, (), sender, trace), sender)
        except UsageError as error:
            self.refuse(EncodedMessage(payload), sender, Fate.UNDECODABLE, str(error))
            return
        except ActorStopped as error:
            self.refuse(EncodedMessage(payload), sender, Fate.ACTOR_STOPPED, str(error))
            return
        if self._capacity.full:
            self._dead_letter(entry, Fate.MAILBOX_FULL, "the mailbox was full when it was published")
        else:
            self._enqueue(entry)

    def post_scheduled(self, payload: bytes) -> None:
        """Take a scheduled message, whose time has come; if that is not possible, it becomes a dead letter."""
        try:
            self._due(self.check_stored(payload), None)
        except UsageError as error:
            self.refuse(EncodedMessage(payload), None, Fate.UNDECODABLE, str(error))

    def post_later(
        self, delay: float, message: Admitted, sender: str | None = None, key: str | None = None
    ) -> Wait | None:
        """Post a checked message in `delay` seconds; if that is not possible then, it becomes a dead letter.

        Raises:
            MailboxFull: as many delayed messages wait as the mailbox holds.
        """
        if len(self._delayed) >= self._capacity.most:
            raise MailboxFull(
                f"{len(self._delayed)} delayed messages for {self._path} wait for their time, as many as its mailbox "
                f"holds; {message.name} was not sent. Raise `mailbox=` in its ChildSpec, or send it when it is due"
            )
        del key  # see `check_key`
        self._delayed.add(delay, message, sender)
        return None

    def post_own(self, message: Message[Any], sender: str) -> None:
        """Take a tell that the daemon itself makes; it needs no room."""
        self._enqueue(Entry(TELL, self._admission.own(message), sender))

    def refuse(self, packed: EncodedMessage, sender: str | None, fate: Fate, detail: str) -> None:
        """Make a dead letter of bytes whose sender does not wait for an answer."""
        handler = self._admission.class_of(packed.data)
        queued = QueuedMessage(
            0, TELL, sender, None, msgspec.Raw(packed.data), packed.beside, None, packed.attachments, handler
        )
        self._settlement.dead_letter(queued, fate, detail)

    def fate_of(self, error: ActorsError) -> Fate:
        """How a message ends that was refused with an error, and whose sender does not hear of it."""
        if isinstance(error, ActorStopped):
            return self.closed_reason
        return next((fate for cls, fate in self.refused_as.items() if isinstance(error, cls)), Fate.UNDECODABLE)

    # ---- open and closed

    def close(self, down: Down, reason: Fate) -> None:
        """The actor is down and stays down: nothing enters, and the senders that wait for room get an error."""
        self.closed = down
        self.closed_reason = reason
        self._capacity.close()
        if self.budget is not None:
            self.budget.close(self)

    def open(self) -> None:
        """The actor is started; after it was down for good, messages enter again."""
        self.closed = None
        self._capacity.open()

    def drain(self, *parts: str) -> None:
        """These parts of the tree are drained with the mailbox: refuse the new messages of actors outside of one."""
        self._drained = parts

    def drop_delayed(self, fate: Fate, because: str) -> None:
        """Delayed messages become dead letters."""
        for message, sender in self._delayed.drain():
            self._dead_letter(Entry(TELL, message, sender), fate, because)

    # ---- inside

    def _enter(self, entry: Entry) -> Taken:
        """Take a message that has waited for room.

        Raises:
            ActorStopped: the actor went down for good meanwhile.
        """
        self.check_open(entry.message.name)
        return Taken(self._enqueue(entry))

    def _enqueue(self, entry: Entry) -> int:
        """Enqueue a checked message, for which there is room; returns its sequence number."""
        message, asker = entry.message, entry.asker
        packed = message.packed
        queue = self._consumers.queue_for(message.key)
        seq = queue.enqueue(
            entry.kind,
            message.handler.index,
            entry.sender,
            entry.deadline,
            packed.data,
            beside=packed.beside,
            attachments=packed.attachments,
            trace=message.trace,
            key=message.key,
        )
        if message.trace is not None and self.tracer is not None:
            self.tracer.entered(seq, message.trace, message.name)
        if asker is not None:
            self._askers[seq] = asker, queue
            if entry.fail_if_down:
                self._settlement.fail_if_down.add(seq)
            if type(asker) is PendingAsk:
                asker.seq = seq
                if asker.deadline is not None and asker.deadline < self._deadlines.next:
                    self._deadlines.announce(asker.deadline)
        self._capacity.fast_slots -= 1
        self._dispatcher.accepted(queue)
        return seq

    def _due(self, message: Admitted, sender: str | None) -> None:
        """A delayed tell is due."""
        entry = Entry(TELL, message, sender)
        if self.closed is not None:
            self._dead_letter(entry, self.closed_reason, self.closed.because)
            return
        try:
            self.post(entry, Patience.REFUSE)
        except MailboxFull:
            self._dead_letter(entry, Fate.MAILBOX_FULL, "the mailbox was full when its time came")

    def _drop_oldest(self) -> bool:
        """Make a dead letter of the oldest message of the longest queue; False when all are in flight."""
        longest = max(self._consumers.queues.values(), key=lambda queue: queue.queued)
        dropped = longest.drop_oldest()
        if dropped is None:
            return False
        because = "the mailbox was full, and the oldest goes"
        self._settlement.dead_letter(dropped, Fate.MAILBOX_FULL, because)
        asker, _ = self._settlement.dismiss(dropped.seq)
        if asker is not None:
            asker.failed(MailboxFull(f"{self._path} dropped the message: {because}"))
        return True

    def _dead_letter(self, entry: Entry, fate: Fate, because: str) -> None:
        """Make a dead letter of a message that was never enqueued, and has no number."""
        self._settlement.dead_letter(entry.queued(0), fate, because)
