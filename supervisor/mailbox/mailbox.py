"""Mailbox: one actor's messages, from the sender's call to their fate; it outlives every life of the actor.

    try_tell, try_ask: fast path ────────┐
    check ─▶ wait_for_capacity, enqueue ─┴▶ MessageQueue ─▶ dispatch ─▶ Delivery.post ─▶ process
                                                 ▲                                      │
    asker, fates, dead letters ◀─ Settlement ◀───┴────────── on_outcomes, lost ◀────────┘

Each message ends with one fate, and each asker gets one result.

Runs on the loop's thread; nothing here blocks.
"""

from __future__ import annotations

import time
from asyncio import _get_running_loop  # the public one raises where there is none
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import partial
from heapq import merge
from threading import get_ident
from typing import Any, Final, cast

import msgspec

from actors.bounds import MOST_SECONDS
from actors.errors import (
    ActorCrashed,
    ActorStopped,
    MailboxFull,
    UsageError,
)
from actors.exits import ExitReport
from actors.messages import Message, Terminated
from actors.protocol import ActorProtocol
from actors.ref import ActorRef
from actors.wire.attachments import EncodedMessage, bytes_fields
from actors.wire.codec import RESOLVE, ReplyCodec, encode
from actors.wire.frames import ASK, TELL, Outcomes
from actors.wire.framing import Attachment
from actors.wire.progress import Progress
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.messages import Classes, QueuedMessage, SequenceNumbers
from supervisor.core.delivery.outcomes import Held, unanswered, unserved
from supervisor.core.delivery.queue import MessageQueue
from supervisor.core.delivery.routing import Router
from supervisor.core.tree.commands import Decision
from supervisor.loop_affinity import Home
from supervisor.mailbox.askers import Asker, PendingAsk
from supervisor.mailbox.capacity import SendWaiters, Slot
from supervisor.mailbox.pool import PoolMembers
from supervisor.mailbox.recall import Recall
from supervisor.mailbox.settlement import Settlement
from supervisor.mailbox.timers import Deadlines, DelayedTells
from supervisor.mailbox.validation import Admission, Admitted
from supervisor.observe.dead_letters import DeadLetter
from supervisor.ports import Delivery
from supervisor.specs import Overflow

WINDOW: Final = 4096  # messages in flight to a life: enough while an acknowledgement travels
WINDOW_BYTES: Final = 256 * 1024  # bytes in one batch
SMALL: Final = 1024  # bytes; a larger message is checked by itself
WATCHED: Final = 10_000  # ends of watched actors that may wait in a full mailbox: about one for each in a large tree
ASK_BATCH: Final = 24  # asks that are sent together: enough to share a system call, and the actor begins meanwhile
TELL_BATCH: Final = 512  # messages after which a sender that never yields to the loop pays for a batch itself


class Entry(Enum):
    """What happens to a message at a full mailbox."""

    OPEN = "open"  # there is room now
    WAIT = "wait"  # there will be room
    DROPPED = "dropped"  # it is a dead letter


