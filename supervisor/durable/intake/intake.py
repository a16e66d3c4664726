"""DurableIntake: the door into a durable mailbox: a message is stored, then it enters the queue.

    try_store: StoringTells ─┐
    post: Storing ───────────┴─▶ StoredMailbox ─▶ entered ─▶ in the queue, while its window has room │ only in the store
                                                                ▲                                         │
                                                                └────────── refill, in order ─────────────┘

The window is what the spec calls `mailbox`. A durable mailbox is never full.

Runs on the loop's thread; nothing here blocks.
"""

from __future__ import annotations

import asyncio
import threading
import time
from asyncio import _get_running_loop  # the public one raises where there is none
from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Final

import msgspec

from actors.errors import ActorCrashed, ActorStopped, UsageError
from actors.messages import Message
from actors.protocol.protocol import Handler
from actors.ref import check_key
from actors.wire.attachments import none_large
from actors.wire.codec import encode
from actors.wire.errors import encode_error
from actors.wire.kinds import ASK, TELL
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.messages import UNKNOWN, Batch, QueuedMessage
from supervisor.core.delivery.parcel import Parcel
from supervisor.core.delivery.queue import MessageQueue, QueuedTells
from supervisor.core.rules.down import is_down
from supervisor.durable.asks import DurableAsk, HeldAsk
from supervisor.durable.intake.beyond import Beyond
from supervisor.durable.intake.keys import Keys
from supervisor.durable.rows import beside_of, is_plain, restored, runs
from supervisor.durable.stored import StoredMailbox, until_settled
from supervisor.durable.storing import Storing, StoringParcel
from supervisor.mailbox.askers import Asker, PendingAsk
from supervisor.mailbox.intake.entry import Dropped, Entry, Patience, Taken, Wait
from supervisor.mailbox.intake.intake import SMALL, Intake
from supervisor.mailbox.intake.parts import MailboxParts
from supervisor.mailbox.many import AskPart
from supervisor.mailbox.validation import Admitted
from supervisor.store.errors import StoreError
from supervisor.store.records import StoredMessage
from supervisor.store.writes import Write

PATIENCE: Final = 0.5  # seconds until a read of the store that failed is tried again
FIRST: Final = 128  # messages that are read at once at first: what a start has read is enough to begin with
AT_ONCE: Final = 1024  # as many later


