"""Restart rate: the sliding window that bounds restarts, and the pause before each. Pure.

The window is OTP's: add this restart, drop those older than `period`; the supervisor continues if no more than
`max_restarts` are left. The pause is Pekko's: the first restart is at once, then the wait doubles up to its cap, plus
random jitter. Time and random numbers are arguments.
"""

from __future__ import annotations

from typing import Final

import msgspec

from supervisor.core.terms import Backoff, ChildTerms, Intensity


class Window(msgspec.Struct, frozen=True):
    """The restarts that still count, oldest first, in the machine's seconds."""

    restarts: tuple[float, ...] = ()

    def add(self, now: float, intensity: Intensity) -> Window:
        """The window with one more restart, and without those that have left it."""
        return Window((*self._since(now - intensity.period), now))

    def held(self, now: float, intensity: Intensity) -> int:
        """How many restarts the window holds now."""
        return len(self._since(now - intensity.period))

    def exceeds(self, intensity: Intensity) -> bool:
        """Whether it holds more than allowed; asked right after `add`."""
        return intensity.max_restarts is not None and len(self.restarts) > intensity.max_restarts

    def _since(self, oldest: float) -> tuple[float, ...]:
        return tuple(at for at in self.restarts if at >= oldest)


class Budgets:
    """The restarts of all children that still count. Members of a pool have budgets of their own."""

    def __init__(self, intensity: Intensity) -> None:
        self._intensity = intensity
        self._windows = {_SHARED: Window()}  # by budget

    def exceeded(self, child: ChildTerms, now: float) -> bool:
        """Count one restart of a child; returns whether that is one too many."""
        budget = _budget(child)
        window = self._windows[budget] = self._windows.get(budget, Window()).add(now, self._intensity)
        return window.exceeds(self._intensity)

    def held(self, child: ChildTerms, now: float) -> int:
        """How many restarts count against the budget of a child."""
        return self._windows.get(_budget(child), Window()).held(now, self._intensity)

    def most(self, now: float) -> int:
        """How many restarts count in the budget that is nearest its end."""
        return max(window.held(now, self._intensity) for window in self._windows.values())

    def forget(self, child: ChildTerms) -> None:
        """A child is deleted."""
        if child.own_budget:
            self._windows.pop(_budget(child), None)


def _budget(child: ChildTerms) -> str:
    return child.name if child.own_budget else _SHARED


_SHARED: Final = ""
_MAX_DOUBLINGS: Final = 1000
"""2.0 ** 1000 is still a float; every capped wait has reached its cap by then."""
_DEFAULT: Final = Backoff()


def terms_for(backoff: Backoff | None, intensity: Intensity) -> Backoff:
    """The backoff of a child: its own, or the default, short enough for the intensity to be reached."""
    if backoff is not None:
        return backoff
    most = intensity.max_restarts
    if most is None or span(_DEFAULT, most) <= intensity.period:
        return _DEFAULT
    wait = intensity.period / (2 * most)  # the other half of the period is for the starts
    return Backoff(initial=min(wait, _DEFAULT.initial), cap=min(wait, _DEFAULT.cap))


def span(terms: Backoff, restarts: int) -> float:
    """The least seconds that the waits before this many restarts after the first take."""
    total = 0.0
    for attempt in range(1, restarts + 1):
        wait = delay(attempt, 0.0, terms)
        if wait in (0.0, terms.cap):  # it has reached its cap
            return total + wait * (restarts - attempt + 1)
        total += wait
    return total


def delay(attempt: int, roll: float, backoff: Backoff) -> float:
    """Seconds before restart number `attempt` of an unhealthy stretch, counted from 0.

    Args:
        attempt: how many restarts the stretch has had before.
        roll: a random number in [0, 1).
        backoff: the child's terms.
    """
    if attempt == 0:
        return 0.0
    grown = backoff.initial * 2.0 ** min(attempt - 1, _MAX_DOUBLINGS)
    return min(backoff.cap, grown) * (1.0 + roll * backoff.jitter)


def healthy_after(backoff: Backoff, intensity: Intensity) -> float:
    """Seconds of being ready after which a child counts as healthy."""
    if backoff.healthy_after is not None:
        return backoff.healthy_after
    return max(backoff.cap, intensity.period)


def attempt_after(attempt: int, uptime: float | None, healthy: float) -> int:
    """The number of the restart that follows a life.

    Args:
        attempt: the number it would have if the stretch continued.
        uptime: seconds the life was ready, None when it never was.
        healthy: seconds that end the stretch.
    """
    return 0 if uptime is not None and uptime >= healthy else attempt
