"""Sync runner: a loop over the inbox, without an event loop, for actors whose handlers are all sync.

One message at a time, in the order of the mailbox.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from actors.actor import Actor
from actors.child.life import Life, Payload
from actors.child.messages.inbox import PendingBatch
from actors.child.messages.streams import FlowEnded, decoded_item
from actors.child.runners.batches import Work, handle_batch
from actors.child.runners.replies import item_of, payload_of
from actors.exits import ExitReason
from actors.ipc.box_cells import DOORBELL
from actors.messages import Message
from actors.protocol.protocol import Handler
from actors.ref import STREAM_CREDIT
from actors.wire import frames as wire
from actors.wire.codec import ReplyCodec
from actors.wire.frames import NOTHING, Envelope


def run(actor: Actor, life: Life) -> ExitReason:
    """Serve an actor whose handlers are all sync, until it is asked to stop or stops itself.

    Raises:
        ActorFailed: a handler raised and the class does not say `on_error = "reply"`.
    """
    work: dict[type[Message[Any]], tuple[Handler, Work]] = {
        message: (handler, getattr(actor, handler.name)) for message, handler in life.protocol.handlers.items()
    }
    pending, cells, driver = life.inbox.pending, life.cells, life.sync_driver
    life.keep_replies(pending)
    while True:
        if cells[DOORBELL] != life.rings or driver.health_wanted:
            life.between_messages()
        if life.leaving.reason is not None:
            driver.current = None
            return life.leaving.reason
        if pending and isinstance(pending[0], PendingBatch):
            handle_batch(life, work, pending[0])
        elif (envelope := life.inbox.next_wanted()) is not None:
            handler, method = work[type(envelope.message)]
            _handle(life, handler, method, envelope)
            if not envelope.seq:  # a timer's: however many are due, the mailbox is read between them
                life.inbox.receive_all()
            driver.current = envelope = None  # an idle actor keeps no message, which may hold much
        wait = life.timers.take_due(pending) if life.timers else None
        if life.leaving.if_idle:
            life.stop_if_idle()
        if not pending:
            life.outbox.flush()
            if life.leaving.reason is None and (wait is None or life.channel.readable(wait)):
                life.inbox.receive()


def _handle(life: Life, handler: Handler, method: Work, envelope: Envelope[Message[Any]]) -> None:
    life.sync_driver.current = envelope
    life.begin(envelope, handler, 0)
    try:
        if handler.flows:
            payload = _outcome_of_flow(life, handler, method, envelope)
        else:
            payload = payload_of(life, handler, envelope.kind, method(envelope.message))
    except FlowEnded as ended:
        life.finish(envelope, ended.kind, NOTHING, 0)
    except BaseException as error:
        life.fail(envelope, handler, error, 0)
    else:
        life.finish_well(envelope, payload, 0)


def _outcome_of_flow(life: Life, handler: Handler, method: Work, envelope: Envelope[Message[Any]]) -> Payload:
    """Call a handler that streams or is fed; returns what its sender gets in the end."""
    try:
        if handler.streams:
            _yield_all(life, handler, method, envelope)
            return NOTHING
        assert handler.fed is not None  # noqa: S101 - what flows streams or is fed
        life.streams.open_feed(envelope.seq)
        reply = method(envelope.message, _items(life, handler.fed, envelope.seq))
        return payload_of(life, handler, envelope.kind, reply)
    finally:
        life.streams.close(envelope.seq)


def _yield_all(life: Life, handler: Handler, method: Work, envelope: Envelope[Message[Any]]) -> None:
    """Run a generator as far ahead of its reader as the credit allows."""
    seq = envelope.seq
    life.streams.open_stream(seq)
    with closing(method(envelope.message)) as items:
        for item in items:
            life.streams.put_item(seq, *item_of(life, handler, item))
            life.check_control()
            _wait_while(life, seq, lambda: not life.streams.has_credit(seq))


def _items(life: Life, codec: ReplyCodec, seq: int) -> Iterator[Any]:
    """The items that follow a message, as they arrive."""
    arrived, taken = life.streams.arrived(seq), 0
    while True:
        _wait_while(life, seq, lambda: not arrived)
        item = arrived.popleft()
        if item is None:
            return
        yield decoded_item(codec, item)
        taken += 1
        if taken == STREAM_CREDIT // 2:
            life.streams.want(seq, taken)
            taken = 0


def _wait_while(life: Life, seq: int, lacks: Callable[[], bool]) -> None:
    """Read the channel until the flow can continue; ends it when it is cancelled or the actor must stop."""
    try:
        while True:
            if seq in life.inbox.cancelled:
                raise FlowEnded(wire.CANCELLED)
            if life.leaving.reason is not None:
                raise FlowEnded(wire.STOPPED)
            if not lacks():
                return
            life.time_limit.rest()
            life.outbox.flush()
            life.channel.readable(None)  # here a signal handler of the actor may raise, not inside `receive`
            life.inbox.receive()
    finally:
        life.time_limit.renew()
