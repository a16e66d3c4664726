"""Health of a tree: one word and its reasons, from a snapshot. Pure.

A busy actor is healthy. What counts is what does not run, or says of itself that it does not run well.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from actors.exits import ExitReason
from supervisor.core.health.hang_detector import Health
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot, said


class HealthStatus(StrEnum):
    """How a tree is."""

    HEALTHY = "healthy"  # everything that should run, runs
    DEGRADED = "degraded"  # it runs, but a part of it does not
    STARTING = "starting"  # a static child has not been ready yet
    STOPPING = "stopping"  # it drains, stops, or has ended


class TreeHealth(msgspec.Struct, frozen=True):
    """How a tree is, and why.

    Attributes:
        status: healthy, degraded, starting or stopping.
        why: one line for each part that is not well, with its path; empty for a healthy tree.
        outside: whether all parts are well and the trouble is outside of the daemon, such as a full disk of its store;
            a restart of the daemon would not help.
        ended: whether the tree has stopped, or given up: nothing of it runs any more.
    """

    status: HealthStatus
    why: tuple[str, ...] = ()
    outside: bool = False
    ended: bool = False

    @property
    def alive(self) -> bool:
        """For `/healthz`: whether to leave the daemon alone. One that drains or stops is at work until it has ended."""
        return not self.ended

    @property
    def ready(self) -> bool:
        """For `/readyz`: whether it should be given work. True only while it is healthy."""
        return self.status is HealthStatus.HEALTHY

    def __str__(self) -> str:
        return f"{self.status}: {'; '.join(self.why)}" if self.why else self.status.value


def health_of(tree: SupervisorSnapshot) -> TreeHealth:
    """How a tree is at the moment of a snapshot of its root."""
    if tree.phase in (SupervisorState.STOPPING, SupervisorState.STOPPED):
        ended = tree.phase is SupervisorState.STOPPED
        return TreeHealth(HealthStatus.STOPPING, (f"{tree.path} is {tree.phase}",), ended=ended)
    why = tuple(_complaints(tree))
    if tree.phase in (SupervisorState.NEW, SupervisorState.STARTING):
        waits = (child for child in tree.children if child.state is not ChildState.RUNNING)
        return TreeHealth(HealthStatus.STARTING, tuple(f"{child.path} is {_how_far(child)}" for child in waits))
    if tree.store_failure is not None:
        failure = f"the store of {tree.path} fails: {tree.store_failure}"
        return TreeHealth(HealthStatus.DEGRADED, (*why, failure), outside=not why)
    return TreeHealth(HealthStatus.DEGRADED, why) if why else TreeHealth(HealthStatus.HEALTHY)


def _how_far(child: SupervisorSnapshot | ChildSnapshot) -> str:
    """The state of a child in a start, in words."""
    return "not started yet" if child.state is ChildState.STOPPED and not child.life else child.state.value


def _failed(reason: ExitReason) -> bool:
    """Whether what stays down has not ended in good order. Of a supervisor that gave up the reason is `shutdown`."""
    return reason.abnormal or reason.gave_up


def _complaints(node: SupervisorSnapshot | ChildSnapshot) -> Iterator[str]:
    if node.state in (ChildState.BACKOFF, ChildState.STARTING) and node.life > 0 and node.last_exit is not None:
        when = "starts" if node.next_try is None else f"starts in {node.next_try:.1f} s"
        yield f"{node.path} {when}; it ended: {node.last_exit.reason}"
    elif node.state is ChildState.EXITED and node.last_exit is not None and _failed(node.last_exit.reason):
        yield f"{node.path} stays down: {node.last_exit.reason}"
    if isinstance(node, ChildSnapshot):
        if node.health is Health.OVER:
            yield f"{node.path} handles {node.handling} for {node.handling_for or 0:.1f} s, over its limit"
        elif node.health is Health.STOPPED:
            yield f"{node.path} is stopped by a signal (SIGSTOP)"
        if node.degraded is not None:
            yield f"{node.path} says: {said(node.degraded)}"
        return
    for child in node.children:
        yield from _complaints(child)