class DurableIntake(Intake):
    """As `Intake`.

    Args:
        stored: the mailbox's side of the store.
        parts: of the mailbox.

    Attributes:
        rest_stored: whether messages wait that are only in the store.
        beyond: the place of those; it knows how many they are.
    """

    refused_as: ClassVar = {**Intake.refused_as, StoreError: Fate.NOT_STORED}

    def __init__(self, stored: StoredMailbox, parts: MailboxParts) -> None:
        super().__init__(parts)
        one_queue = self._consumers.shared_queue is not None
        self._storable = self._joinable if one_queue else {}
        self._joined = {index for index, _, _ in self._storable.values()}
        self._plain = self._fast = {}
        self._accept_tell = None
        self._stored = stored
        self._classes = parts.classes
        self._window = self._capacity.most
        self._at_once = FIRST
        self.beyond = Beyond(parts.classes)  # stands for the queue of messages that are only in the store
        self._last_stored = self._last_loaded = stored.numbers.next - 1
        self._refilling = False
        self._opened = 0  # how often it was opened again
        self._vouched: Collection[int] = ()
        self._keys = Keys(self._path, stored, self._accept, self._attach)
        stored.on_entered = self._entered
        stored.on_entered_batch = self._entered_batch

    @property
    def rest_stored(self) -> bool:
        """Whether messages wait that are only in the store."""
        return self._last_loaded < self._last_stored

    # ---- the door

    def try_store(self, message: Message[Any]) -> asyncio.Future[None] | None:
        """See `Intake.try_store`."""
        storable = self._storable.get(type(message))
        if storable is None or self.closed is not None or self._drained:
            return None
        if threading.get_ident() != self._home.thread or _get_running_loop() is not self._loop:
            return None
        try:
            if storable[2] and not none_large(message, storable[2]):
                return None
            data = encode(message)
            self._check(data)
        except Exception:
            return None  # the check says what is wrong with it
        if len(data) > SMALL:
            return None
        return self._stored.accept_tell(type(message).__qualname__, data, self._classes, self.trace)

    def store_parcel(
        self, parcel: Parcel, handlers: set[Handler], sender: str | None, trace: str | None
    ) -> asyncio.Future[None]:
        """Store checked tells of one call, in one group with all else of this turn; done when they are stored."""
        if len(handlers) == 1:
            names = [next(iter(handlers)).message.__qualname__] * parcel.count
        else:
            each = [handler.message.__qualname__ for handler in self._handlers.values()]
            names = [each[self._classes.handler_of(payload)] for payload in parcel.payloads()]
        storing = StoringParcel(parcel, names, sender, self._classes, self._loop, trace)
        self._stored.accept(storing)
        return storing.over

    def check_key(self, key: str | None) -> None:
        """See `Intake.check_key`."""
        if key is not None:
            check_key(self._path, key)

    def post(self, entry: Entry, patience: Patience) -> Taken | Wait | Dropped:
        """Store a checked message.

        Raises:
            UsageError: its sender in the daemon would not hear whether it is stored.
            StoreError: a value beside it cannot be read.
        """
        if patience is Patience.REFUSE and entry.sender is None:
            raise UsageError(
                f"{self._path} is durable, and tell_nowait returns before the message is stored; write "
                f"`await ref.tell({entry.message.name}(...))`. Nothing was sent"
            )
        return self._store(entry)

    def post_ask(
        self, message: Admitted, timeout: float | None, *, fail_if_down: bool, key: str | None = None
    ) -> tuple[PendingAsk, Taken | Wait | Dropped]:
        """See `Intake.post_ask`."""
        deadline = None if timeout is None else self._clock() + timeout
        read = self.reader_of(message.handler.reply)
        asker = DurableAsk(self._loop.create_future(), read, self._path, message.name, timeout, deadline)
        asker.held = self._stored
        return asker, self._store(Entry(ASK, message, None, deadline, asker, fail_if_down, key))

    def post_published(self, payload: bytes, sender: str | None, trace: str | None = None) -> None:
        """Take a published message; if that is not possible, it becomes a dead letter."""
        try:
            admitted = self.check_bytes(msgspec.Raw(payload), TELL, None, (), sender, trace)
        except (UsageError, ActorStopped):
            super().post_published(payload, sender, trace)
        else:
            self._store_unheard(Entry(TELL, admitted, sender))

    def post_later(self, delay: float, message: Admitted, sender: str | None = None, key: str | None = None) -> Storing:
        """Store a checked message that enters the mailbox in `delay` seconds."""
        return self._store(Entry(TELL, message, sender, key=key), time.time() + delay)

    def post_own(self, message: Message[Any], sender: str) -> None:
        """See `Intake.post_own`."""
        self._store_unheard(Entry(TELL, self._admission.own(message), sender))

    def drop_delayed(self, fate: Fate, because: str) -> None:
        """They stay in the store."""
        del fate, because

    async def accept_with(self, message: Admitted, note: Write) -> None:
        """Store a tell and a note in one group. Returns when they are stored.

        Raises:
            StoreError: they are not.
        """
        storing = Storing(Entry(TELL, message), self._loop, notes=(note,))
        self._stored.accept(storing)
        await storing.taken()

    def _store(self, entry: Entry, due: float | None = None) -> Storing:
        return self._accept(entry, due) if entry.key is None else self._keys.post(entry, self._clock(), due)

    def _store_unheard(self, entry: Entry) -> None:
        """Store a message whose sender does not wait; if it cannot be stored it becomes a dead letter."""
        try:
            storing = self._accept(entry)
        except StoreError as error:
            self._dead_letter(entry, Fate.NOT_STORED, str(error))
        else:
            storing.forget(lambda error: self._dead_letter(entry, Fate.NOT_STORED, str(error)))

    def _accept(self, entry: Entry, due: float | None = None) -> Storing:
        storing = Storing(entry, self._loop, due, beside=beside_of(entry.message.packed))
        self._stored.accept(storing)
        return storing

    # ---- from the store

    def recover(self, rows: Sequence[StoredMessage], waiting: int, vouched: Collection[int], *, complete: bool) -> None:
        """The first messages that the store has, of a mailbox without any in memory.

        Args:
            rows: the messages.
            waiting: how many there are in all.
            vouched: numbers of messages of which black boxes say whether they were begun.
            complete: whether these are all, and nothing can have been stored since they were read.
        """
        self._last_loaded = 0
        self.beyond.count = waiting
        self._vouched = vouched
        self._adopt_rows(rows)
        if complete:
            self._last_loaded = self._last_stored

    def refill(self) -> None:
        """Take more of what is only in the store, when little is left in memory."""
        little = min(self._window // 2, self._at_once)
        if self.rest_stored and not self._refilling and self.closed is None and self._consumers.depth <= little:
            self._refilling = True
            self._loop.create_task(self._refill(self._opened)).add_done_callback(self._refilled)

    def entered_by_itself(self, seq: int, count: int) -> None:
        """So many messages are stored, up to this number, and were not given to the queue."""
        self._last_stored = max(self._last_stored, seq)
        self.beyond.count += count
        self.refill()

    def rewind(self) -> None:
        """The actor is about to be started again: nothing of it is in memory, everything is read from the store."""
        self._opened += 1
        self._last_loaded = 0

    @property
    def _free(self) -> int:
        return self._window - self._consumers.depth

    async def _refill(self, opened: int) -> None:
        if not self._last_loaded:
            await until_settled(self._stored)  # what has ended is not to be read again
        known, room = self._last_stored, min(self._free, self._at_once)
        rows = await self._stored.store.messages(self._stored.name, self._last_loaded, room)
        if self.closed is not None or opened != self._opened:
            return
        self._adopt_rows([row for row in rows if row.seq <= self._last_stored])  # others are not reported yet
        self._at_once = min(2 * self._at_once, AT_ONCE)
        if len(rows) < room:
            self._last_loaded = max(self._last_loaded, known)
        if not self.rest_stored:
            self.beyond.count = 0

    def _refilled(self, task: Any) -> None:
        self._refilling = False
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._stored.reading.note(None)
            self.refill()
        elif isinstance(error, StoreError):
            self._stored.reading.note(error)
            self._loop.call_later(PATIENCE, self.refill)
        else:
            raise error

    def _entered(self, seq: int, entry: Entry) -> None:
        """A message is stored: it enters the queue, or waits in the store behind others."""
        rest, self._last_stored = self.rest_stored, max(self._last_stored, seq)
        asker = entry.asker
        if entry.key is not None:
            self._stored.keys[seq] = entry.key
        if self.closed is not None:
            self.beyond.count += 1
            if asker is not None:
                asker.failed(ActorStopped(f"{is_down(self._path, self.closed)}; {entry.message.name} is stored"))
            return
        if rest or self._free <= 0:
            self.beyond.count += 1
            if asker is not None:
                self._await(seq, asker, self.beyond, entry.fail_if_down)
            return
        self._last_loaded = seq
        if entry.message.trace is not None and self.tracer is not None:
            self.tracer.entered(seq, entry.message.trace, entry.message.name)
        self._adopt(entry.queued(seq), asker, fail_if_down=entry.fail_if_down)

    def _entered_batch(self, batch: Batch) -> None:
        """Tells are stored: they enter the queue, as far as its window has room and none waits in the store."""
        rest = self.rest_stored
        self._last_stored = max(self._last_stored, batch.seq + len(batch) - 1)
        queue, room = self._consumers.shared_queue, self._free
        if self.closed is not None or rest or room <= 0 or queue is None:
            self.beyond.count += len(batch)
            return
        if len(batch) > room:
            self.beyond.count += len(batch.split(room))  # the rest of it waits in the store
        self._last_loaded = batch.seq + len(batch) - 1
        queue.adopt_batch(batch)
        self._dispatcher.after_turn()

    def _adopt_rows(self, rows: Sequence[StoredMessage]) -> None:
        """Messages of the store, in order, enter their queues: what `try_store` would have taken, together."""
        queue, of, joined = self._consumers.shared_queue, self._classes.of, self._joined
        for plain, run in runs(
            rows, lambda row: is_plain(row) and len(row.payload) <= SMALL and of(row.payload) in joined
        ):
            if plain and queue is not None:
                self._last_loaded = run[-1].seq
                self.beyond.count = max(0, self.beyond.count - len(run))
                queue.adopt_batch(QueuedTells(run[0].seq, [row.payload for row in run], self._classes))
                self._dispatcher.after_turn()
            else:
                for row in run:
                    self._adopt_row(row)

    def _adopt_row(self, row: StoredMessage) -> None:
        """A message of the store enters its queue."""
        self._last_loaded = row.seq
        self.beyond.count = max(0, self.beyond.count - 1)
        handler = self._classes.of(row.payload)
        if row.key is not None:
            self._stored.keys[row.seq] = row.key
        asker, _ = self._askers.get(row.seq, (None, None))
        message = restored(row, handler, asker.deadline if isinstance(asker, PendingAsk) else None)
        assert not isinstance(asker, AskPart)  # noqa: S101 - messages of a durable mailbox enter one by one
        once = handler != UNKNOWN and not self._classes.idempotent[handler]
        if handler == UNKNOWN:
            because = f"{row.message_type} is not a message of the actor any more"
            self._bury(message, Fate.UNDECODABLE, because, row.deliveries)
            if asker is not None:
                asker.failed(UsageError(f"{self._path}: {because}"))
        elif once and row.deliveries and row.seq not in self._vouched:
            because = "it may have begun in a process that died with its daemon, and is not begun twice"
            lost = ActorCrashed(f"{self._path}: {because}", started=None, finished=None)
            if row.key is not None:
                self._stored.settle(row.seq, *encode_error(lost))
            self._bury(message, Fate.CRASHED, because, row.deliveries)
            if asker is not None:
                asker.failed(lost)
        else:
            self._adopt(message, asker, 0 if once else row.deliveries)

    def _bury(self, message: QueuedMessage, fate: Fate, because: str, deliveries: int) -> None:
        """A message of the store is a dead letter, without having entered a queue."""
        self._settlement.dead_letter(message, fate, because, deliveries)
        self._settlement.dismiss(message.seq)

    def _adopt(
        self, message: QueuedMessage, asker: Asker | None, deliveries: int = 0, *, fail_if_down: bool = False
    ) -> None:
        queue = self._consumers.queue_for(message.key)
        queue.adopt(message, deliveries)
        if asker is not None:
            self._await(message.seq, asker, queue, fail_if_down)
        self._dispatcher.accepted(queue)

    def _await(self, seq: int, asker: Asker, queue: MessageQueue, fail_if_down: bool) -> None:
        """An asker waits for the end of a message."""
        if isinstance(asker, PendingAsk):
            asker.seq = seq
            if asker.deadline is not None and asker.deadline < self._deadlines.next:
                self._deadlines.announce(asker.deadline)
        elif not isinstance(asker, HeldAsk):
            asker = HeldAsk(asker, self._stored)
        self._askers[seq] = asker, queue
        if fail_if_down:
            self._settlement.fail_if_down.add(seq)

    def _attach(self, seq: int, asker: Asker) -> bool:
        """An asker waits for a message that is stored already; False when that has ended meanwhile, or is a tell."""
        if seq > self._last_loaded:
            self._await(seq, asker, self.beyond, fail_if_down=False)
            return True
        if seq not in self._stored.keys:
            return False
        for queue in self._consumers.queues.values():
            kind = queue.kind_of(seq)
            if kind is not None and kind != TELL:
                self._await(seq, asker, queue, fail_if_down=False)
                return True
        return False
