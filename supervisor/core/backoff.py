"""How long to wait before a restart.

Law: the first restart is at once; from then on the wait doubles up to its cap, chance may lengthen it by
a share, and a healthy stretch makes the next restart a first one again.
May import: specs.
"""

from __future__ import annotations

from typing import Final

from supervisor.specs import Backoff, Intensity

_MOST_DOUBLINGS: Final = 1000
"""2.0 ** 1000 is still a float; no wait that anyone caps grows further."""


def delay(attempt: int, roll: float, backoff: Backoff) -> float:
    """Seconds before the restart number `attempt` of an unhealthy stretch, counted from 0.

    Args:
        attempt: how many restarts the stretch has seen before.
        roll: the dice, in [0, 1).
        backoff: the child's terms.
    """
    if attempt == 0:
        return 0.0
    grown = backoff.initial * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS)
    return min(backoff.cap, grown) * (1.0 + roll * backoff.jitter)


def healthy_after(backoff: Backoff, intensity: Intensity) -> float:
    """Seconds of being ready after which a child counts as healthy."""
    if backoff.healthy_after is not None:
        return backoff.healthy_after
    return max(backoff.cap, intensity.period)


def attempt_after(attempt: int, uptime: float | None, healthy: float) -> int:
    """The number of the restart that follows a life.

    Args:
        attempt: the number it would have if the stretch went on.
        uptime: seconds the life was ready, None when it never was.
        healthy: seconds that end the stretch.
    """
    return 0 if uptime is not None and uptime >= healthy else attempt
