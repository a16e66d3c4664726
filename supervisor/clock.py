"""Clock: which time the trees of an event loop use: the system's monotonic one, or a test's virtual one.

Any thread.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final
from weakref import WeakKeyDictionary

from actors.child.driver import Clock

VIRTUAL: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Clock]] = WeakKeyDictionary()
"""The virtual clocks, see `supervisor.testing.clock`."""


def clock_of(loop: asyncio.AbstractEventLoop) -> Clock:
    """The clock of a loop's trees: `time` itself, where no test has set another one."""
    return VIRTUAL.get(loop) or time
