"""ActorSends: the messages that one actor sends to others, on their way into the mailboxes.

    Send, SendMany ─▶ checked ─▶ Intake, Bulk ─▶ Taken │ Wait, then Taken │ refused
                                     └───▶ held, until what a durable actor handles is settled

The daemon reads address and type, never the content of a message. What waits for room is bounded, so no actor fills the
daemon.

Runs on the loop's thread.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeVar, cast

import msgspec

from actors.errors import (
    ActorsError,
    CallCycle,
    MailboxFull,
    NoSuchActor,
    WireError,
)
from actors.wire.attachments import EncodedMessage
from actors.wire.framing import MAX_FRAME, Carried
from actors.wire.from_child import Send, SendMany
from actors.wire.kinds import ASK, TELL
from supervisor.core.delivery.messages import tag_of
from supervisor.mailbox.intake.bulk import Part
from supervisor.mailbox.intake.entry import Dropped, Entry, Patience, Taken, Wait
from supervisor.mailbox.mailbox import Mailbox
from supervisor.mailbox.validation import Admitted
from supervisor.messaging.registry import MAX_PATH
from supervisor.messaging.remote_ask import RemoteAsk, RemoteAsks
from supervisor.messaging.remote_many import RemoteMany, post_tells
from supervisor.messaging.tracing import Tracing
from supervisor.messaging.tree_context import TreeContext
from supervisor.observe.dead_letters import DeadLetter, DeadReason

if TYPE_CHECKING:
    from supervisor.durable.mailbox import DurableMailbox
    from supervisor.durable.transaction import Sent
    from supervisor.store.writes import AcceptDeadLetter

MAX_WAITING_BYTES: Final = 2 * MAX_FRAME  # bytes of one actor's messages that wait for room in the mailboxes of others

Sends = TypeVar("Sends", Send, SendMany)


class ActorSends:
    """What one life of an actor sends.

    Args:
        path: of its process.
        mailbox: the actor's own; its path is the sender, also for a member of a pool.
        tree: the tree.
        asks: what waits in the life.
        ready: whether the life has been ready.

    Attributes:
        ready: as above.
    """

    def __init__(self, path: str, mailbox: Mailbox, tree: TreeContext, asks: RemoteAsks, *, ready: bool) -> None:
        self.ready = ready
        self._path = path
        self._mailbox = mailbox
        self._tree = tree
        self._asks = asks
        self._held: list[Sent | AcceptDeadLetter] | None = [] if mailbox.durable else None
        self._in_line = 0  # bytes that wait for room in other mailboxes

    def take_held(self) -> list[Sent | AcceptDeadLetter]:
        """What a durable actor has sent since the last call that is stored with what it has handled."""
        held, self._held = self._held or [], []
        return held

    def drop_held(self) -> None:
        """The life has ended: what it has sent belongs to messages that are not settled."""
        if self._held:
            self._held = []

    def send(self, frame: Send, attachments: Sequence[Carried] = ()) -> None:
        """Put a message of this actor into another's mailbox; attachments are passed on as they came.

        Raises:
            WireError: a correct actor would not send it.
        """
        if frame.kind != TELL and not frame.correlation:
            raise WireError("it asks without a correlation number")
        asker = RemoteAsk(self._asks, frame) if frame.correlation else None
        if self._tree.tracing is not None:
            frame = self._traced(frame, asker, self._tree.tracing)
        mailbox = None
        try:
            if asker is not None:
                self._asks.begin(asker)
            mailbox = self._tree.registry.find(frame.to)
            if frame.kind == TELL and self._keeps(mailbox):
                message = mailbox.intake.check_kept(frame.message, frame.beside, attachments, frame.trace)
            else:
                message = mailbox.intake.check_bytes(
                    frame.message, frame.kind, frame.beside, attachments, self._path, frame.trace
                )
            self._check_wait(frame, mailbox, asker)
            entered = self._post(frame, asker, mailbox, message)
            if isinstance(entered, Wait):
                self._wait_for_room(frame, asker, mailbox, entered, message)
            elif asker is not None:
                self._entered(frame, asker, mailbox, entered)
        except WireError:
            raise
        except ActorsError as error:
            if mailbox is None and asker is None and len(frame.to) <= MAX_PATH:
                error = self._hold_unsent(frame, attachments, error)
            self._refuse(frame, asker, error, mailbox)

    def send_many(self, frame: SendMany) -> None:
        """Put the messages of one call of this actor into another's mailbox.

        Raises:
            WireError: a correct actor would not send it.
        """
        asker = RemoteAsk(self._asks, frame)
        if self._tree.tracing is not None:
            frame = self._traced(frame, asker, self._tree.tracing)
        try:
            self._asks.begin(asker)
            mailbox = self._tree.registry.find(frame.to)
            parts = mailbox.bulk.check_bytes(frame.messages, frame.kind, self._path, frame.trace, frame.first)
            self._check_wait(frame, mailbox, asker)
            size = memoryview(frame.messages).nbytes
            self._check_in_line(size)
        except WireError:
            raise
        except ActorsError as error:
            asker.failed(error)
            return
        if frame.kind == TELL and self._keeps(mailbox):
            self._hold(cast("DurableMailbox", mailbox), parts)
            asker.accepted()
            return
        self._in_line += size

        async def enter() -> None:
            try:
                if frame.kind == TELL:
                    await post_tells(asker, mailbox, parts, self._mailbox.path)
                else:
                    await RemoteMany(asker, mailbox, parts).post(frame, self._mailbox.path)
            finally:
                self._in_line -= size

        self._tree.keep(enter())

    def _keeps(self, mailbox: Mailbox) -> bool:
        """Whether tells to another actor are stored with what this one has handled, also while the other is down."""
        return self._held is not None and mailbox.durable

    def _traced(self, frame: Sends, asker: RemoteAsk | None, tracing: Tracing) -> Sends:
        """The frame in the trace context of its own sending, whose span ends with what its sender waits for."""
        sending = tracing.sent(frame, self._mailbox.path)
        if sending is None:
            return frame
        if asker is None:
            sending.end(None)
        else:
            asker.ended = sending.end
        return msgspec.structs.replace(frame, trace=sending.trace)

    def _hold(self, mailbox: DurableMailbox, parts: list[Part]) -> None:
        """Keep tells to a durable actor until what this one handles is settled; there each enters by itself."""
        assert self._held is not None  # noqa: S101 - as was checked
        for _, message in mailbox.bulk.singles(parts):
            self._held.append(mailbox.sent(Entry(TELL, message, self._mailbox.path), None))

    def _hold_unsent(self, frame: Send, attachments: Sequence[Carried], error: ActorsError) -> ActorsError:
        """Keep a durable actor's tell to a name that nobody has, as a dead letter; returns why it is one, at last."""
        if self._held is not None:
            try:
                self._held.append(cast("DurableMailbox", self._mailbox).unsent(frame, attachments, str(error)))
            except ActorsError as unread:
                return NoSuchActor(f"{error}; nor can it be kept: {unread}")
        return error

    def _post(
        self, frame: Send, asker: RemoteAsk | None, mailbox: Mailbox, message: Admitted
    ) -> Taken | Wait | Dropped | None:
        """Post a checked message; None when it is delayed, or held until what the actor handles is settled."""
        sender = self._mailbox.path
        mailbox.intake.check_key(frame.key)
        if self._held is not None and frame.kind == TELL and frame.key is None and mailbox.durable:
            due = time.time() + frame.delay if frame.delay > 0 else None
            self._held.append(cast("DurableMailbox", mailbox).sent(Entry(TELL, message, sender), due))
            return None
        if frame.delay > 0:
            return mailbox.intake.post_later(frame.delay, message, sender, frame.key)
        asks = None if frame.kind == TELL else asker
        entry = Entry(frame.kind, message, sender, frame.deadline, asks, frame.fail_if_down, frame.key)
        return mailbox.intake.post(entry, Patience.REFUSE if asker is None else Patience.WAIT)

    def _entered(self, frame: Send, asker: RemoteAsk, mailbox: Mailbox, entered: Taken | Dropped | None) -> None:
        """A message of this actor is in another's mailbox, or has ended there."""
        if frame.kind == TELL or not isinstance(entered, Taken):
            asker.accepted()
            return
        seq = entered.seq
        asker.withdraw = lambda: mailbox.withdraw(seq, frame.deadline)
        asker.credit = lambda count: mailbox.dispatcher.credit(seq, count)

    def _wait_for_room(
        self, frame: Send, asker: RemoteAsk | None, mailbox: Mailbox, wait: Wait, message: Admitted
    ) -> None:
        """Wait for room in a task.

        Raises:
            MailboxFull: too many bytes of this actor wait.
        """
        size = message.packed.size
        try:
            self._check_in_line(size)
        except MailboxFull:
            wait.cancel()
            raise
        self._in_line += size
        if asker is not None:
            asker.withdraw = wait.cancel

        async def enter() -> None:
            try:
                entered = await wait.taken(frame.deadline)
            except TimeoutError as late:
                self._refuse(frame, asker, mailbox.not_taken(message.name, None, late), mailbox)
            except ActorsError as error:
                self._refuse(frame, asker, error, mailbox)
            else:
                if asker is not None:
                    self._entered(frame, asker, mailbox, entered)
            finally:
                self._in_line -= size

        self._tree.keep(enter())

    def _check_in_line(self, size: int) -> None:
        """Check that so many bytes more of this actor may wait for room.

        Raises:
            MailboxFull: too many wait.
        """
        if self._in_line + size > MAX_WAITING_BYTES:
            raise MailboxFull(
                f"{self._in_line} bytes of {self._path} wait for room elsewhere; send more when they have gone"
            )

    def _check_wait(self, frame: Send | SendMany, mailbox: Mailbox, asker: RemoteAsk | None) -> None:
        """Check whether the actor may wait for the other now."""
        if frame.kind == ASK and frame.fail_if_down and mailbox.consumers.down:
            raise mailbox.unserved_error()
        if frame.kind != TELL and not self.ready:
            self._check_order(mailbox)
        if frame.blocking and mailbox.sequential:
            self._begin_wait(mailbox.path, asker)

    def _check_order(self, mailbox: Mailbox) -> None:
        """Check that an actor that is not ready waits for none that waits for it."""
        if mailbox is self._mailbox and mailbox.consumers.down:
            raise CallCycle(f"{self._path} asks itself before it is ready; do this in a handler, or by a tell")
        if not mailbox.begun:
            raise CallCycle(
                f"{mailbox.path} is not started yet: its start comes after that of {self._path}, which is not ready. "
                f"Put it before {self._path} in the spec, or ask it in a handler"
            )

    def _begin_wait(self, target: str, asker: RemoteAsk | None) -> None:
        cycle = self._tree.waits.cycle(self._mailbox.path, target)
        if cycle is not None:
            raise CallCycle(f"a cycle of asks: {' waits for '.join(cycle)}; no answer would ever come")
        if asker is not None:
            waiter = self._mailbox.path
            self._tree.waits.begin(waiter, target)
            asker.over = lambda: self._tree.waits.end(waiter, target)

    def _refuse(self, frame: Send, asker: RemoteAsk | None, error: ActorsError, mailbox: Mailbox | None) -> None:
        if asker is not None and (frame.kind != TELL or asker.heard):
            asker.failed(error)
        elif mailbox is not None:  # nobody else hears of it
            fate = mailbox.intake.fate_of(error)
            mailbox.intake.refuse(EncodedMessage(bytes(frame.message)), self._mailbox.path, fate, str(error))
        else:
            self._dead_letter(frame, error)

    def _dead_letter(self, frame: Send, error: ActorsError) -> None:
        self._tree.reports.message_dead_lettered(
            DeadLetter(
                actor=frame.to[:MAX_PATH],
                message=None,
                message_type=tag_of(bytes(frame.message)),
                sender=self._mailbox.path,
                reason=DeadReason.NO_SUCH_ACTOR if isinstance(error, NoSuchActor) else DeadReason.UNDECODABLE,
                detail=str(error),
                deliveries=0,
            )
        )
