"""Parcel: messages of one call, joined while none has to be treated by itself; QueuedBulk: one in a queue. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from actors.wire.codec import encode
from actors.wire.to_child import Bulk
from supervisor.core.delivery.messages import Classes, QueuedMessage

_BULK_TAG: Final = Bulk.__struct_config__.tag
_HEADS: Final = {0xDC: 3, 0xDD: 5}  # bytes before the items of an encoded array, by its first byte; else one
_cut: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def cut_array(encoded: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """The items of an encoded array, each as its bytes."""
    return _cut(encoded)


def array_head(count: int) -> bytes:
    """What comes before the items of an encoded array."""
    return b"\xdd" + count.to_bytes(4, "big")


class Parcel:
    """Consecutive encoded messages.

    Attributes:
        count: how many.
    """

    __slots__ = ("_body", "_payloads", "count")

    def __init__(self, count: int, body: bytes | None, payloads: list[msgspec.Raw] | None = None) -> None:
        self.count = count
        self._body = body  # None while they are apart
        self._payloads = payloads  # None while they are joined

    @classmethod
    def of_array(cls, count: int, encoded: bytes) -> Parcel:
        """The items of an encoded array, which are so many."""
        return cls(count, encoded[_HEADS.get(encoded[0], 1) :])

    @property
    def body(self) -> bytes:
        """Their bytes, joined."""
        if self._body is None:
            self._body = b"".join(self._payloads or ())
        return self._body

    def payloads(self) -> list[msgspec.Raw]:
        """The bytes of each."""
        if self._payloads is None:
            self._payloads = _cut(array_head(self.count) + self.body)
        return self._payloads

    def split(self, size: int) -> tuple[Parcel, Parcel]:
        """The first `size`, and the rest."""
        payloads = self.payloads()
        first, rest = payloads[:size], payloads[size:]
        return Parcel(len(first), None, first), Parcel(len(rest), None, rest)


NOTHING: Final = Parcel(0, b"", [])


class QueuedBulk:
    """Consecutive messages of one `tell_many` or `ask_many`, encoded together.

    They are taken apart only where one of them has to be treated by itself.

    Args:
        seq: the sequence number of the first.
        kind: TELL or ASK.
        sender: path of the actor that sent them, None when the daemon did.
        deadline: of all of them.
        parcel: the messages.
        classes: the message classes of the actor.
        trace: the trace context of all of them.
    """

    __slots__ = ("_deadline", "_parcel", "_sender", "_trace", "classes", "kind", "seq")

    def __init__(  # noqa: PLR0917 - as an envelope
        self,
        seq: int,
        kind: int,
        sender: str | None,
        deadline: float | None,
        parcel: Parcel,
        classes: Classes,
        trace: str | None = None,
    ) -> None:
        self.seq = seq
        self.kind = kind
        self.classes = classes
        self._sender = sender
        self._deadline = deadline
        self._parcel = parcel
        self._trace = trace

    def __len__(self) -> int:
        return self._parcel.count

    def pieces(self, ahead: float = 0.0) -> tuple[bytes, Sequence[bytes]]:
        """The frame that carries it: its head, and the rest, to be joined.

        `ahead` is by how many seconds the clock of the receiver is ahead of this one.
        """
        parcel = self._parcel
        deadline = None if self._deadline is None else self._deadline + ahead
        head = encode((_BULK_TAG, self.seq, self.kind, self._sender, deadline))  # an array of five; the sixth is
        if self._trace is None:
            return b"\x96" + head[1:] + array_head(parcel.count), (parcel.body,)  # the list of messages
        return b"\x97" + head[1:] + array_head(parcel.count), (parcel.body, encode(self._trace))

    def drop(self, size: int) -> None:
        """Remove the first `size`."""
        _, self._parcel = self._parcel.split(size)
        self.seq += size

    def messages(self) -> Iterator[QueuedMessage]:
        """The same messages as separate QueuedMessages."""
        handler_of, given = self.classes.handler_of, (self.kind, self._sender, self._deadline)
        for seq, payload in enumerate(self._parcel.payloads(), self.seq):
            yield QueuedMessage(seq, *given, payload, trace=self._trace, handler=handler_of(payload))

    def split(self, size: int) -> QueuedBulk:
        """Keep the first `size`; returns the rest."""
        first, rest = self._parcel.split(size)
        self._parcel = first
        return QueuedBulk(self.seq + size, self.kind, self._sender, self._deadline, rest, self.classes, self._trace)
