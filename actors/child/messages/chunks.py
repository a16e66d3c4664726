"""Chunks: the messages of one call to another actor, encoded together by the thousand.

Runs in the actor's process.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final, Union

from actors.errors import UsageError
from actors.exits import with_article
from actors.messages import Message
from actors.protocol.protocol import sent_by_actor
from actors.wire.codec import decoder_of, encode
from actors.wire.to_child import MAX_BULK

MOST_BYTES: Final = 256 * 1024  # of messages that travel together


class Chunk(list[Message[Any]]):
    """Messages that travel together.

    Attributes:
        encoded: as an array.
    """

    def __init__(self, messages: Sequence[Message[Any]], encoded: bytes) -> None:
        super().__init__(messages)
        self.encoded = encoded


def chunks(messages: Sequence[Message[Any]]) -> Iterator[Chunk | Message[Any]]:
    """The messages in their order: many together, and those alone that are too large for that.

    All are looked at before the first is given.

    Raises:
        UsageError: one of them is no message, or cannot be encoded.
    """
    for index, message in enumerate(messages):
        if not isinstance(message, Message):
            kind = with_article(type(message).__qualname__)
            raise UsageError(f"message {index} of this call is {kind}, which is no message")
    pieces = [_encoded(messages[start : start + MAX_BULK], start) for start in range(0, len(messages), MAX_BULK)]
    return (part for piece in pieces for part in _cut(piece))


def _encoded(messages: Sequence[Message[Any]], start: int) -> Chunk:
    try:
        encoded = encode(messages)
        _check_of(frozenset(map(type, messages)))(encoded)
    except Exception:  # as of one: the check of each says which, and what is wrong with it
        for index, message in enumerate(messages, start):
            try:
                sent_by_actor(message)
            except UsageError as error:
                raise UsageError(f"message {index} of this call: {error}") from None
        encoded = encode(messages)
    return Chunk(messages, encoded)


@cache
def _check_of(messages: frozenset[type[Message[Any]]]) -> Callable[[bytes], object]:
    """Decodes an array of messages of these classes."""
    return decoder_of(types.GenericAlias(list, (Union[tuple(messages)],))).decode  # noqa: UP007 - made of values


def _cut(chunk: Chunk) -> Iterator[Chunk | Message[Any]]:
    if len(chunk.encoded) <= MOST_BYTES:
        yield chunk
    elif len(chunk) == 1:
        yield chunk[0]
    else:
        half = len(chunk) // 2
        for part in (chunk[:half], chunk[half:]):
            yield from _cut(Chunk(part, encode(part)))
