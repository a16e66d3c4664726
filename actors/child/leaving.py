"""Leaving: whether and why one life ends in good order.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

from actors.exits import ExitKind, ExitReason
from actors.ipc.box_cells import Recorder


class Leaving:
    """The wish to end.

    Attributes:
        reason: why it stops, None while it does not.
        if_idle: whether the actor stops as soon as no message waits.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.reason: ExitReason | None = None
        self.if_idle = False
        self._recorder = recorder

    def asked(self) -> None:
        """The supervisor asks the actor to stop."""
        self.reason = self.reason or ExitReason(ExitKind.SHUTDOWN, "asked by the supervisor")

    def stop(self) -> None:
        """The actor stops itself."""
        if self.reason is None:
            self._recorder.leave()
            self.reason = ExitReason(ExitKind.NORMAL, "the actor stopped itself")

    def wish_if_idle(self) -> None:
        """The actor stops itself if no message waits when its handlers have returned."""
        self.if_idle = True

    def settle(self, *, idle: bool) -> None:
        """All handlers have returned: stop, as the actor wished, when no message waits."""
        self.if_idle = False
        if self.reason is None and idle:
            self._recorder.leave_idle()
            self.reason = ExitReason(ExitKind.NORMAL, "the actor stopped itself, as no message waited")
