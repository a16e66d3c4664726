"""Sync flows: sync handlers that stream or are fed. They read the channel while they wait for credit or items.

Runs in the actor's process, in its main thread; only in one with such handlers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from actors.child.life import Life
from actors.child.messages.streams import FlowEnded, decoded_item
from actors.child.runners.batches import Work
from actors.child.runners.handling import Handling, Payload
from actors.child.runners.replies import item_of, payload_of
from actors.messages import Message
from actors.protocol.protocol import Handler
from actors.ref import STREAM_CREDIT, credit_of
from actors.wire import kinds
from actors.wire.codec import ReplyCodec
from actors.wire.kinds import NOTHING
from actors.wire.to_child import Envelope


def outcome_of_flow(
    handling: Handling, handler: Handler, method: Work, envelope: Envelope[Message[Any]]
) -> Payload | None:
    """Call a handler that streams or is fed; returns what its sender gets in the end.

    None when it was ended early, and its sender has that already.
    """
    try:
        return _called(handling.life, handler, method, envelope)
    except FlowEnded as ended:
        handling.finish(envelope, ended.kind, NOTHING, 0)
        return None


def _called(life: Life, handler: Handler, method: Work, envelope: Envelope[Message[Any]]) -> Payload:
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
        taken += credit_of(item[1])
        if taken >= STREAM_CREDIT // 2:
            life.streams.want(seq, taken)
            taken = 0


def _wait_while(life: Life, seq: int, lacks: Callable[[], bool]) -> None:
    """Read the channel until the flow can continue; ends it when it is cancelled or the actor must stop."""
    try:
        while True:
            if seq in life.inbox.cancelled:
                raise FlowEnded(kinds.CANCELLED)
            if life.leaving.reason is not None:
                raise FlowEnded(kinds.STOPPED)
            if not lacks():
                return
            life.time_limit.rest()
            life.outbox.flush()
            life.channel.readable(None)  # here a signal handler of the actor may raise, not inside `receive`
            life.inbox.receive()
    finally:
        life.time_limit.renew()
