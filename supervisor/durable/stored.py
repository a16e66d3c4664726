"""StoredMailbox: one mailbox's side of the store: its numbers, its groups, and what waits for their commits.

    senders ─▶ accept ─▶ one group each turn of the loop ─▶ commit ─▶ entered, senders go on │ StoreError
    outcomes ─▶ settle, die, keep, send ─▶ Transaction ─▶ commit ─▶ effects; the next one when this one is stored

A group of senders that is not stored is theirs to hear of. A transaction that is not stored is tried again: what it
says has happened, and the next ones build on it. One for which nothing waits leaves with the next group, or a little
later: a commit costs as much as many messages.

Runs on the loop's thread; nothing here blocks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final

from actors.errors import ActorStopped
from supervisor.core.delivery.messages import Batch, Classes, SequenceNumbers
from supervisor.durable.storing import Stored, StoringTells
from supervisor.durable.transaction import Sent, Transaction
from supervisor.mailbox.intake.entry import Entry
from supervisor.store.errors import StoreError
from supervisor.store.port import Store
from supervisor.store.records import RecoveredMailbox
from supervisor.store.writes import AcceptDeadLetter, FallDue, SaveState, Write

RETRY: Final = 0.5  # seconds until a transaction that was not stored is tried again
LAZY: Final = 0.005  # seconds that a transaction for which nothing waits stays open for more

Trouble = Callable[[str, StoreError], None]
"""Told of a transaction that was not stored, or a read that failed, with the name of the mailbox."""


class Complaint:
    """One thing that may fail again and again: told once until it succeeds.

    Attributes:
        error: why it failed last; None once it has succeeded.
    """

    def __init__(self, name: str, trouble: Trouble) -> None:
        self._name = name
        self._trouble = trouble
        self.error: StoreError | None = None

    def note(self, error: StoreError | None) -> None:
        """It has failed, or succeeded."""
        if error is not None and self.error is None:
            self._trouble(self._name, error)
        self.error = error


class StoredMailbox:
    """What one mailbox hands over to the store.

    Args:
        store: the store.
        name: of the mailbox there.
        recovered: what the store had of it.
        loop: of the tree.
        trouble: told of a transaction that is not stored, and of a read that fails.

    Attributes:
        store, name: as above.
        numbers: of its messages; they go on where the last daemon ended.
        states: what each member has saved last, stored or about to be.
        reading, writing: the reads of what waits, and the transactions.
        keys: of the messages in memory that have one, by number.
        noted: indices of message classes of which it may be stored that they are begun, before they are.
        on_entered: called with each message that is stored, in the order of their numbers.
        on_entered_batch: called with tells that are stored, in the same order.
        on_postponed: called when a delayed message is stored, with its time.
    """

    def __init__(
        self, store: Store, name: str, recovered: RecoveredMailbox, loop: asyncio.AbstractEventLoop, trouble: Trouble
    ) -> None:
        self.store = store
        self.name = name
        self.numbers = SequenceNumbers()
        self.states: dict[str, bytes] = {}
        go_on(self, recovered)
        self.keys: dict[int, str] = {}
        self.noted: frozenset[int] = frozenset()
        self.on_entered: Callable[[int, Entry], None]
        self.on_entered_batch: Callable[[Batch], None]
        self.on_postponed: Callable[[float], None]
        self.reading = Complaint(name, trouble)
        self.writing = Complaint(name, trouble)
        self._loop = loop
        self._accepting: list[Stored] = []
        self._alone = False  # whether the last group of senders was one message
        self._handed_over = 0  # groups of senders that are being stored
        self._next: Transaction | None = None
        self._storing: Transaction | None = None
        self._wanted = False  # whether something waits for the next transaction
        self._timer: asyncio.TimerHandle | None = None
        self._gathering = 0
        self._quiet = asyncio.Event()

    @property
    def quiet(self) -> bool:
        """Whether nothing is being stored."""
        return not (self._accepting or self._handed_over or self._next or self._storing)

    async def settled(self) -> None:
        """Wait until nothing is being stored.

        Raises:
            StoreError: a transaction could not be stored. It is tried again.
        """
        while not self.quiet:
            self._want()
            self._quiet.clear()
            await self._quiet.wait()
            if self.writing.error is not None and not self.quiet:
                raise StoreError(f"what {self.name} has handled is not stored yet: {self.writing.error}")

    # ---- messages enter

    def accept(self, storing: Stored) -> None:
        """Store messages at the end of this turn of the loop, with the others that come until then.

        At once where the last group was one message and is stored: its sender is likely alone, and waits for each. Not
        while a transaction is being gathered, which would leave with it by halves.
        """
        self._accepting.append(storing)
        if self._alone and not (self._handed_over or self._gathering):
            self._hand_over()
        elif len(self._accepting) == 1:
            self._loop.call_soon(self._hand_over)

    def accept_tell(self, name: str, payload: bytes, classes: Classes, trace: str | None) -> asyncio.Future[None]:
        """As `accept`, of a tell that is all in its bytes; the future is done when it is stored."""
        last = self._accepting[-1] if self._accepting else None
        if isinstance(last, StoringTells) and last.trace == trace:
            return last.add(name, payload)
        run = StoringTells(classes, self._loop, trace)
        stored = run.add(name, payload)
        self.accept(run)
        return stored

    def number(self) -> int:
        """The number of the next message."""
        seq = self.numbers.next
        self.numbers.next = seq + 1
        return seq

    def entered(self, seq: int, entry: Entry) -> None:
        """A message is stored."""
        self.on_entered(seq, entry)

    def entered_batch(self, batch: Batch) -> None:
        """Tells are stored, and their senders go on in this turn of the loop.

        What these send next is handed over before the batch goes to the process: both are at work then.
        """
        self._loop.call_soon(self._hand_over)
        self.on_entered_batch(batch)

    def postponed(self, due: float) -> None:
        """A delayed message is stored."""
        self.on_postponed(due)

    def _hand_over(self) -> None:
        batch, self._accepting = self._accepting, []
        if not batch:  # it was handed over before the end of this turn
            return
        self._alone = sum(storing.count for storing in batch) == 1
        together = [storing for storing in batch if not storing.alone]
        if together:
            self._commit_group(together)
        for storing in batch:
            if storing.alone:
                self._commit_group([storing])
        self._go_on()

    def _commit_group(self, batch: list[Stored]) -> None:
        numbered: list[tuple[int, Stored]] = []
        writes: list[Write] = []
        for storing in batch:
            first = self.numbers.next
            self.numbers.next = first + storing.count
            numbered.append((first, storing))
            writes.extend(storing.writes(self.name, first))
        self._handed_over += 1
        self._commit(writes, partial(self._accepted, numbered))

    def _accepted(self, batch: list[tuple[int, Stored]], error: StoreError | None) -> None:
        self._handed_over -= 1
        for first, storing in batch:
            if error is not None:
                storing.failed(error)
            else:
                storing.arrive(first, self)
        self._look_quiet()

    # ---- messages end

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is settled inside, and what follows from it for askers, is one transaction, or part of one."""
        self._gathering += 1
        try:
            yield
        finally:
            self._gathering -= 1

    def then(self, effect: Callable[[], None]) -> None:
        """Do it once the transaction that is being gathered is stored; at once when none is."""
        if self._gathering:
            self._open().after.append(effect)
            self._want()
        else:
            effect()

    def then_stored(self, effect: Callable[[], None]) -> None:
        """Do it once all that has been settled so far is stored; at once when it is."""
        last = self._next or self._storing
        if last is None:
            effect()
        else:
            last.after.append(effect)
            self._want()

    def settle(self, seq: int, kind: int | None = None, payload: bytes = b"") -> None:
        """A message has ended. Without an outcome its key, if it has one, is free again."""
        key = self.keys.pop(seq, None)
        self._open().settle(seq, None if kind is None else key, kind or 0, payload)
        if key is not None:
            self._want()

    def settle_tells(self, batches: Sequence[tuple[int, int]]) -> None:
        """Tells without a key have ended, from the first to the last number of each batch."""
        self._open().ranges.extend(batches)

    def die(self, seq: int, reason: str, detail: str, deliveries: int) -> None:
        """A message becomes a dead letter."""
        self._open().die(seq, reason, detail, deliveries)
        self._want()

    def begun(self, seq: int, deliveries: int) -> None:
        """A message has been begun so often, and waits again."""
        self._open().deliveries[seq] = deliveries
        self._want()

    def keep(self, member: str, type_name: str, state: bytes) -> None:
        """The state of a member after what is settled with it."""
        self.states[member] = state
        self._open().states[member] = SaveState(self.name, member, type_name, state, time.time())

    def send(self, sent: Sequence[Sent | AcceptDeadLetter]) -> None:
        """What the actor has sent meanwhile enters its mailboxes, or is a dead letter, with what is settled."""
        transaction = self._open()
        for one in sent:
            if isinstance(one, AcceptDeadLetter):
                transaction.unsent.append(one)
            else:
                transaction.sent.append(one)
        self._want()

    def _open(self) -> Transaction:
        """The next transaction."""
        if self._next is None:
            self._next = Transaction()
            self._timer = self._loop.call_later(LAZY, self._want)
        return self._next

    def _want(self) -> None:
        """Something waits for the next transaction: it leaves at the end of this turn, or after the one before it."""
        if not self._wanted and self._next is not None:
            self._wanted = True
            if self._storing is None:
                self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Store the next transaction, if there is one and the one before it is stored."""
        if self._storing is None and self._next is not None:
            self._storing, self._next = self._next, None
            self._wanted = False
            if self._timer is not None:
                self._timer.cancel()
            self._store_transaction()

    def _store_transaction(self) -> None:
        if self._storing is not None:
            self._commit(self._storing.writes(self.name), self._transacted)

    def _transacted(self, error: StoreError | None) -> None:
        if error is not None:
            self.writing.note(error)
            self._loop.call_later(RETRY, self._store_transaction)
            self._quiet.set()  # who waits looks at the error
            return
        self.writing.note(None)
        stored, self._storing = self._storing, None
        if stored is not None:
            stored.over(self._effect_failed)
        if self._wanted:
            self._go_on()
        self._look_quiet()

    def _effect_failed(self, error: Exception) -> None:
        context = {"message": f"what follows from a stored transaction of {self.name} raised", "exception": error}
        self._loop.call_exception_handler(context)

    # ---- both

    def fall_due(self, formers: list[int], then: Callable[[int | None], None]) -> None:
        """Delayed messages enter the mailbox; `then` gets the last of their new numbers, None if that is not stored."""
        numbers = [(self.number(), former) for former in formers]
        self._handed_over += 1

        def over(error: StoreError | None) -> None:
            self._handed_over -= 1
            then(numbers[-1][0] if error is None else None)
            self._look_quiet()

        self._commit([FallDue(self.name, numbers)], over)

    def _commit(self, writes: Sequence[Write], then: Callable[[StoreError | None], None]) -> None:
        """Hand a group over; `then` hears whether it is stored."""
        try:
            future = self.store.commit(writes)
        except StoreError as error:
            self._loop.call_soon(then, error)
            return
        future.add_done_callback(lambda done: then(_error_of(done)))

    def _look_quiet(self) -> None:
        if self.quiet:
            self._quiet.set()


def go_on(stored: StoredMailbox, recovered: RecoveredMailbox) -> None:
    """Go on from what the store has: while there was no actor, it may have been moved, discarded or requeued."""
    stored.numbers.next = max(stored.numbers.next, recovered.last_seq + 1)
    stored.states = {member: state.data for member, state in recovered.states.items()}


def let_go(stored: StoredMailbox, down: str) -> None:
    """Its actor is forgotten: what is stored for it from now on waits in the store, and who asks hears that it is down.

    Nothing of the mailbox is kept for that: there may be one for each customer. Its numbers stay, since what others
    have sent to it may not be stored yet.
    """
    stored.on_entered = partial(_refuse_asker, down)
    stored.on_entered_batch = stored.on_postponed = _leave_in_store


def _refuse_asker(down: str, _seq: int, entry: Entry) -> None:
    if entry.asker is not None:
        entry.asker.failed(ActorStopped(f"{down}; {entry.message.name} is stored"))


def _leave_in_store(_entered: object) -> None:
    pass


async def until_settled(stored: StoredMailbox) -> None:
    """Wait until nothing is being stored, however long the store fails."""
    while not stored.quiet:
        with suppress(StoreError):
            await stored.settled()


def _error_of(future: asyncio.Future[None]) -> StoreError | None:
    if future.cancelled():
        return StoreError("the store was closed before it had stored this; nothing of it is stored")
    error = future.exception()
    if error is None or isinstance(error, StoreError):
        return error
    return StoreError(f"the store failed: {type(error).__name__}: {error}")
