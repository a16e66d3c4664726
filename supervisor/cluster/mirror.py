"""Mirror: what is known in the daemon of the black box of a life on another machine: its last sample.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from actors.wire.counts import Counts
from actors.wire.progress import NOTHING_BEGUN, Activity, Progress
from supervisor.cluster.clock import RemoteClock
from supervisor.cluster.link.wire import Sample
from supervisor.core.health.condition import UNSEEN, Condition


class Mirror:
    """The last sample of one life.

    Args:
        on_ring: rings the doorbell there.

    Attributes:
        condition: how the kernel treated its process.
        resident: bytes of its process.
        read: when it was read, time.monotonic_ns() of this machine; 0 before the first.
    """

    def __init__(self, on_ring: Callable[[], None]) -> None:
        self.condition: Condition = UNSEEN
        self.resident: int | None = None
        self.read = 0
        self._begun: dict[tuple[int, int], int] = {}  # when calls began here, by lane and beginning there
        self._activity = Activity((), 0, 0, False)
        self._progress: Progress = NOTHING_BEGUN
        self._text = ""
        self._counts: Counts = {}
        self._rings = 0  # sent
        self._heard = 0  # of them, when the last sample was read
        self._on_ring = on_ring

    @property
    def caught_up(self) -> bool:
        """Whether the last sample was read after the last ring."""
        return self._heard == self._rings

    def ring(self) -> None:
        """Let the process read what was sent before it begins another message."""
        self._rings += 1
        self._on_ring()

    def show(self, sample: Sample, clock: RemoteClock) -> None:
        """A new sample has come."""
        self._heard = sample.rings
        self.read = clock.ns(sample.read)
        self._activity = self._in_our_time(sample.activity, clock)
        self._progress = clock.progress(sample.progress)
        if sample.condition is not None:
            self.condition = sample.condition
            self.resident = sample.resident
            self._counts = sample.counts
        if sample.text is not None:
            self._text = sample.text

    def _in_our_time(self, there: Activity, clock: RemoteClock) -> Activity:
        """A call that goes on has begun when it had before: its monitors know it by that, and the clock gets better."""
        here = clock.activity(there)
        calls = [(one.lane, one.since) for one in there.work]
        self._begun = {call: self._begun.get(call, one.since) for call, one in zip(calls, here.work, strict=True)}
        work = [
            msgspec.structs.replace(one, since=self._begun[call]) for call, one in zip(calls, here.work, strict=True)
        ]
        return msgspec.structs.replace(here, work=tuple(work))

    def rewind(self) -> None:
        """The text is empty until it is written again."""
        self._text = ""

    def progress(self) -> Progress:
        """What it has begun, and is handling."""
        return self._progress

    def activity(self) -> Activity:
        """Its handler calls in progress."""
        return self._activity

    def counts(self) -> Counts:
        """What the actor had counted a moment ago."""
        return self._counts

    def text(self) -> str:
        """The stacks it has written."""
        return self._text
