"""States: the states of a child and of its supervisor, and the only transitions between them. Pure.

Every change of state is a pair in one of these tables. Any other pair is illegal: `IllegalTransition` is raised and
nothing changes. The tables do not know why a step is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from supervisor.errors import SupervisorError


class ChildState(StrEnum):
    """The state of a child."""

    STOPPED = "stopped"  # no life: not started yet, or taken down by a call; the spec stays (OTP: undefined)
    STARTING = "starting"  # a life was started and is not ready yet
    RUNNING = "running"  # its life is ready
    STOPPING = "stopping"  # its life was asked to stop, or killed, and has not ended yet
    BACKOFF = "backoff"  # no life, but one will be started without a call (OTP: restarting)
    EXITED = "exited"  # its life ended and its policy does not start another


class ChildStep(StrEnum):
    """A transition of a child."""

    START = "start"  # a life is started
    READY = "ready"  # the life is ready
    STOP = "stop"  # the life is asked to stop, or killed; a waiting child stops waiting
    END = "end"  # the life has ended
    WAIT = "wait"  # another life starts later
    LEAVE = "leave"  # no other life starts


class SupervisorState(StrEnum):
    """The state of a supervisor."""

    NEW = "new"  # nothing was started yet
    STARTING = "starting"  # some static child has never been ready
    RUNNING = "running"  # calls are served; one_for_one restarts happen here
    RESTARTING = "restarting"  # a restart of several children is in progress
    STOPPING = "stopping"  # the children are being stopped, whatever the cause
    STOPPED = "stopped"  # ended: nothing follows


class SupervisorStep(StrEnum):
    """A transition of a supervisor."""

    BOOT = "boot"  # the static children are to start
    UP = "up"  # every static child has been ready
    PLAN = "plan"  # a restart of several children begins
    SETTLE = "settle"  # it is done
    END = "end"  # all children are to stop
    DOWN = "down"  # all children are down


class IllegalTransition(SupervisorError, RuntimeError):  # named for what happened, as all of ours
    """A step that the table does not have: a bug in the supervisor or its engine, never in an actor."""

    def __init__(self, who: str, state: StrEnum, step: StrEnum) -> None:
        super().__init__(f"{who}: {step.value!r} is not legal in state {state.value!r}; this is a bug, report it")
        self.who = who
        self.state = state
        self.step = step


_C = ChildState
_S = SupervisorState

CHILD_TRANSITIONS: Final[Mapping[ChildState, Mapping[ChildStep, ChildState]]] = {
    _C.STOPPED: {ChildStep.START: _C.STARTING, ChildStep.WAIT: _C.BACKOFF, ChildStep.LEAVE: _C.EXITED},
    _C.STARTING: {ChildStep.READY: _C.RUNNING, ChildStep.STOP: _C.STOPPING, ChildStep.END: _C.STOPPED},
    _C.RUNNING: {ChildStep.STOP: _C.STOPPING, ChildStep.END: _C.STOPPED},
    _C.STOPPING: {ChildStep.END: _C.STOPPED},
    _C.BACKOFF: {ChildStep.START: _C.STARTING, ChildStep.STOP: _C.STOPPED},
    _C.EXITED: {ChildStep.START: _C.STARTING},
}
"""Every legal step of a child."""

SUPERVISOR_TRANSITIONS: Final[Mapping[SupervisorState, Mapping[SupervisorStep, SupervisorState]]] = {
    _S.NEW: {SupervisorStep.BOOT: _S.STARTING, SupervisorStep.END: _S.STOPPING},
    _S.STARTING: {SupervisorStep.UP: _S.RUNNING, SupervisorStep.END: _S.STOPPING},
    _S.RUNNING: {SupervisorStep.PLAN: _S.RESTARTING, SupervisorStep.END: _S.STOPPING},
    _S.RESTARTING: {SupervisorStep.SETTLE: _S.RUNNING, SupervisorStep.END: _S.STOPPING},
    _S.STOPPING: {SupervisorStep.DOWN: _S.STOPPED},
    _S.STOPPED: {},
}
"""Every legal step of a supervisor."""

ALIVE: Final = frozenset({ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING})
"""The states in which a child has a life."""
