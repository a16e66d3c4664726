"""Deaths: what the ends of a child's lives add up to: restarts by cause, CPU time.

Counted in the daemon, kept while the child has a spec.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections import Counter

from actors.exits import ExitKind, ExitReport
from supervisor.core.causes import CauseKind
from supervisor.core.tree.commands import Decision

_RESTARTS = frozenset({Decision.RESTART, Decision.RECYCLE})


class Ended:
    """What is known of the lives of one child that have ended.

    Attributes:
        restarts: how many of them were followed by another life, by cause.
        cpu_time: seconds of CPU time of all of them.
    """

    __slots__ = ("cpu_time", "restarts")

    def __init__(self) -> None:
        self.restarts: Counter[str] = Counter()
        self.cpu_time = 0.0


class Deaths:
    """The ends of all lives of one tree, by path."""

    def __init__(self) -> None:
        self._ended: dict[str, Ended] = {}

    def add(self, report: ExitReport) -> None:
        """A life has ended."""
        ended = self._ended.setdefault(report.actor, Ended())
        ended.cpu_time += report.cpu_time or 0.0
        if report.decision in _RESTARTS:
            ended.restarts[cause_of(report)] += 1

    def of(self, path: str) -> Ended:
        """What the lives of a child add up to."""
        return self._ended.get(path) or Ended()

    def forget(self, path: str) -> None:
        """The child at this path is gone, with everything below it."""
        for known in [known for known in self._ended if known == path or known.startswith(f"{path}/")]:
            del self._ended[known]


def cause_of(report: ExitReport) -> str:
    """The cause of a death in one word: the kind of a `Cause`, `recycle`, or the kind of the reason."""
    reason = report.reason
    words = {
        "recycle": report.decision == Decision.RECYCLE,
        CauseKind.HANG.value: reason.detail.startswith("hung:"),
        CauseKind.OUT_OF_MEMORY.value: bool(report.out_of_memory),
        CauseKind.FAILED_START.value: reason.kind is ExitKind.UNSTARTED,
        CauseKind.SIGNAL.value: reason.kind is ExitKind.KILLED and report.signal is not None,
        CauseKind.EXCEPTION.value: reason.kind is ExitKind.CRASHED and report.traceback is not None,
        CauseKind.EXIT_CODE.value: reason.kind is ExitKind.CRASHED and report.exit_code is not None,
    }
    return next((word for word, holds in words.items() if holds), reason.kind.value)
