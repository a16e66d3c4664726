"""Intake: the one way into a mailbox, for messages of the daemon, of other actors, of topics and of timers.

    try_tell, try_ask: fast path ─▶ in the queue, or straight to the life
    check, check_bytes ─▶ `Door`

A message is checked and encoded once, before anything of it is kept.

Runs on the loop's thread; nothing here blocks.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import _get_running_loop  # the public one raises where there is none
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from actors.bounds import MOST_SECONDS
from actors.messages import Message
from actors.wire.attachments import bytes_names, none_large, refers, shares
from actors.wire.codec import encode
from actors.wire.kinds import ASK, TELL
from supervisor.core.delivery.queue import MessageQueue
from supervisor.mailbox.askers import PendingAsk, pending_ask
from supervisor.mailbox.consumers import Consumer
from supervisor.mailbox.intake.door import Door
from supervisor.mailbox.intake.entry import Entry
from supervisor.mailbox.intake.parts import MailboxParts
from supervisor.ports.observers import Tracer

SMALL: Final = 1024  # bytes; a larger message travels in an envelope of its own
_NUMBERS: Final = frozenset({int, float})  # a bool or a Decimal is none
ASK_BATCH: Final = 32  # asks after which a dispatch does not wait for the end of the turn: the actor begins meanwhile


class Intake(Door):
    """The way into one mailbox: the door, and before it a fast path for messages that are small and plain.

    Args:
        parts: of the mailbox.

    Attributes:
        trace: the trace context of the message that the fast path checked last.
    """

    def __init__(self, parts: MailboxParts) -> None:
        super().__init__(parts)
        protocol = parts.protocol
        self.trace: str | None = None
        self._together = False  # whether the last ask came while others were in progress
        self._handlers = protocol.handlers
        self._check: Callable[[bytes], object] = protocol.check
        self._joinable = {
            message: (handler.index, self.reader_of(handler.reply), bytes_names(message))
            for message, handler in protocol.handlers.items()
            if not (handler.flows or shares(message) or refers(message))
        }
        self._plain = self._joinable  # of a durable actor none
        self._fast = self._plain  # empty while nothing may take the fast path
        shared_queue = self._consumers.shared_queue
        self._accept_tell = None if shared_queue is None else shared_queue.accept_tell

    # ---- the fast path

    def try_tell(self, message: Message[Any]) -> bool:
        """Fast path of tell: enqueue without an envelope. False: check and post it.

        No number is given and no room is checked for a single message.
        """
        capacity = self._capacity
        slots = capacity.fast_slots
        accept = self._accept_tell
        plain = self._fast.get(type(message))
        if slots <= 0 or accept is None or plain is None or threading.get_ident() != self._home.thread:
            return False
        try:
            if plain[2] and not none_large(message, plain[2]):
                return False
            data = encode(message)
            self._check(data)
        except Exception:
            return False  # the check says what is wrong with it
        if len(data) > SMALL:
            self._tell_large(message, data)
            return True
        dispatcher = self._dispatcher
        if not dispatcher.due and _get_running_loop() is not self._loop:
            return False
        capacity.fast_slots = slots - 1
        accept(data)
        if slots == 1:
            dispatcher.dispatch()  # a full batch; a sender that never yields to the loop pays for it itself
        elif not dispatcher.due:
            dispatcher.soon()
        return True

    def try_store(self, message: Message[Any]) -> asyncio.Future[None] | None:
        """Fast path of a tell to a durable actor: done when it is stored. None: check and post it."""
        del message
        return None

    def _tell_large(self, message: Message[Any], data: bytes) -> None:
        """Enqueue a tell that is encoded and checked; there is room for it.

        Raises:
            UsageError: it is too large, or the caller is on another loop.
        """
        self._home.check(f"the ref of {self._path}")
        self._enqueue(Entry(TELL, self._admission.encoded(message, data, self.trace)))

    def try_ask(self, message: Message[Any], timeout: float | None) -> PendingAsk | None:
        """Fast path of ask. None: check and post it."""
        capacity, shared_queue = self._capacity, self._consumers.shared_queue
        slots = capacity.fast_slots
        plain = self._fast.get(type(message))
        if slots <= 0 or plain is None or shared_queue is None or _get_running_loop() is not self._loop:
            return None
        try:
            if timeout is not None and not (type(timeout) in _NUMBERS and 0 <= timeout <= MOST_SECONDS):  # NaN is not
                return None
            handler, read, large = plain
            if large and not none_large(message, large):
                return None
            data = encode(message)
            self._check(data)
        except Exception:
            return None  # the checks say what is wrong
        if len(data) > self._admission.max_message_bytes:
            return None
        capacity.fast_slots = slots - 1
        name = type(message).__qualname__
        asker = pending_ask(self._loop.create_future(), read, self._path, name, timeout, self._clock)
        if asker.deadline is not None and asker.deadline < self._deadlines.next:
            self._deadlines.announce(asker.deadline)
        consumer = self._consumers.single_consumer
        # one by itself leaves at once; where they came together the first of the next ones waits for the others
        alone = not self._askers and not shared_queue.unsettled
        at_once, self._together = alone and not self._together, not alone
        if at_once and consumer is not None and not consumer.life.congested:
            self._send_ask(asker, consumer, handler, data)
        else:
            self._enqueue_ask(asker, shared_queue, handler, data)
        return asker

    def _send_ask(self, asker: PendingAsk, consumer: Consumer, handler: int, data: bytes) -> None:
        """Send a checked ask to the life at once, past the queue."""
        queue = consumer.queue
        queued = queue.send_now(consumer.name, ASK, handler, asker.deadline, data, self.trace)
        asker.seq = queued.seq
        self._askers[queued.seq] = asker, queue
        if asker.deadline is None and self._dispatcher.observers:  # else the asker knows since when it waits
            self._dispatcher.observe_accepted()
        consumer.life.post([queued])

    def _enqueue_ask(self, asker: PendingAsk, queue: MessageQueue, handler: int, data: bytes) -> None:
        """Enqueue a checked ask; small ones of one turn of the loop travel together to a single life."""
        if self._consumers.single_consumer is not None and self.trace is None and len(data) <= SMALL:
            seq = queue.enqueue_ask(asker.deadline, data)
        else:
            seq = queue.enqueue(ASK, handler, None, asker.deadline, data, trace=self.trace)
        asker.seq = seq
        self._askers[seq] = asker, queue
        dispatcher = self._dispatcher
        dispatcher.undispatched += 1
        if not self._capacity.fast_slots or dispatcher.undispatched == ASK_BATCH:
            dispatcher.dispatch()
        elif not dispatcher.due:
            dispatcher.after_turn()

    @property
    def joinable(self) -> Mapping[type[Message[Any]], tuple[int, Callable[[msgspec.Raw], Any], tuple[str, ...]]]:
        """Messages that are all in their bytes, unless a field of plain `bytes` is large; none while it drains.

        Index, decoder of replies, and the names of these fields.
        """
        return {} if self._drained else self._joinable

    # ---- tracing

    def trace_with(self, tracer: Tracer) -> None:
        """Give each message its trace context from now on. The fast path takes none that needs a span."""
        self.tracer = tracer
        self._check = tracer.checking(self._check, self._turn_to)

    def _turn_to(self, trace: str | None) -> None:
        """What the fast path takes from now on has that trace context."""
        if trace != self.trace:
            self.trace = trace
            if self._consumers.shared_queue is not None:
                self._consumers.shared_queue.trace_tells(trace)

    # ---- open and closed

    def drain(self, *parts: str) -> None:
        """See `Door.drain`; the fast path takes nothing meanwhile."""
        super().drain(*parts)
        self._fast = {} if parts else self._plain
