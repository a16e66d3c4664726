"""Clock: times of another machine's monotonic clock, as times of this one, and back. Pure.

No clock of two machines agrees, and a monotonic one counts from its own start. What is known is from pings: when one
left, when the answer came, and what the other clock said between. The answer that took the shortest is the best.
"""

from __future__ import annotations

from typing import Final

from actors.wire.progress import Activity, Progress, Work

KEPT: Final = 8  # answers that are compared; clocks drift, so old ones are dropped


class RemoteClock:
    """What is known of another machine's clock, in ns."""

    def __init__(self) -> None:
        self._answers: list[tuple[int, int]] = []  # how long each took, and how far the other clock is ahead
        self.ahead = 0

    def heard(self, sent: int, there: int, now: int) -> None:
        """The answer to a ping that was sent at `sent` came at `now`; the other clock said `there`."""
        self._answers = [*self._answers[1 - KEPT :], (now - sent, there - (sent + now) // 2)]
        self.ahead = min(self._answers)[1]

    def there(self, seconds: float | None) -> float | None:
        """A time of this machine's clock, as one of the other's; None stays None."""
        return None if seconds is None else seconds + self.ahead / 1e9

    def here(self, seconds: float | None) -> float | None:
        """A time of the other machine's clock, as one of this one's; None stays None."""
        return None if seconds is None else max(0.0, seconds - self.ahead / 1e9)

    def progress(self, there: Progress) -> Progress:
        """The same, in times of this machine."""
        return Progress(there.begun, there.active, self.ns(there.since), there.handler, there.decoding)

    def activity(self, there: Activity) -> Activity:
        """The same, in times of this machine."""
        work = tuple(Work(one.lane, self.ns(one.since), self.ns(one.until), one.handler) for one in there.work)
        return Activity(work, there.steps, there.heartbeats, there.leaving, self.ns(there.health_since))

    def ns(self, there: int) -> int:
        """A time of the other machine's clock in ns, as one of this one's; 0 means none in both."""
        return there and max(1, there - self.ahead)
