"""Allowance: how long the handler under way may take, noted in the black box, where the daemon looks for it.

A word of the handler's is one or two stores into its own lane; nobody is asked, nobody is woken.

Runs in the actor's process, in the thread that runs its handlers.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Final

from actors.bounds import LEAST_SECONDS, check_time
from actors.ipc.blackbox import BlackBox

LANE: Final[ContextVar[int]] = ContextVar("LANE", default=0)
"""The lane of the handler that runs in this context; sync handlers have one lane only."""

_FOR_EVER: Final = 2**63 - 1  # ns; a handler that waits for somebody else's sake


class TimeLimit:
    """What a life's handlers may take.

    Args:
        box: where it is noted.
        limit: seconds one handler may take, or in a stream or a feed one item; 0 without a limit.
    """

    def __init__(self, box: BlackBox, limit: float) -> None:
        self._box = box
        self._limit = int(limit * 1e9)

    def extend(self, seconds: float) -> None:
        """See `Context.extend`.

        Raises:
            UsageError: it is no number of seconds above 0.
        """
        check_time("what context.extend asks for", seconds, LEAST_SECONDS)
        self._box.grant(_in(seconds), LANE.get())

    def rest(self) -> None:
        """The handler waits for a reader, or for items: the time until `renew` is not its own."""
        if self._limit:
            self._box.grant(_FOR_EVER, LANE.get())

    def renew(self) -> None:
        """An item was given or taken: the limit begins anew."""
        if self._limit:
            self._box.grant(time.monotonic_ns() + self._limit, LANE.get())


def _in(seconds: float) -> int:
    """The time.monotonic_ns() in so many seconds, as far as a cell reaches."""
    return min(_FOR_EVER, time.monotonic_ns() + int(seconds * 1e9))
