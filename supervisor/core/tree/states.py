"""The states of a child and of its supervisor, and the only ways between them.

Every change of state is a pair in one of these tables. A pair that is not there is illegal:
`IllegalTransition` is raised and nothing changes. Why a step is taken is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from supervisor.errors import SupervisorError


class ChildState(StrEnum):
    """Where a child is."""

    STOPPED = "stopped"  # no life: not started yet, or taken down by a call; the spec stays (OTP: undefined)
    STARTING = "starting"  # a life was begun and is not ready yet
    RUNNING = "running"  # its life is ready
    STOPPING = "stopping"  # its life was asked to stop, or killed, and is not gone yet
    BACKOFF = "backoff"  # no life, but one will be begun without anyone asking (OTP: restarting)
    EXITED = "exited"  # its life ended and its policy does not want another


class ChildStep(StrEnum):
    """What can move a child."""

    START = "start"  # a life is begun
    READY = "ready"  # the life says it is ready
    STOP = "stop"  # the life is asked to stop, or killed; a waiting child stops waiting
    END = "end"  # the life is over
    WAIT = "wait"  # another life shall begin later
    LEAVE = "leave"  # no other life shall begin


class SupervisorState(StrEnum):
    """Where a supervisor is."""

    NEW = "new"  # nothing was started yet
    STARTING = "starting"  # some static child has never been ready
    RUNNING = "running"  # calls are served; one_for_one restarts go on here
    RESTARTING = "restarting"  # a restart of several children is under way
    STOPPING = "stopping"  # the children are being stopped, whatever the cause
    STOPPED = "stopped"  # over: nothing follows


class SupervisorStep(StrEnum):
    """What can move a supervisor."""

    BOOT = "boot"  # the static children shall start
    UP = "up"  # every static child has been ready
    PLAN = "plan"  # a restart of several children begins
    SETTLE = "settle"  # it is done
    END = "end"  # all children shall stop
    DOWN = "down"  # all children are down


class IllegalTransition(SupervisorError, RuntimeError):  # named for what happened, as all of ours
    """A step that the table does not have: a mistake in the supervisor or its engine, never in an actor."""

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


def child_after(who: str, state: ChildState, step: ChildStep) -> ChildState:
    """The state that follows.

    Raises:
        IllegalTransition: the table has no such step.
    """
    try:
        return CHILD_TRANSITIONS[state][step]
    except KeyError:
        raise IllegalTransition(f"child {who!r}", state, step) from None


def supervisor_after(who: str, state: SupervisorState, step: SupervisorStep) -> SupervisorState:
    """The state that follows.

    Raises:
        IllegalTransition: the table has no such step.
    """
    try:
        return SUPERVISOR_TRANSITIONS[state][step]
    except KeyError:
        raise IllegalTransition(f"supervisor {who!r}", state, step) from None
