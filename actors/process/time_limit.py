"""TimeLimit: how long the running handler may take, recorded in the black box, where the daemon reads it.

Extending the limit writes one or two cells; no lock, no system call.

Runs in the actor's process, in the thread that runs its handlers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from actors.bounds import LEAST_SECONDS, check_time
from actors.ipc.box_cells import Recorder

LANE: Final[ContextVar[int]] = ContextVar("LANE", default=0)
"""The lane of the handler that runs in this context; sync handlers have one lane only."""

_FOR_EVER: Final = 2**63 - 1  # ns, the most that a cell holds; for a handler that waits for a reader or for items


class TimeLimit:
    """The limit of a life's handlers.

    Args:
        recorder: where it is recorded.
        limit: seconds one handler may take, or in a stream or a feed one item; 0 without a limit.
        now: nanoseconds of the life's clock.
    """

    def __init__(self, recorder: Recorder, limit: float, now: Callable[[], int]) -> None:
        self._recorder = recorder
        self._limit = int(limit * 1e9)
        self._now = now

    def extend(self, seconds: float) -> None:
        """See `Context.extend`.

        Raises:
            UsageError: `seconds` is not a number above 0.
        """
        check_time("what context.extend asks for", seconds, LEAST_SECONDS)
        self._recorder.grant(min(_FOR_EVER, self._now() + int(seconds * 1e9)), LANE.get())

    def rest(self) -> None:
        """The handler waits for a reader or for items: suspend its limit until `renew`."""
        if self._limit:
            self._recorder.grant(_FOR_EVER, LANE.get())

    def renew(self) -> None:
        """An item was given or taken: the limit starts again."""
        if self._limit:
            self._recorder.grant(self._now() + self._limit, LANE.get())
