"""Sync runner: a loop over the inbox, without an event loop, for actors whose handlers are all sync.

One message at a time, in the order of the mailbox.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from actors.actor import Actor
from actors.child.desk import ACK_AGE, ACK_EVERY, Desk, FlowEnded, Payload, PendingTells
from actors.child.replies import payload_of, reply_bytes
from actors.exits import ExitReason
from actors.ipc.blackbox import BEGUN, DONE, DOORBELL, FIRST_LANE, HANDLER, SINCE
from actors.messages import Message
from actors.protocol import Handler
from actors.ref import STREAM_CREDIT
from actors.wire import frames as wire
from actors.wire.codec import ReplyCodec
from actors.wire.frames import NOTHING, Envelope

Work = Callable[..., Any]

_BEGUN, _DONE, _SINCE, _HANDLER = (FIRST_LANE + cell for cell in (BEGUN, DONE, SINCE, HANDLER))


def run(actor: Actor, desk: Desk) -> ExitReason:
    """Serve an actor whose handlers are all sync, until it is asked to stop or stops itself.

    Raises:
        ActorFailed: a handler raised and the class does not say `on_error = "reply"`.
    """
    work: dict[type[Message[Any]], tuple[Handler, Work]] = {
        message: (handler, getattr(actor, handler.name)) for message, handler in desk.protocol.handlers.items()
    }
    pending, cells = desk.pending, desk.cells
    while True:
        if cells[DOORBELL] != desk.rings:
            desk.check_control()
        if desk.stopping is not None:
            desk.current = None
            return desk.stopping
        if pending and type(pending[0]) is PendingTells:
            _handle_tells(desk, work, pending[0])
        elif (envelope := desk.next_wanted()) is not None:
            handler, method = work[type(envelope.message)]
            _handle(desk, handler, method, envelope)
        wait = desk.take_due() if desk.timers else None
        if desk.stops_if_idle:
            desk.stop_if_idle()
        if not pending:
            desk.flush()
            if desk.stopping is None and (wait is None or desk.channel.readable(wait)):
                desk.take_in(desk.channel.receive())


def _handle(desk: Desk, handler: Handler, method: Work, envelope: Envelope[Message[Any]]) -> None:
    desk.begin(envelope, handler, 0)
    try:
        if handler.flows:
            payload = _outcome_of_flow(desk, handler, method, envelope)
        else:
            payload = payload_of(desk, handler, envelope.kind, method(envelope.message))
    except FlowEnded as ended:
        desk.finish(envelope, ended.kind, NOTHING, 0)
    except BaseException as error:
        desk.fail(envelope, handler, error, 0)
    else:
        desk.finish_well(envelope, payload, 0)


def _handle_tells(desk: Desk, work: dict[type[Message[Any]], tuple[Handler, Work]], tells: PendingTells) -> None:
    """Handle a batch of tells with as few steps as possible, until it ends or the daemon rings.

    No sender waits for one of them: only the acknowledgement is held back, and the black box records each.
    """
    desk.begin_run()
    cells, rings, clock = desk.cells, desk.rings, time.monotonic_ns
    messages, seq = tells.messages, tells.seq
    told = clock()
    unsaid = 0
    while messages:
        message = messages.popleft()
        handler, method = work[type(message)]
        cells[_SINCE] = now = clock()
        cells[_HANDLER] = handler.index + 1
        cells[_BEGUN] = seq
        try:
            method(message)
        except BaseException as error:
            desk.fail_tell(seq, handler, error)
        cells[_DONE] = seq
        seq += 1
        unsaid += 1
        if unsaid == ACK_EVERY or now - told > ACK_AGE:
            desk.ack_up_to(seq - 1)
            unsaid, told = 0, now
        if cells[DOORBELL] != rings or desk.stopping is not None:
            break
    tells.seq = seq
    if unsaid:
        desk.ack_up_to(seq - 1)
    if not messages:
        desk.pending.popleft()


def _outcome_of_flow(desk: Desk, handler: Handler, method: Work, envelope: Envelope[Message[Any]]) -> Payload:
    """Call a handler that streams or is fed; returns what its sender gets in the end."""
    if handler.streams:
        _yield_all(desk, handler, method, envelope)
        return NOTHING
    assert handler.fed is not None  # noqa: S101 - what flows streams or is fed
    desk.open_feed(envelope.seq)
    reply = method(envelope.message, _items(desk, handler.fed, envelope.seq))
    return payload_of(desk, handler, envelope.kind, reply)


def _yield_all(desk: Desk, handler: Handler, method: Work, envelope: Envelope[Message[Any]]) -> None:
    """Run a generator as far ahead of its reader as the credit allows."""
    seq = envelope.seq
    desk.open_stream(seq)
    with closing(method(envelope.message)) as items:
        for item in items:
            desk.put_item(seq, reply_bytes(desk, handler, item))
            desk.check_control()
            _wait_while(desk, seq, lambda: not desk.has_credit(seq))


def _items(desk: Desk, codec: ReplyCodec, seq: int) -> Iterator[Any]:
    """The items that follow a message, as they arrive."""
    arrived, taken = desk.arrived(seq), 0
    while True:
        _wait_while(desk, seq, lambda: not arrived)
        item = arrived.popleft()
        if item is None:
            return
        yield codec.decode(item)
        taken += 1
        if taken == STREAM_CREDIT // 2:
            desk.want(seq, taken)
            taken = 0


def _wait_while(desk: Desk, seq: int, lacks: Callable[[], bool]) -> None:
    """Read the channel until the flow can continue; ends it when it is cancelled or the actor must stop."""
    try:
        while True:
            if desk.unwanted(seq):
                raise FlowEnded(wire.CANCELLED)
            if desk.stopping is not None:
                raise FlowEnded(wire.STOPPED)
            if not lacks():
                return
            desk.time_limit.rest()
            desk.flush()
            desk.take_in(desk.channel.receive())
    finally:
        desk.time_limit.renew()
