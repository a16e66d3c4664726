"""DurableMailbox: one durable actor's messages, kept over the death of the daemon.

    senders ─▶ DurableIntake ─▶ store ─▶ MessageQueue ─▶ Dispatcher ─▶ process
                                             ▲                            │ Settled: outcomes and state
    askers, actors ◀── stored ◀── Transaction ◀── DurableSettlement ◀────┘

What waits at the end of the daemon, or of the actor, stays in the store.

Runs on the loop's thread; nothing here blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from actors.errors import ActorStopped, AskTimeout, UndecodableMessage, UsageError, WireError
from actors.exits import ExitKind, ExitReason, ExitReport
from actors.messages import Message, Terminated
from actors.protocol.protocol import ActorProtocol
from actors.wire.attachments import EncodedMessage
from actors.wire.framing import Carried
from actors.wire.from_child import Outcomes, Replies, Send
from actors.wire.progress import Progress
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.messages import Classes, SequenceNumbers
from supervisor.core.delivery.queue import MessageQueue
from supervisor.core.rules.down import Down, is_down
from supervisor.durable.delivery import NotedDelivery
from supervisor.durable.intake.bulk import DurableBulk
from supervisor.durable.intake.delayed import Delayed
from supervisor.durable.intake.intake import DurableIntake
from supervisor.durable.rows import beside_of, unread_row, unsent_row
from supervisor.durable.settlement import DurableSettlement
from supervisor.durable.stored import StoredMailbox, let_go
from supervisor.durable.transaction import Sent
from supervisor.mailbox.intake.entry import Entry
from supervisor.mailbox.intake.parts import MailboxParts
from supervisor.mailbox.mailbox import Mailbox, MailboxTerms
from supervisor.observe.dead_letters import DeadLetter
from supervisor.ports.life import Delivery
from supervisor.process.boxes import Boxes, LeftBox, drop
from supervisor.store.port import Store
from supervisor.store.records import StoredMessage
from supervisor.store.writes import AcceptDeadLetter, RequeueDeadLetter, ScheduleRan

if TYPE_CHECKING:
    from msgspec import Raw

_LEFT: Final = ""  # stands for a life of a daemon that died, which is no member of this one


class DurableMailbox(Mailbox):
    """As `Mailbox`.

    Args:
        stored: its side of the store.
        boxes: the black boxes of its lives.
        path: as of `Mailbox`.
        protocol: as of `Mailbox`.
        terms: as of `Mailbox`.

    Attributes:
        stored: as above.
    """

    durable = True
    intake: DurableIntake
    bulk: DurableBulk

    def __init__(
        self, stored: StoredMailbox, boxes: Boxes, path: str, protocol: ActorProtocol, terms: MailboxTerms
    ) -> None:
        self.stored = stored
        self._boxes = boxes
        self._once = frozenset(row.index for cls, row in protocol.handlers.items() if cls.at_most_once)
        stored.noted = self._once
        super().__init__(path, protocol, terms)
        self.consumers.most_ahead = 0  # what is given is noted, and never taken back
        self._delayed = Delayed(stored, self.home.loop, self.intake.entered_by_itself)
        self._type_name = "" if protocol.state is None else getattr(protocol.state.kept, "__qualname__", "")

    def sent(self, entry: Entry, due: float | None) -> Sent:
        """A message that a durable actor sends to this one, which enters when what that handles is settled.

        Args:
            entry: the message.
            due: when it enters, in seconds since the epoch; None for then.

        Raises:
            StoreError: a value beside it cannot be read.
        """
        return Sent(self.stored, entry, due, beside_of(entry.message.packed))

    def unsent(self, frame: Send, attachments: Sequence[Carried], detail: str) -> AcceptDeadLetter:
        """A tell of this actor to a name that the tree does not have: a dead letter of that name, which stays.

        Raises:
            StoreError: a value beside it cannot be read.
        """
        name = frame.to.removeprefix(self.path.removesuffix(self.stored.name))
        row = unsent_row(frame, self.path, attachments)
        return AcceptDeadLetter(name, row, Fate.NO_SUCH_ACTOR.value, detail)

    # ---- from the daemon before

    def recover(self, rows: Sequence[StoredMessage], waiting: int, left: Sequence[LeftBox], *, complete: bool) -> None:
        """Take the first messages that the store has, and give those that were begun their fates.

        Args:
            rows: the messages.
            waiting: how many there are in all.
            left: the black boxes of lives that died with their daemon.
            complete: whether these are all, and nothing can have been stored since they were read.
        """
        vouched = {seq for life in left if life.progress is not None for seq in life.given.values()}
        self.intake.recover(rows, waiting, vouched, complete=complete)
        pooled = any(life.pooled for life in left)
        for life in left:
            if life.progress is not None:
                for queue in self.consumers.queues.values():
                    queue.flights.resume(_LEFT, life.given if pooled else _in_order(queue, life.progress))
                    for loss in queue.lose(_LEFT, life.progress):
                        self._settlement.lost(loss, _died_with_the_daemon(self.path))
        self.stored.then_stored(partial(drop, [life.file for life in left]))
        self._delayed.look()

    def state_of(self, member: str) -> bytes | None:
        """What a member has saved last."""
        return self.stored.states.get(self._key_of(member))

    # ---- from its lives

    def settle(
        self,
        member: str,
        frame: Outcomes | Replies,
        state: bytes | None,
        attachments: Sequence[Carried],
        sent: Sequence[Sent | AcceptDeadLetter],
    ) -> None:
        """Messages of a member have ended: store that, its state, and what it has sent meanwhile, all together.

        Raises:
            WireError: as of `Dispatcher.on_outcomes`.
            UndecodableMessage: the daemon cannot read a reply; it is stored that its message was handled.
        """
        stored = self.stored
        if state is not None and isinstance(frame, Outcomes):
            flight = self.consumers.queue_of(member).flights.of(member)
            if flight.messages and flight.unanswered(frame.ack_up_to, [outcome.seq for outcome in frame.items]):
                raise WireError("it ended an ask without an answer")  # nothing of it is stored: all is handled again
        unread: UndecodableMessage | None = None
        with stored.together():
            try:
                self.dispatcher.on_outcomes(member, frame, attachments)
            except UndecodableMessage as error:
                if state is None or not isinstance(frame, Outcomes):
                    raise
                unread = error  # it is the end of the frame: what was handled before it is in its state, too
                self.dispatcher.on_outcomes(member, Outcomes(frame.ack_up_to, []))
            if state is not None:
                stored.keep(self._key_of(member), self._type_name, state)
            if sent:
                stored.send(sent)
            if self.intake.rest_stored:
                stored.then(self.intake.refill)
        if unread is not None:
            raise unread

    def connect(self, member: str, life: Delivery) -> None:
        """See `Mailbox.connect`; what the only consumer has is known without a note, see `recover`.

        Where no black box will say what a life had begun, the store does, of all that must not be begun again.
        """
        noted = self._once if life.boxed else self.classes.once
        if noted or self._key_of(member):
            self.stored.noted |= noted
            queue = self.consumers.queue_of(member)
            life = NotedDelivery(life, queue.flights.open(member), noted, self.stored)
        super().connect(member, life)
        self.intake.refill()

    def lost(self, member: str, progress: Progress | None, report: ExitReport) -> None:
        """See `Mailbox.lost`; the black box goes when what it says is stored."""
        if self.stored.noted and progress is not None:
            for batch in self.consumers.queue_of(member).flights.of(member).batches:  # it goes back whole, see `lose`
                for message in batch.messages():
                    if message.seq > progress.begun and message.handler in self.stored.noted:
                        self.stored.begun(message.seq, 0)
        super().lost(member, progress, report)
        self.stored.then_stored(partial(drop, [self._boxes.of(self.path, report.actor, report.life)]))
        self.intake.refill()

    # ---- open and closed

    def close(self, down: Down) -> None:
        """The actor is down and stays down: what waits stays in the store; askers hear that."""
        self.consumers.expect_none(*self.consumers.names)
        self.intake.beyond.count += sum(len(queue.drain()) for queue in self.consumers.queues.values())
        self._settlement.fail_if_down.clear()
        self.stored.keys.clear()
        for seq in tuple(self._settlement.askers):
            asker, _ = self._settlement.dismiss(seq)
            if asker is not None:
                asker.failed(
                    ActorStopped(
                        f"{is_down(self.path, down)}; the message had not begun, and is stored: it is "
                        f"handled when the actor is started again"
                    )
                )
        self.intake.close(down, self._stop_reason())
        self._delayed.close()
        watchers, self._watchers = self._watchers, {}
        for told in watchers.values():
            told(Terminated(self.path, down.because))

    def forget(self) -> None:
        """See `Mailbox.forget`; its messages stay in the store."""
        super().forget()
        if self.closed is not None:
            let_go(self.stored, is_down(self.path, self.closed))

    def open(self) -> None:
        """See `Mailbox.open`."""
        again = self.closed is not None
        if again:
            self.intake.rewind()
        super().open()
        if again:
            self.intake.refill()
            self._delayed.look()

    def withdraw(self, seq: int, deadline: float | None = None) -> None:
        """See `Mailbox.withdraw`; a message with a key ends as it does."""
        if seq not in self.stored.keys:
            super().withdraw(seq, deadline)

    @property
    def depth(self) -> int:
        """See `Mailbox.depth`; also what waits only in the store."""
        return super().depth + self.intake.beyond.count

    @property
    def drained(self) -> bool:
        """See `Mailbox.drained`."""
        waits = self.intake.rest_stored and self.closed is None
        return not waits and not self.consumers.depth and self.stored.quiet

    def not_taken(self, name: str, timeout: float | None, late: TimeoutError) -> AskTimeout:
        """See `Mailbox.not_taken`."""
        del late
        within = "in time" if timeout is None else f"within {timeout} s"
        return AskTimeout(
            f"{self.path} did not store {name} {within}; it was not sent: the store is busy, or it fails",
            started=False,
        )

    async def requeue(self, letter: int) -> None:
        """A dead letter is the last message again. Returns when that is stored.

        Raises:
            StoreError: there is no such dead letter, or it cannot be stored.
        """
        seq = self.stored.number()
        stored = self.stored.store.commit([RequeueDeadLetter(letter, self.stored.name, seq)])
        stored.add_done_callback(partial(self._requeued, seq))
        await asyncio.shield(stored)

    def _requeued(self, seq: int, stored: asyncio.Future[None]) -> None:
        if stored.exception() is None:
            self.intake.entered_by_itself(seq, 1)

    async def post_scheduled(self, payload: bytes, note: ScheduleRan, store: Store | None) -> None:
        """See `Mailbox.post_scheduled`; message and note are stored together, also where it is a dead letter."""
        del store  # its own
        try:
            admitted = self.intake.check_stored(payload)
        except UsageError as error:
            fate, why = Fate.UNDECODABLE, str(error)
            dead = AcceptDeadLetter(self.stored.name, unread_row(payload), fate.value, why)
            await self.stored.store.commit([note, dead])
            self.intake.refuse(EncodedMessage(payload), None, fate, why)
        else:
            await self.intake.accept_with(admitted, note)

    # ---- its parts

    def _read_classes(self) -> Classes:
        plain = super()._read_classes()
        if self.protocol.state is None:
            return plain
        return Classes(plain.tags, [not message.at_most_once for message in self.protocol.handlers], undone=True)

    def _new_numbers(self) -> SequenceNumbers:
        return self.stored.numbers

    def _make_settlement(
        self, decode: Callable[[Raw], Message[Any]], on_dead_letter: Callable[[DeadLetter], None]
    ) -> DurableSettlement:
        return DurableSettlement(self.stored, self.path, self.protocol, decode, self._stop_reason, on_dead_letter)

    def _make_ways_in(self, parts: MailboxParts) -> None:
        self.intake = DurableIntake(self.stored, parts)
        self.bulk = DurableBulk(parts, self.intake)

    # ---- inside

    @property
    def _supervisor(self) -> str:
        return self.path.rpartition("/")[0]

    def _path_of(self, member: str) -> str:
        return f"{self._supervisor}/{member}"

    def _key_of(self, member: str) -> str:
        """The name of a member in the store: empty for the only one."""
        return "" if self._path_of(member) == self.path else member


def _in_order(queue: MessageQueue, progress: Progress) -> dict[int, int]:
    """What the only consumer of a queue has begun: it was given everything in order, under its number."""
    return {message.seq: message.seq for message in queue.waiting() if message.seq <= progress.begun}


def _died_with_the_daemon(path: str) -> ExitReport:
    """The report of a life that ended with its daemon."""
    return ExitReport(
        actor=path, life=0, pid=None, reason=ExitReason(ExitKind.KILLED, "its daemon died, and so did it")
    )
