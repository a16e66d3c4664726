"""Clock: which time the trees of an event loop use: the system's monotonic one, or a test's virtual one.

Any thread.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary, WeakSet

from actors.errors import UsageError

if TYPE_CHECKING:
    from actors.child.messages.driver import Clock

VIRTUAL: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Clock]] = WeakKeyDictionary()
"""The virtual clocks, see `supervisor.testing.clock`."""

REAL: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, WeakSet[object]]] = WeakKeyDictionary()
"""What starts processes on a loop, whose time is real."""


_MACHINE: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def machine_time() -> float:
    """Seconds for ages: the machine's own time, which cannot be set and which goes on while the machine sleeps."""
    return time.clock_gettime(_MACHINE)


def clock_of(loop: asyncio.AbstractEventLoop) -> Clock:
    """The clock of a loop's trees: `time` itself, where no test has set another one."""
    return VIRTUAL.get(loop) or time


def check_time_is_real() -> None:
    """Check that the running loop, if there is one, has no virtual clock.

    Raises:
        UsageError: it has one.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    if loop in VIRTUAL:
        raise UsageError(
            "this event loop has a virtual clock (actors.testing), and the time of processes is real; use "
            "InlineSupervisor or the fixture `tree` here, or run this tree in a test without inline actors"
        )
