"""Chunks: the messages of one call to another actor, encoded together by the thousand.

Runs in the actor's process.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final, Union

from actors.errors import UsageError
from actors.messages import Message
from actors.protocol.protocol import no_message, sent_by_actor
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
    """The messages in their order: many together, and those alone that are too large for that or carry shared values.

    All are looked at before the first is given.

    Raises:
        UsageError: one of them is no message, or cannot be encoded.
    """
    for index, message in enumerate(messages):
        if not isinstance(message, Message):
            raise UsageError(f"message {index} of this call: {no_message(message)}")
    starts = range(0, len(messages), MAX_BULK)
    pieces = [piece for start in starts for piece in _encoded(messages[start : start + MAX_BULK], start)]
    return (part for piece in pieces for part in (_cut(piece) if isinstance(piece, Chunk) else (piece,)))


def _encoded(messages: Sequence[Message[Any]], start: int) -> list[Chunk | Message[Any]]:
    try:
        encoded = encode(messages)
        _check_of(frozenset(map(type, messages)))(encoded)
    except Exception:  # as of one: the check of each says which, and what is wrong with it
        return _apart(messages, start)
    return [Chunk(messages, encoded)]


def _apart(messages: Sequence[Message[Any]], start: int) -> list[Chunk | Message[Any]]:
    """Each that carries values in shared memory alone, the others together."""
    parts: list[Chunk | Message[Any]] = []
    together: list[Message[Any]] = []
    for index, message in enumerate(messages, start):
        try:
            alone = sent_by_actor(message).attachments is not None
        except UsageError as error:
            raise UsageError(f"message {index} of this call: {error}") from None
        if not alone:
            together.append(message)
            continue
        if together:
            parts.append(Chunk(together, encode(together)))
            together = []
        parts.append(message)
    if together:
        parts.append(Chunk(together, encode(together)))
    return parts


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