class Mailbox:
    """The messages of one actor, or of one pool.

    Args:
        path: the actor's path.
        protocol: what it handles.
        capacity: how many messages may wait.
        capacity_bytes: how many bytes of messages may wait, None without a bound.
        overflow: what happens to one message more.
        max_message_bytes: the most bytes a message may have.
        max_deliveries: how often an idempotent message may be begun.
        members: names of the processes that serve it.
        router: chooses the member for a message.
        on_dead_letter: called with each dead letter.
        resolve: makes a ref of a path that arrives in a message or a reply.
        stop_reason: the fate of messages when the actor stops now.
    """

    def __init__(
        self,
        path: str,
        protocol: ActorProtocol,
        *,
        capacity: int,
        capacity_bytes: int | None,
        overflow: Overflow,
        max_message_bytes: int,
        max_deliveries: int,
        members: Sequence[str],
        router: Router,
        on_dead_letter: Callable[[DeadLetter], None],
        resolve: Callable[[str], ActorRef],
        stop_reason: Callable[[], Fate] = lambda: Fate.ACTOR_STOPPED,
    ) -> None:
        self.path = path
        self.protocol = protocol
        self._admission = Admission(path, protocol, max_message_bytes, router)
        self._any_flows = any(handler.flows for handler in protocol.handlers.values())
        self._plain = {  # messages that are all in their bytes, with nothing that flows or travels beside them
            message: (handler.index, self.reader_of(handler.reply))
            for message, handler in protocol.handlers.items()
            if not handler.flows and not bytes_fields(message)
        }
        self._small = min(SMALL, max_message_bytes)
        self._check: Final = protocol.check
        self.closed: str | None = None  # why, once it is
        self.closed_reason = Fate.ACTOR_STOPPED
        self.home = Home()
        self._loop = self.home.loop
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._plenty = capacity if capacity_bytes is None else 0  # below so many messages there surely is room
        self._overflow = overflow
        # what is in flight cannot be dropped any more
        self._window = WINDOW if overflow is not Overflow.DROP_OLDEST else max(1, min(WINDOW, capacity // 2))
        self._resolve = resolve
        self._stop_reason = stop_reason
        self._watchers: dict[object, Callable[[Terminated], None]] = {}
        self._delayed = DelayedTells(self.home.loop, self._due)
        self._settlement = Settlement(path, protocol, self._read, stop_reason, on_dead_letter)
        self._askers = self._settlement.askers
        self._deadlines = Deadlines(self._loop, self._askers, self._expire)
        numbers, weighed = SequenceNumbers(), capacity_bytes is not None
        new_queue = partial(MessageQueue, _classes_of(protocol), max_deliveries, numbers, weighed=weighed)
        self._members = PoolMembers(router, new_queue, protocol.actor.concurrency, self._loop.time)
        self._recall = Recall(self._loop, self._members, protocol.actor.concurrency, self.dispatch)
        self._fresh: list[bytes] = []  # those of the queue that all members share
        self._fast_slots = 0  # messages that may be accepted before the next check for room
        self._line = SendWaiters(self._loop, self._wake)  # who waits for room
        self._dispatch_due = False
        self._undispatched = 0  # messages accepted since the last dispatch
        self._last_report: ExitReport | None = None
        for member in members:
            self.add_member(member)

    # ---- senders

    def try_tell(self, message: Message[Any]) -> bool:
        """Fast path of tell: enqueue without an envelope. False: use the checked path.

        No number is given and no room is checked for a single message.
        """
        slots = self._fast_slots
        if slots <= 0 or type(message) not in self._plain or get_ident() != self.home.thread:
            return False
        try:
            data = encode(message)
            self._check(data)
        except Exception:
            return False  # the checked path says what is wrong with it
        if len(data) > self._small or (not self._dispatch_due and _get_running_loop() is not self._loop):
            return False
        self._fast_slots = slots - 1
        self._fresh.append(data)
        if slots == 1:
            self.dispatch()  # a full batch; a sender that never yields to the loop pays for it itself
        elif not self._dispatch_due:
            self._dispatch_soon()
        return True

    def try_ask(self, message: Message[Any], timeout: float | None) -> PendingAsk | None:
        """Fast path of ask. None: use the checked path."""
        slots, shared_queue = self._fast_slots, self._members.shared_queue
        plain = self._plain.get(type(message))
        if slots <= 0 or plain is None or shared_queue is None or _get_running_loop() is not self._loop:
            return None
        try:
            data = encode(message)
            self._check(data)
            if len(data) > self._small or not (timeout is None or 0 <= timeout <= MOST_SECONDS):  # NaN is not, either
                return None
        except Exception:
            return None
        self._fast_slots = slots - 1
        deadline = None if timeout is None else time.monotonic() + timeout
        handler, read = plain
        asker = PendingAsk(self._loop.create_future(), read, self.path, type(message).__qualname__, timeout)
        consumer, posted = self._members.single_consumer, None
        if consumer is not None and not shared_queue.unsettled and not consumer.life.congested:
            posted = shared_queue.send_now(
                consumer.name, ASK, handler, deadline, data
            )  # nothing else is in progress: send at once
            seq = posted.seq
        else:
            seq = shared_queue.enqueue(ASK, handler, None, deadline, data)
        asker.seq = seq
        self._askers[seq] = asker, shared_queue
        if deadline is not None:
            self._deadlines.add(deadline, seq)
        if posted is not None and consumer is not None:
            consumer.life.post([posted])
            return asker
        self._undispatched += 1
        if slots == 1 or self._undispatched == ASK_BATCH:
            self.dispatch()
        elif not self._dispatch_due:
            self._dispatch_due = True
            self._loop.call_soon(self.dispatch)
        return asker

    def ask(self, message: Admitted, timeout: float | None, *, fail_if_down: bool) -> PendingAsk:
        """Enqueue a checked ask of the daemon. The caller has made sure of room."""
        deadline = None if timeout is None else time.monotonic() + timeout
        read = self.reader_of(message.handler.reply)
        asker = PendingAsk(self._loop.create_future(), read, self.path, message.name, timeout)
        asker.seq = self.enqueue(ASK, message, deadline=deadline, asker=asker, fail_if_down=fail_if_down)
        if deadline is not None:
            self._deadlines.add(deadline, asker.seq)
        return asker

    def reader_of(self, codec: ReplyCodec) -> Callable[[msgspec.Raw], Any]:
        """A decoder of replies; refs in them are bound to this tree."""
        return partial(self.decode, codec.read) if codec.refers else codec.read

    def check_bytes(
        self, payload: msgspec.Raw, kind: int, beside: tuple[int, ...] | None, attachments: Sequence[Attachment]
    ) -> Admitted:
        """Check an encoded message of another actor; see `Admission.check_bytes`.

        Raises:
            ActorStopped: the actor is down for good.
            UsageError, WireError: as there.
        """
        if self.closed is not None:
            raise ActorStopped(f"{self.path} is down for good ({self.closed}); the message was not sent")
        return self._admission.check_bytes(payload, kind, beside, attachments)

    def check(self, message: Message[Any], kind: int = TELL) -> Admitted:
        """Check a message of the daemon; see `Admission.check`.

        Raises:
            UsageError: as there, or the caller is on another loop, thread or process than the tree's.
            ActorStopped: the actor is down for good.
        """
        if self.closed is None:
            self.home.check(f"the ref of {self.path}")
        admitted = self._admission.check(message, kind)
        if self.closed is not None:
            raise ActorStopped(f"{self.path} is down for good ({self.closed}); {admitted.name} was not sent")
        return admitted

    @property
    def fates(self) -> Counter[Fate]:
        """How many messages ended in which way."""
        return self._settlement.fates

    @property
    def full(self) -> bool:
        """Whether a new message must wait: there is no room, or senders wait for it."""
        shared_queue = self._members.shared_queue
        if shared_queue is not None and shared_queue.unsettled < self._plenty and not self._line.busy:
            return False  # the common case
        if self._line.slots:
            self._wake()
        return self._line.busy or self._free() <= 0

    @property
    def depth(self) -> int:
        """How many messages wait or are being handled."""
        shared_queue = self._members.shared_queue
        return shared_queue.unsettled if shared_queue is not None else sum(queue.unsettled for queue in self._queues)

    @property
    def overfull(self) -> bool:
        """Whether far more messages wait than the capacity.

        Notices of its own watches need no room, but are bounded.
        """
        return self.depth > self._capacity + WATCHED

    @property
    def sequential(self) -> bool:
        """Whether one running message blocks all that follow: one process, one handler at a time."""
        return len(self._members.names) == 1 and self.protocol.actor.concurrency == 1

    @property
    def down(self) -> bool:
        """Whether no life serves it now."""
        return self._members.down

    @property
    def complete(self) -> bool:
        """Whether every member is served."""
        return len(self._members.served) == len(self._members.names)

    def awaits(self, member: str) -> bool:
        """Whether messages are in flight to a member's life."""
        return member in self._members.served and self._members.queue_of(member).in_flight(member) > 0

    def waits_for(self, member: str) -> bool:
        """Whether a message waits for a member, or is in flight to its life."""
        queue = self._members.queue_of(member)
        return queue.queued + queue.in_flight(member) > 0

    def handled(self, member: str) -> int:
        """How many messages of a member's life have ended."""
        return self._members.queue_of(member).handled(member)

    def flowing(self, member: str) -> bool:
        """Whether a stream or a feed is in flight to a member's life."""
        return self._any_flows and self._members.queue_of(member).flowing(member)

    def enqueue(
        self,
        kind: int,
        message: Admitted,
        *,
        sender: str | None = None,
        deadline: float | None = None,
        asker: Asker | None = None,
        fail_if_down: bool = False,
    ) -> int:
        """Enqueue a checked message; returns its sequence number. The caller has made sure of room."""
        packed, key = message.packed, message.key
        queue = self._members.queue_for(key)
        seq = queue.enqueue(
            kind,
            message.handler.index,
            sender,
            deadline,
            packed.data,
            beside=packed.beside,
            attachments=packed.attachments,
            key=key,
        )
        if asker is not None:
            self._askers[seq] = asker, queue
            if fail_if_down:
                self._settlement.fail_if_down.add(seq)
        self._undispatched += 1
        if (
            self._undispatched == TELL_BATCH or queue.unsettled == 1
        ):  # a full batch; or nothing else is in progress that could be waited for
            self.dispatch()
        else:
            if not self._dispatch_due:
                self._dispatch_due = True
                self._loop.call_soon(self.dispatch)
            if self._fast_slots <= 0:
                self._look_ahead()  # what was in the way may be gone
        return seq

    def enqueue_own(self, message: Message[Any], sender: str) -> None:
        """Enqueue a tell that the daemon itself makes; it needs no room."""
        self.enqueue(TELL, self._admission.own(message), sender=sender)

    def _dispatch_soon(self) -> None:
        """Dispatch at the end of this turn of the loop; at once when nothing else is in progress."""
        shared_queue = self._members.shared_queue
        if shared_queue is not None and shared_queue.unsettled == 1:
            self.dispatch()
        else:
            self._dispatch_due = True
            self._loop.call_soon(self.dispatch)

    def take_published(self, payload: bytes, sender: str | None) -> None:
        """Enqueue a published message if there is room and it fits; else it becomes a dead letter."""
        try:
            message = self.check_bytes(msgspec.Raw(payload), TELL, None, ())
        except UsageError as error:
            self.refuse(EncodedMessage(payload), sender, Fate.UNDECODABLE, str(error))
            return
        if self.full:
            because = "the mailbox was full when it was published"
            self._settlement.dead_letter(_loose(TELL, message, sender), Fate.MAILBOX_FULL, because)
        else:
            self.enqueue(TELL, message, sender=sender)

    def enqueue_later(self, delay: float, message: Admitted, sender: str | None = None) -> None:
        """Enqueue a checked message in `delay` seconds; if that is not possible then, it becomes a dead letter.

        Raises:
            MailboxFull: as many delayed messages wait as the mailbox holds.
        """
        if len(self._delayed) >= self._capacity:
            raise MailboxFull(
                f"{len(self._delayed)} delayed messages for {self.path} wait for their time, as many as its mailbox "
                f"holds; {message.name} was not sent. Raise `mailbox=` in its ChildSpec, or send it when it is due"
            )
        self._delayed.add(delay, message, sender)

    def _due(self, message: Admitted, sender: str | None) -> None:
        """A delayed tell is due."""
        if self.closed is not None:
            self._settlement.dead_letter(_loose(TELL, message, sender), self.closed_reason, self.closed)
        elif not self.full or (self._overflow is Overflow.DROP_OLDEST and self._drop_oldest()):
            self.enqueue(TELL, message, sender=sender)
        else:
            because = "the mailbox was full when its time came"
            self._settlement.dead_letter(_loose(TELL, message, sender), Fate.MAILBOX_FULL, because)

    def when_full(self, kind: int, message: Admitted, sender: str | None = None, *, patient: bool) -> Entry:
        """What a full mailbox does with a message: wait for room, take it, or drop it; see `Overflow`.

        Raises:
            MailboxFull: the message is refused.
        """
        if self._overflow is Overflow.DROP_OLDEST:
            while self._drop_oldest():
                if self._free() > 0:
                    return Entry.OPEN
            if patient:
                return Entry.WAIT
        elif self._overflow is Overflow.DROP_NEWEST:
            because = "the mailbox was full, and the newest goes"
            self._settlement.dead_letter(_loose(kind, message, sender), Fate.MAILBOX_FULL, because)
            if kind == TELL:
                return Entry.DROPPED
        elif self._overflow is Overflow.WAIT and patient:
            return Entry.WAIT
        raise MailboxFull(
            f"{self.path} has {self.depth} messages waiting, as many as its mailbox holds; {message.name} was not "
            f"sent. Wait with `await ref.tell(...)`, or raise `mailbox=` in its ChildSpec"
        )

    def _drop_oldest(self) -> bool:
        longest = max(self._queues, key=lambda queue: queue.queued)
        dropped = longest.drop_oldest()
        if dropped is None:
            return False
        because = "the mailbox was full, and the oldest goes"
        self._settlement.dead_letter(dropped, Fate.MAILBOX_FULL, because)
        asker, _ = self._settlement.dismiss(dropped.seq)
        if asker is not None:
            asker.failed(MailboxFull(f"{self.path} dropped the message: {because}"))
        return True

    async def wait_for_capacity(
        self,
        kind: int,
        message: Admitted,
        sender: str | None = None,
        until: float | None = None,
    ) -> bool:
        """Wait until a message may be enqueued, until `until` on the loop's clock; False when it was dropped.

        Raises:
            MailboxFull: the message is refused.
            TimeoutError: there was no room in time.
            ActorStopped: the actor went down for good meanwhile.
        """
        if not self.full:
            return True
        entry = self.when_full(kind, message, sender, patient=True)
        if entry is Entry.WAIT:
            await self.room(message, until)
        return entry is not Entry.DROPPED

    def line_up(self) -> Slot:
        """A waiter at the end of the queue for room; cancelling it leaves the queue."""
        self._fast_slots = 0  # no message overtakes
        return self._line.join()

    async def room(self, message: Admitted, deadline: float | None = None, place: Slot | None = None) -> None:
        """Wait until there is room, until `deadline` on the loop's clock at most; in the order of arrival.

        Raises:
            TimeoutError: none in time.
            ActorStopped: the actor went down for good meanwhile.
        """
        await self._line.wait(place or self.line_up(), deadline)
        if self.closed is not None:
            raise ActorStopped(f"{self.path} is down for good ({self.closed}); {message.name} was not sent")

    def return_slot(self) -> None:
        """A granted slot is not used: the next waiter gets it."""
        self._wake()

    def refuse(self, packed: EncodedMessage, sender: str | None, fate: Fate, detail: str) -> None:
        """Make a dead letter of bytes whose sender does not wait for an answer."""
        packed_as = (msgspec.Raw(packed.data), packed.beside, packed.attachments)
        self._settlement.dead_letter(QueuedMessage(0, TELL, sender, None, *packed_as), fate, detail)

    def withdraw(self, seq: int, fate: Fate = Fate.CANCELLED) -> tuple[str, int] | None:
        """The asker no longer waits: a message that has not begun will not begin.

        Returns the member that has it in flight and its delivery tag there; None when it was still queued.
        """
        if self.home.forked:  # the fork's loop cancels inherited tasks
            return None
        _, queue = self._settlement.dismiss(seq)
        if queue is None:
            return None
        held = queue.cancel_message(seq, fate)
        if held is None:
            self._settlement.count(fate)
            self._wake()
            return None
        member, delivery_tag = held
        if member in self._members.served:
            self._members.served[member].cancel([delivery_tag])
        return held

    def _expire(self, seq: int) -> None:
        """An ask was not answered in time."""
        asker, _ = self._askers[seq]
        held = self.withdraw(seq, Fate.EXPIRED)
        if isinstance(asker, PendingAsk):
            asker.failed(unanswered(self.path, asker.name, asker.timeout, self._at_work(held)))

    def _at_work(self, held: tuple[str, int] | None) -> Held:
        """What the actor does now; `held` is the member that has an ask in flight, and the ask's delivery tag there."""
        served = self._members.served
        lives = [served[held[0]]] if held is not None and held[0] in served else list(served.values())
        doing = [life.progress() for life in lives]
        started = held is not None and held[0] in served and held[1] <= doing[0].begun
        busy = min((one for one in doing if one.active), key=lambda one: one.since, default=None)
        return Held(
            started=started,
            finished=held is not None and started and held[1] not in doing[0].active,
            handler=None if busy is None else self._class_name(busy.handler),
            running=None if busy is None or len(busy.active) > 1 else (time.monotonic_ns() - busy.since) / 1e9,
            down=not served,
            others=self.depth - (held is not None),
        )

    def _class_name(self, handler: int) -> str:
        """Name of the message class of a handler; the index comes from the process and may be any number."""
        names = [message.__qualname__ for message in self.protocol.handlers]
        return names[handler] if 0 <= handler < len(names) else "a message"

    def unserved_error(self) -> ActorCrashed:
        """The error of an ask that does not wait for an actor that is down."""
        return unserved(self.path, self._last_report)

    def decode(self, decode: Callable[[msgspec.Raw], Any], data: msgspec.Raw) -> Any:
        """Decode bytes of an actor; refs in them are bound to this tree."""
        token = RESOLVE.set(self._resolve)
        try:
            return decode(data)
        finally:
            RESOLVE.reset(token)

    def watch(self, who: object, told: Callable[[Terminated], None]) -> None:
        """Call `told` when the actor is down for good, at once when it already is; once for each `who`."""
        if self.closed is not None:
            told(Terminated(self.path, self.closed))
        else:
            self._watchers[who] = told

    def unwatch(self, who: object) -> None:
        """Do not call it."""
        self._watchers.pop(who, None)

    # ---- members and their lives

    def add_member(self, member: str) -> None:
        """Add a process that serves it."""
        self._members.add(member)
        if self._members.shared_queue is not None:
            self._fresh = self._members.shared_queue.fresh

    def remove_member(self, member: str) -> None:
        """Remove a process that is down, while others serve; what waited for it goes to them."""
        for seq, queue in self._members.remove(member):
            self._settlement.moved(seq, queue)
        self._dispatch_after_turn()

    def connect(self, member: str, life: Delivery) -> None:
        """A member's life gets messages from now on."""
        self._members.connect(member, life)
        self.dispatch()

    def on_outcomes(self, member: str, frame: Outcomes, attachments: Sequence[Attachment] = ()) -> None:
        """A member's life reports how messages ended; attachments are the replies of some, in that order.

        Raises:
            WireError: it reports messages it was never given, or acknowledges an ask without an answer.
        """
        queue = self._members.shared_queue or self._members.queue_of(member)
        pool = len(self._members.names) > 1
        had = queue.in_flight(member) if pool else 0
        self._settlement.on_outcomes(queue, member, frame, attachments)
        if pool:
            self._members.measure(member, had - queue.in_flight(member))
        if self._line.slots:
            self._wake()
        if queue.queued:
            self.dispatch()
        elif self._fast_slots <= 0:
            self._look_ahead()

    def credit(self, seq: int, count: int) -> None:
        """The reader of a stream takes more items."""
        held = self._holder(seq)
        if held is not None:
            life, delivery_tag = held
            life.credit(delivery_tag, count)

    def follow(self, seq: int, items: list[bytes], *, over: bool) -> None:
        """Send items that follow a message that has begun."""
        held = self._holder(seq)
        if held is not None:
            life, delivery_tag = held
            life.follow(delivery_tag, items, over=over)

    def _holder(self, seq: int) -> tuple[Delivery, int] | None:
        _, queue = self._askers.get(seq, (None, None))
        held = None if queue is None else queue.holder(seq)
        if held is None or held[0] not in self._members.served:
            return None
        return self._members.served[held[0]], held[1]

    def disconnect(self, member: str) -> None:
        """A member's life gets no more messages."""
        self._members.disconnect(member)

    def make_room(self, member: str) -> None:
        """A member's life is not to be served any more, and the next one follows at once: the actor is not down."""
        self._members.make_room(member)

    def deliveries(self, member: str, progress: Progress) -> int | None:
        """How often the message that a life is handling (the first, if several) has been begun, this time included."""
        queue = self._members.queue_of(member)
        delivery_tag = min(progress.active, default=None)
        if delivery_tag is None:
            return None
        posted = queue.held(member, delivery_tag)
        return queue.deliveries(delivery_tag if posted is None else posted.seq) + 1  # in a batch it is the number

    def lost(self, member: str, progress: Progress, report: ExitReport) -> None:
        """A life has ended: everything in flight to it gets its fate; what may be begun again goes to the next life."""
        self._members.disconnect(member)
        if report.decision != Decision.RECYCLE:
            self._members.expect_none(member)
        self._last_report = report
        for loss in self._members.queue_of(member).lose(member, progress):
            self._settlement.lost(loss, report)
        if self.down:
            for seq in sorted(self._settlement.fail_if_down):
                asker, _ = self._askers[seq]
                self.withdraw(seq, Fate.FAILED_WHEN_DOWN)
                asker.failed(self.unserved_error())
        self._wake()
        self._dispatch_after_turn()

    def close(self, because: str) -> None:
        """The actor is down for good.

        What waits becomes dead letters, and every asker and waiting sender gets an error.
        """
        self.closed = because
        self.closed_reason = self._stop_reason()
        self._members.expect_none(*self._members.names)
        self._fast_slots = 0
        self._settlement.fail_if_down.clear()
        for posted in merge(*(queue.drain() for queue in self._queues), key=lambda posted: posted.seq):
            self._settlement.dead_letter(posted, self.closed_reason, because)
            asker, _ = self._settlement.dismiss(posted.seq)
            if asker is not None:
                asker.failed(ActorStopped(f"{self.path} is down for good ({because}); the message had not begun"))
        self._wake()
        watchers, self._watchers = self._watchers, {}
        for told in watchers.values():
            told(Terminated(self.path, because))

    def shut_down(self) -> None:
        """The tree has ended: delayed messages become dead letters."""
        self._drop_timers(Fate.SHUTDOWN, "its supervisor ended before its time came")

    def forget(self) -> None:
        """The actor's spec is deleted: delayed messages become dead letters."""
        self._drop_timers(self._stop_reason(), "its actor was forgotten before its time came")

    def _drop_timers(self, fate: Fate, because: str) -> None:
        """Cancel all timers on the loop."""
        self._deadlines.close()
        self._recall.close()
        for message, sender in self._delayed.drain():
            self._settlement.dead_letter(_loose(TELL, message, sender), fate, because)

    def open(self) -> None:
        """The actor is started again after it was down for good."""
        self.closed = None

    # ---- inside

    def dispatch(self) -> None:
        """Send the lives what they can take; in a pool one message at a time, to the least loaded."""
        if self.home.thread < 0:  # a fork: inherited messages are the daemon's to send
            return
        self._dispatch_due = False
        self._undispatched = 0
        consumer = self._members.single_consumer
        if consumer is not None:
            self._fill(*consumer)
        elif len(self._members.names) > 1:
            for queue, member, life in self._members.takers():
                self._give(queue, member, life, 1)
            self._recall.watch()
        self._look_ahead()

    def _dispatch_after_turn(self) -> None:
        """Dispatch at the end of this turn of the loop, when everything that its supervisor decided has been done.

        A message that comes back or moves is not given to a member that the same decision stops.
        """
        if not self._dispatch_due:
            self._dispatch_due = True
            self._loop.call_soon(self.dispatch)

    def _fill(self, queue: MessageQueue, member: str, life: Delivery) -> None:
        """Send the single life as much as its window takes."""
        while queue.queued and not life.congested:
            room = self._window - queue.in_flight(member)
            if room <= 0:
                return
            run = queue.take_run(member, room)
            if run is not None:
                life.post_run(run)
            else:
                self._give(queue, member, life, room)

    def _look_ahead(self) -> None:
        """Compute how many messages may be accepted without another check."""
        shared_queue, line = self._members.shared_queue, self._line
        if (
            shared_queue is None
            or self.closed is not None
            or self._capacity_bytes is not None
            or line.slots
            or line.granted
        ):
            self._fast_slots = 0
        else:
            self._fast_slots = min(TELL_BATCH, self._capacity - shared_queue.unsettled)

    def _give(self, queue: MessageQueue, member: str, life: Delivery, most: int) -> None:
        """Send a batch to a life."""
        batch, expired = queue.take(member, most, WINDOW_BYTES, time.monotonic())
        if batch:
            life.post(batch)
        for posted in expired:
            self._settlement.expired(posted)

    @property
    def _queues(self) -> Iterable[MessageQueue]:
        return self._members.queues.values()

    def _read(self, message: msgspec.Raw) -> Message[Any]:
        read: Message[Any] = self.decode(self.protocol.decode, message)
        return read

    def _wake(self) -> None:
        """Grant free slots to the first waiters; when the actor is down for good, wake all of them."""
        self._line.grant(len(self._line.slots) if self.closed is not None else self._free())

    def _free(self) -> int:
        """How many more messages may wait; one that a handler has begun does not wait."""
        most = self._capacity_bytes
        if most is not None and sum(queue.bytes for queue in self._queues) >= most:
            return 0
        free = self._capacity - self.depth - self._line.granted
        if free <= 0:
            free += sum(len(life.progress().active) for life in self._members.served.values())
        return free


def _classes_of(protocol: ActorProtocol) -> Classes:
    tags = {message.__struct_config__.tag: handler.index for message, handler in protocol.handlers.items()}
    return Classes(cast("dict[str | int, int]", tags), [message.idempotent for message in protocol.handlers])


def _loose(kind: int, message: Admitted, sender: str | None) -> QueuedMessage:
    """A message that was never enqueued, and has no number."""
    packed = message.packed
    return QueuedMessage(
        0,
        kind,
        sender,
        None,
        msgspec.Raw(packed.data),
        packed.beside,
        packed.attachments,
        message.handler.index,
    )
