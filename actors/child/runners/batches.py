"""Batches: messages that came together, handled one after the other with as few steps as possible.

    PendingBatch ─▶ handle_batch ─▶ the black box says which has begun ─▶ method ─▶ Outbox, for many at once

A message of a batch is one like any other: it begins in its turn, is recorded by itself, and a doorbell stops the
batch before the next one.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from actors.child.messages.inbox import PendingAsks, PendingBatch
from actors.child.messages.outbox import ACK_AGE, ACK_EVERY, NEVER, Outbox
from actors.child.runners.handling import Handling, Payload, Sharing
from actors.child.runners.replies import LEAST_INT, MOST_INT, payload_of
from actors.ipc.box_cells import BEGUN, DONE, DOORBELL, FIRST_LANE, HANDLER, SINCE
from actors.messages import Message
from actors.protocol.protocol import Handler
from actors.wire import kinds
from actors.wire.codec import encode
from actors.wire.framing import Attachment
from actors.wire.kinds import NOTHING
from actors.wire.to_child import Envelope

Work = Callable[..., Any]
Table = Mapping[type[Message[Any]], tuple[Handler, Work]]

_NO_CELLS: Final[tuple[memoryview[Any], int]] = (memoryview(b""), 0)
GROUP: Final = 8  # quick tells that share one look at the clock
QUICK: Final = 5_000  # ns of a tell, below which those that follow are taken for quick

_BEGUN, _DONE, _SINCE, _HANDLER = (FIRST_LANE + cell for cell in (BEGUN, DONE, SINCE, HANDLER))


def handle_batch(handling: Handling, work: Table, batch: PendingBatch) -> None:
    """Handle the messages of a batch until it ends, one of them fails, or the daemon rings."""
    life = handling.life
    life.sync_driver.current = batch
    if life.calls.spans is not None:
        life.calls.spans.enter(batch.trace)
    if isinstance(batch, PendingAsks):
        _handle_asks(handling, work, batch)
    else:
        life.outbox.before_batch()
        if batch.kind == kinds.TELL:
            _handle_tells(handling, work, batch)
        else:
            _handle_asks_of_one(handling, work, batch)
    life.sync_driver.current = None  # an idle actor keeps no message
    if batch.over:
        life.inbox.pending.popleft()


def _handle_tells(handling: Handling, work: Table, tells: PendingBatch) -> None:
    """Handle tells. No sender waits for one of them: only the acknowledgement is held back.

    The black box records each that begins, so those before it have ended; the end of one is recorded by itself before
    anything else than the next one runs. While they are quick and nothing watches their time, the time at which one
    began is that of the first of its group.
    """
    life = handling.life
    cells, rings, clock, leaving = life.cells, life.rings, life.clock.monotonic_ns, life.leaving
    messages, seq = islice(tells.messages, tells.begun, None), tells.seq
    acknowledged, last = seq - 1, seq + len(tells.messages) - tells.begun - 1
    current: type[Message[Any]] | None = None
    now = told = clock()
    size, disturbed = 1, False
    while seq <= last and not disturbed:
        cells[_SINCE] = now
        for message in islice(messages, size):
            if type(message) is not current:
                current = type(message)
                handler, method = work[current]
                cells[_HANDLER] = handler.index + 1
            cells[_BEGUN] = seq
            try:
                method(message)
            except BaseException as error:
                handling.fail_tell(seq, handler, error, now)
            seq += 1
            if cells[DOORBELL] != rings or leaving.reason is not None:
                disturbed = True
                break
        began, now = now, clock()
        if seq > last or disturbed:
            cells[_DONE] = seq - 1
            life.outbox.batch_over(seq - 1, began)
        elif seq - acknowledged > ACK_EVERY or now - told > ACK_AGE:
            acknowledged = cells[_DONE] = seq - 1
            life.outbox.acknowledge_now(acknowledged, began)
            told = now
        size = GROUP if now - began < QUICK * size and not life.watched else 1
    tells.begun += seq - tells.seq
    tells.seq = seq


def _handle_asks(handling: Handling, work: Table, asks: PendingAsks) -> None:
    """Handle asks whose senders wait for each by itself: its reply is kept in the black box, or leaves at once."""
    life = handling.life
    outbox, inbox, cancelled = life.outbox, life.inbox, life.inbox.cancelled
    cells, rings, clock, leaving = life.cells, life.rings, life.clock.monotonic_ns, life.leaving
    current: type[Message[Any]] | None = None
    each = islice(zip(asks.messages, asks.deadlines, strict=True), asks.begun, None)
    for seq, (message, deadline) in enumerate(each, asks.seq):
        now = clock()
        if now > outbox.due:
            outbox.before_handler(now)
        late = deadline is not None and now > deadline * 1e9
        if (late or cancelled) and not inbox.wanted(seq, deadline):
            continue
        if type(message) is not current:
            current = type(message)
            handler, method = work[current]
            cells[_HANDLER] = handler.index + 1
            promised = handler.reply.steady
        asks.deadline = deadline
        cells[_SINCE] = now
        cells[_BEGUN] = seq
        try:
            reply = method(message)
            steady = type(reply) is promised and (promised is not int or LEAST_INT <= reply <= MOST_INT)
            payload = reply if steady else payload_of(life, handler, kinds.ASK, reply)
        except BaseException as error:
            handling.fail(Envelope(seq, kinds.ASK, None, deadline, message), handler, error, 0)
        else:
            cells[_DONE] = seq
            if not steady or not outbox.keep_reply(seq, payload, now):
                _reply(outbox, seq, payload, now)
        if cells[DOORBELL] != rings or leaving.reason is not None:
            break
    asks.begun += seq + 1 - asks.seq
    asks.seq = seq + 1


def _handle_asks_of_one(handling: Handling, work: Table, asks: PendingBatch) -> None:
    """Handle asks of one call, whose sender waits for the last of them: their replies are announced together.

    Numbers are kept in cells of the black box, as long as each message has one, and of the same type.
    """
    life = handling.life
    outbox, inbox, cancelled = life.outbox, life.inbox, life.inbox.cancelled
    cells, rings, clock, leaving = life.cells, life.rings, life.clock.monotonic_ns, life.leaving
    deadline = NEVER if asks.deadline is None else int(asks.deadline * 1e9)
    current = type(asks.messages[asks.begun])
    handler, method = work[current]
    cells[_HANDLER] = handler.index + 1
    promised = handler.reply.steady  # None where a reply may be more than a few bytes, or change
    run = outbox.open_run(asks.seq, len(asks.messages) - asks.begun, promised)
    replies, shift = run or _NO_CELLS
    kept = None if run is None else promised
    for seq, message in enumerate(islice(asks.messages, asks.begun, None), asks.seq):
        now = clock()
        if now > outbox.due:
            outbox.before_handler(now)
        if (cancelled or now > deadline) and not inbox.wanted(seq, asks.deadline):
            outbox.end_run()
            kept = None
            continue
        if type(message) is not current:
            current = type(message)
            handler, method = work[current]
            cells[_HANDLER] = handler.index + 1
            promised = handler.reply.steady
        cells[_SINCE] = now
        cells[_BEGUN] = seq
        try:
            reply = method(message)
            steady = type(reply) is promised and (promised is not int or LEAST_INT <= reply <= MOST_INT)
            payload = reply if steady else payload_of(life, handler, kinds.ASK, reply)
        except BaseException as error:
            outbox.end_run()
            kept = None
            handling.fail(Envelope(seq, kinds.ASK, asks.sender, asks.deadline, message), handler, error, 0)
        else:
            if steady and promised is kept:
                replies[seq + shift] = 0 if payload is None else payload
                cells[_DONE] = seq
                if not outbox.oldest:
                    outbox.note_kept(seq, now)
            else:
                outbox.end_run()
                kept = None
                cells[_DONE] = seq
                _hold(outbox, seq, payload, now)
        if cells[DOORBELL] != rings or leaving.reason is not None:
            break
    outbox.end_run()
    asks.begun, asks.seq = asks.begun + seq + 1 - asks.seq, seq + 1
    outbox.flush()


def _hold(outbox: Outbox, seq: int, payload: float | bool | Payload | None, began: int) -> None:
    """Let a reply wait for those that follow, unless it is too large for that."""
    if isinstance(payload, Attachment | Sharing):
        _reply(outbox, seq, payload, began)
    else:
        outbox.hold(seq, payload, began)


def _reply(outbox: Outbox, seq: int, payload: float | bool | Payload | None, began: int) -> None:
    if isinstance(payload, Attachment):
        outbox.reply(seq, kinds.BESIDE, NOTHING, began, (payload,))
    elif isinstance(payload, Sharing):
        outbox.reply(seq, kinds.SHARED_REPLY, payload.data, began, payload.attachments)
    else:
        data = payload if isinstance(payload, msgspec.Raw) else msgspec.Raw(encode(payload))
        outbox.reply(seq, kinds.REPLY, data, began)
