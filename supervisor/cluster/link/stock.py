"""Stock: values in shared memory that have crossed between two machines, so that none crosses again to the same one.

    the daemon: KnownValues, which values the agent has, too, while the daemon has them
    the agent: KeptValues, these values; it lets go of one when the daemon has, and of all when it ends

The daemon has its own copy of each, so a message outlives the machine of its sender. Runs on the loop's thread.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Final

from actors.ipc.shared_memory import LostSegment, Segment
from actors.wire.framing import SharedAttachment

MOST: Final = 256  # values that one agent keeps; each costs it a descriptor


class KnownValues:
    """The values that one agent keeps.

    Args:
        forget: lets the agent forget a number. Called in any thread.
    """

    def __init__(self, forget: Callable[[int], None]) -> None:
        self._forget = forget
        self._next = itertools.count(1)
        self._numbers: weakref.WeakKeyDictionary[SharedAttachment, int] = weakref.WeakKeyDictionary()
        self._crossing: weakref.WeakValueDictionary[int, SharedAttachment] = weakref.WeakValueDictionary()

    def number_of(self, value: SharedAttachment) -> int:
        """See `Stock`."""
        return self._numbers.get(value.origin, 0)

    def crossing(self, value: SharedAttachment) -> int:
        """See `Stock`. It counts as there when the agent says so."""
        if len(self._numbers) + len(self._crossing) >= MOST:
            return 0
        number = next(self._next)
        self._crossing[number] = value.origin
        return number

    def has(self, number: int) -> None:
        """The agent has what has crossed under that number."""
        self.add(number, self._crossing.pop(number, None))

    def add(self, number: int, value: object) -> None:
        """The agent has that value; when the daemon lets go of its own the agent does, too."""
        if not isinstance(value, Segment):
            self._forget(number)
            return
        self._numbers[value] = number
        weakref.finalize(value, self._forget, number).atexit = False


class KeptValues:
    """The values that the agent keeps: those it has sent have numbers below 0, those that came above."""

    def __init__(self) -> None:
        self._next = itertools.count(-1, -1)
        self._values: dict[int, SharedAttachment] = {}

    def number_of(self, value: SharedAttachment) -> int:
        """See `Stock`. The daemon may let go of what it has at any moment."""
        del value
        return 0

    def crossing(self, value: SharedAttachment) -> int:
        """See `Stock`."""
        if len(self._values) >= MOST:
            return 0
        number = next(self._next)
        self._values[number] = value
        return number

    def add(self, number: int, value: SharedAttachment) -> None:
        """The daemon has sent that value."""
        self._values[number] = value

    def get(self, number: int) -> SharedAttachment:
        """That value."""
        return self._values.get(number) or LostSegment(0)

    def forget(self, number: int) -> None:
        """The daemon has let go of it."""
        self._values.pop(number, None)
