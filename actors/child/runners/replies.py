"""Replies: what a handler returned, as its sender gets it.

A reply must have the promised type and fit into a frame, or it is an error of the actor. A large one gets a frame of
its own, and the largest bytes travel as an attachment.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

from typing import Final

import msgspec

from actors.child.life import Life
from actors.child.runners.handling import Payload, Sharing
from actors.errors import UsageError
from actors.protocol.protocol import Handler
from actors.wire import kinds
from actors.wire.attachments import encode_sharing
from actors.wire.framing import BESIDE, LARGE, ROOM, Attachment, Carried
from actors.wire.kinds import NOTHING

LEAST_INT: Final = -(2**63)  # what an int in eight bytes can be
MOST_INT: Final = 2**63 - 1


def payload_of(life: Life, handler: Handler, kind: int, reply: object) -> Payload:
    """What the sender of a message of that kind gets when its handler returned.

    Raises:
        UsageError: the reply does not have the promised type, or is too large.
    """
    if kind == kinds.TELL:
        return NOTHING
    if type(reply) is bytes and len(reply) >= BESIDE and handler.reply.promised is bytes:
        _check_size(life, len(reply))
        return Attachment(reply)
    if handler.reply.shares:
        data, attachments = item_of(life, handler, reply)
        return Sharing(msgspec.Raw(data), attachments) if attachments else msgspec.Raw(data)
    data = handler.reply.encode(reply)
    if len(data) >= LARGE:
        _make_way(life, len(data))
    return msgspec.Raw(data)


def _check_size(life: Life, size: int) -> None:
    most = life.channel.most - ROOM
    if size > most:
        raise UsageError(f"the reply has {size} bytes, the most is {most}; return Shared, a stream, or a path")


def item_of(life: Life, handler: Handler, item: object) -> tuple[bytes, tuple[Carried, ...]]:
    """The bytes of an item, checked, and its values in shared memory.

    Raises:
        UsageError: it does not have the promised type, or is too large.
    """
    codec = handler.reply
    attachments: tuple[Carried, ...] = ()
    if codec.shares:
        data, attachments = encode_sharing(item, codec.encode)
    else:
        data = codec.encode(item)
    if len(data) >= LARGE:
        _make_way(life, len(data))
    return data, attachments


def _make_way(life: Life, size: int) -> None:
    """A reply of that size gets a frame of its own: what waits leaves before it."""
    _check_size(life, size)
    life.outbox.flush()
