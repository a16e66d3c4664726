"""Commands: what a supervisor decides to do.

A command is a plain value. The engine carries it out, and a failure returns as an event. Pure.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

from actors.exits import ExitReason
from supervisor.core.terms import RestartPolicy
from supervisor.core.tree.events import Timer


class Command(msgspec.Struct, frozen=True, tag=True):
    """Base of all commands."""


class AddChild(Command, frozen=True):
    """A call has added a child: make it of the spec that came with the call. Always before its first `StartChild`."""

    child: str
    ticket: int


class StartChild(Command, frozen=True):
    """Start a new life of a child. The engine answers with ChildReady or ChildExited."""

    child: str
    life: int


class AwaitStreams(Command, frozen=True):
    """The successor of a life is ready. The engine answers with StreamsOver when the life has no stream in flight."""

    child: str
    life: int


class StopChild(Command, frozen=True):
    """Ask a life to stop. The engine answers with ChildExited when it has ended."""

    child: str
    life: int


class KillChild(Command, frozen=True):
    """End a life with SIGKILL. The engine answers with ChildExited."""

    child: str
    life: int


class SetTimer(Command, frozen=True):
    """Fire `TimerFired(timer)` after this many seconds; a timer of the same name is replaced."""

    timer: Timer
    after: float


class CancelTimer(Command, frozen=True):
    """Cancel a timer."""

    timer: Timer


class CloseMailbox(Command, frozen=True, tag="Retire"):
    """The child is down and stays down: close its mailbox; every message in it becomes a dead letter."""

    child: str
    because: str


class DeleteChild(Command, frozen=True, tag="Forget"):
    """The child's spec is gone: drop everything kept under its name. Always after `CloseMailbox`."""

    child: str


class Decision(StrEnum):
    """What follows from a death."""

    RESTART = "restart"  # it will be started again, after `delay` seconds
    LEAVE_DOWN = "leave_down"  # its policy says no
    GIVE_UP = "give_up"  # the supervisor exceeded its intensity
    EXPECTED = "expected"  # it was asked to stop
    RECYCLE = "recycle"  # it was asked to stop for the next life, which starts at once


class ReportReady(Command, frozen=True):
    """Report that a life is ready."""

    child: str
    life: int


class ReportExit(Command, frozen=True):
    """Report that a life ended, and what follows. Exactly one for every ChildExited of a current life.

    Attributes:
        because: one line, for instance `permanent children are restarted`.
        delay: seconds until the next start, None when there is none.
        restarts: how many restarts the window holds now, this one included.
    """

    child: str
    life: int
    reason: ExitReason
    policy: RestartPolicy
    decision: Decision
    because: str
    delay: float | None
    restarts: int


class Verdict(StrEnum):
    """How an API call ended. The words are OTP's."""

    OK = "ok"
    ALREADY_PRESENT = "already_present"
    ALREADY_STARTED = "already_started"
    NOT_FOUND = "not_found"
    RUNNING = "running"
    RESTARTING = "restarting"
    MAX_CHILDREN = "max_children"
    START_FAILED = "start_failed"
    STOPPING = "stopping"
    REFUSED = "refused"


class Answer(Command, frozen=True):
    """The end of an API call; `detail` is one line for a person."""

    ticket: int
    verdict: Verdict
    detail: str = ""


class Running(Command, frozen=True):
    """Every static child is ready: the supervisor runs."""


class Terminate(Command, frozen=True):
    """All children are down and the supervisor has ended. Nothing follows.

    `failed` names the child whose death (or failed start) ended it, empty when it was asked to stop; `started` is
    False when it ended before it was ever running.
    """

    reason: ExitReason
    failed: str = ""
    exceeded: bool = False
    started: bool = True


AnyCommand = (
    AddChild
    | StartChild
    | AwaitStreams
    | StopChild
    | KillChild
    | SetTimer
    | CancelTimer
    | CloseMailbox
    | DeleteChild
    | ReportReady
    | ReportExit
    | Answer
    | Running
    | Terminate
)


class CommandBuffer:
    """Collects the commands of the machine."""

    def __init__(self) -> None:
        self._said: list[AnyCommand] = []
        self._set: set[Timer] = set()

    def say(self, command: AnyCommand) -> None:
        """Add a command."""
        self._said.append(command)

    def arm(self, timer: Timer, after: float) -> None:
        """Set a timer, unless it is set already; an infinite one needs none."""
        if timer not in self._set and not math.isinf(after):
            self._set.add(timer)
            self.say(SetTimer(timer, after))

    def disarm(self, timer: Timer) -> None:
        """Cancel a timer if it is set."""
        if timer in self._set:
            self._set.remove(timer)
            self.say(CancelTimer(timer))

    def fired(self, timer: Timer) -> bool:
        """Whether this firing belongs to a timer that is set; afterwards it is not set."""
        if timer not in self._set:
            return False
        self._set.remove(timer)
        return True

    def take(self) -> tuple[AnyCommand, ...]:
        """All commands since the last call."""
        said = tuple(self._said)
        self._said.clear()
        return said
