"""Parts: values in shared memory on their way between two machines: as bytes, a part at a time.

    Outgoing: value ─▶ Part, Part, ... or, where the other side has it already, Given
    Joiner: Part, Part, ... ─▶ value, in shared memory of that machine

Parts are small, so values of one life hold up neither other lives nor the pings of the link. Runs on the loop's thread.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import Final, Protocol

from actors.errors import WireError
from actors.ipc.shared_memory import Draft, LostSegment, Segment, available
from actors.wire.framing import Carried, SharedAttachment
from supervisor.cluster.link.wire import Given, Part

PART: Final = 128 * 1024  # bytes


def crosses(value: SharedAttachment) -> bool:
    """Whether there are bytes of it: one may have been lost on its way here."""
    return isinstance(value.origin, Segment) and value.size > 0


class Stock(Protocol):
    """What both machines know of the values that have crossed."""

    def number_of(self, value: SharedAttachment) -> int:
        """The number under which the other side has it; 0 when it has not."""

    def crossing(self, value: SharedAttachment) -> int:
        """The number under which it will have it; 0 when it is not to keep it."""


class Outgoing:
    """The values that leave for, or from, one life.

    Args:
        number: of the life.
        stock: the values that are there already.
    """

    def __init__(self, number: int, stock: Stock) -> None:
        self._number = number
        self._stock = stock
        self._values: deque[SharedAttachment] = deque()
        self._at = 0  # bytes of the first that have left

    def __bool__(self) -> bool:
        return bool(self._values)

    def add(self, value: SharedAttachment) -> None:
        """Let it leave behind those before. It `crosses`."""
        self._values.append(value)

    def next(self, room: int) -> Part | Given:
        """What is sent next: at most that many bytes, at least one. Nothing is mapped, which could fail midway."""
        value = self._values[0]
        if not self._at and (known := self._stock.number_of(value)):
            self._values.popleft()
            return Given(self._number, known)
        origin = value.origin
        assert isinstance(origin, Segment)  # noqa: S101 - it crosses
        data = origin.read(self._at, min(room, PART))
        self._at += len(data)
        if self._at < value.size:
            return Part(self._number, value.size, data)
        self._at = 0
        self._values.popleft()
        return Part(self._number, value.size, data, self._stock.crossing(value))

    def clear(self) -> None:
        """The life has ended."""
        self._values.clear()
        self._at = 0


class Joiner:
    """Joins the parts of the values of one life, one value after the other."""

    def __init__(self) -> None:
        self._draft: Draft | None = None
        self._size = 0  # of the value that arrives
        self._at = 0

    def put(self, part: Part) -> Carried | None:
        """The value that is complete with this part.

        Raises:
            WireError: it is none of the value that arrives.
        """
        if not self._at:
            self._size = part.size
            with contextlib.suppress(OSError):
                self._draft = Draft(part.size, shared=available())
        if part.size != self._size or not part.data or self._at + len(part.data) > self._size:
            raise WireError("a part belongs to no value in shared memory")
        if self._draft is not None:
            try:
                self._draft.write(memoryview(part.data), self._at)
            except OSError:  # no memory is left here
                self._draft.close()
                self._draft = None
        self._at += len(part.data)
        if self._at < self._size:
            return None
        draft, self._draft, self._at = self._draft, None, 0
        if draft is None:
            return LostSegment(self._size)
        return draft.seal()
