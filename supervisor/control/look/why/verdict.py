"""Verdict: a finding in one word, and the sentence that goes with it. Pure."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    """A finding in one word, for scripts."""

    HEALTHY = "healthy"
    RESTARTED = "restarted"  # it died a moment ago, and runs again
    CRASH_LOOP = "crash_loop"
    WAITING = "waiting"  # for its restart
    HUNG = "hung"  # over its limit, or in one handler for long
    SUSPENDED = "suspended"  # by SIGSTOP
    DEGRADED = "degraded"  # as it says itself
    SLOW = "slow"  # messages come faster than it handles them
    LEAKING = "leaking"
    STARTING = "starting"
    STOPPING = "stopping"
    IDLE = "idle"  # it ended by itself because there was nothing to do
    DOWN = "down"  # and stays down
    GAVE_UP = "gave_up"
    NOT_STARTED = "not_started"


class Why(msgspec.Struct, frozen=True):
    """The parts of the sentence; what does not apply is empty.

    Attributes:
        verdict: in one word.
        happened: what, after the name of the child.
        decided: what, and by which rule.
        next: what happens next, and when.
        remedy: what a person can do.
    """

    verdict: Verdict
    happened: str
    decided: str = ""
    next: str = ""
    remedy: str = ""

    def sentence(self, path: str) -> str:
        """All of it as one sentence."""
        rest = "; ".join(part for part in (self.decided, self.next, self.remedy) if part)
        return f"{path} {self.happened}{f': {rest}' if rest else ''}."
