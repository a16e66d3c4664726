"""Snapshot: the whole tree at one moment, as values, and as text a person can read. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.exits import ExitReport
from supervisor.core.health.exit_reason import one_line
from supervisor.core.health.hang_detector import Health
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.core.terms import LoneKind, RestartPolicy, Strategy


class ChildSnapshot(msgspec.Struct, frozen=True, kw_only=True, tag="actor"):
    """One actor, task, function or command.

    Attributes:
        name: its name under its supervisor.
        path: its full name.
        state: stopped, starting, running, stopping, backoff or exited.
        restart: its restart policy.
        life: the number of its current or last life, 0 before the first.
        pid: process id, None when it has no process.
        uptime: seconds since the current life became ready, None when it is not.
        next_try: seconds until the next start, None when none is planned.
        mailbox: messages that wait or are being handled. Those of a pool are shown at its first process, so that each
            counts once.
        fates: how many messages ended how; of a pool, as `mailbox`.
        handling: type name of the message being handled, `job parse` of a job; None when it is idle.
        handling_for: seconds since that handler began, None when it is idle.
        health: idle, busy, over its limit or stopped; None when it has no process. Of a function or a command it is
            only known whether a signal has stopped its process.
        last_exit: report of the last life that ended, None before the first.
        successor: the number of the life that was started beside the current one, to follow it; None without one.
        kind: actor, task, function or command. Only actors have messages.
        degraded: what `Actor.health` said last; None when it is well, and where it says nothing.
        node: name of the machine its process runs on; None on the daemon's.
        resident: bytes of resident memory of a process on another machine, None where they are not known. Those of a
            process on the daemon's machine are in its /proc.
        port: the number that stands for `{port}` in a command, None without one.
        awaits: what it waits for before it is ready, in words: a machine, or what its command has to do; empty if
            unknown.
    """

    name: str
    path: str
    state: ChildState
    restart: RestartPolicy
    life: int
    pid: int | None
    uptime: float | None
    next_try: float | None
    mailbox: int
    fates: dict[str, int]
    handling: str | None
    handling_for: float | None
    health: Health | None
    last_exit: ExitReport | None
    successor: int | None = None
    kind: Literal["actor"] | LoneKind = "actor"
    port: int | None = None
    degraded: str | None = None
    node: str | None = None
    resident: int | None = None
    awaits: str = ""


class SupervisorSnapshot(msgspec.Struct, frozen=True, kw_only=True, tag="supervisor"):
    """One supervisor and everything below it.

    Attributes:
        name: its name.
        path: its full name.
        state: its state as a child of the one above; the root is running while it runs.
        phase: starting, running, restarting, stopping, stopped.
        strategy: which siblings a restart affects.
        life: the number of its current or last life.
        uptime: seconds since it became ready, None when it is not.
        next_try: seconds until the next start, None when none is planned.
        restarts: restarts of its children within the last `period` seconds. It is not the number of all restarts:
            that is what `life` counts, of each child since it was added.
        budget: how many more it makes within `period` before it gives up, None without a bound.
        period: seconds of that window, as its `Intensity` says.
        spares: processes that wait to become the next life of any actor; the root's are for the whole tree.
        shared_values: `Shared` values that messages hold in mailboxes and in flight, and that replies and items of
            streams hold in the daemon; the root's are for the whole tree.
        shared_bytes: bytes of these.
        store_failure: why the store does not store, or read, something now; None while it works. The root's is for the
            whole tree.
        children: in the order of their start.
        last_exit: report of its last life that ended, None before the first.
    """

    name: str
    path: str
    state: ChildState
    phase: SupervisorState
    strategy: Strategy
    life: int
    uptime: float | None
    next_try: float | None
    restarts: int
    budget: int | None
    spares: int
    children: tuple[ChildSnapshot | SupervisorSnapshot, ...]
    last_exit: ExitReport | None
    shared_values: int = 0
    shared_bytes: int = 0
    store_failure: str | None = None
    period: float = 5.0

    def __str__(self) -> str:
        return "\n".join(_lines(self, ""))

    @property
    def window(self) -> str:
        """The restarts that count now, in words: `restarts in 5 s: 1 used, 2 left`."""
        left = "without a bound" if self.budget is None else f"{self.budget} left"
        return f"restarts in {self.period:g} s: {self.restarts} used, {left}"


Snapshot = ChildSnapshot | SupervisorSnapshot

Kind = Literal["actor", "supervisor"] | LoneKind


class ChildInfo(msgspec.Struct, frozen=True):
    """One row of `which_children`.

    Attributes:
        name: its name under its supervisor; of a process of a pool with its number, `parser/0`.
        kind: actor, task, function, command or supervisor.
        state: stopped, starting, running, stopping, backoff or exited.
        pid: process id, None when it has no process.
    """

    name: str
    kind: Kind
    state: ChildState
    pid: int | None


class ChildCounts(msgspec.Struct, frozen=True):
    """What `count_children` returns; the words are OTP's.

    Attributes:
        specs: children, running or not.
        active: children with a running process or subtree.
        supervisors: children that are supervisors.
        workers: all other children: actors, tasks, functions, commands.
    """

    specs: int
    active: int
    supervisors: int
    workers: int


def _lines(node: Snapshot, indent: str) -> list[str]:
    if isinstance(node, ChildSnapshot):
        return [indent + _child_line(node)]
    line = f"{node.name} ({node.strategy.value}) {node.phase.value}, {node.window}"
    if node.spares:
        line += f", {node.spares} spare"
    if node.shared_values:
        line += f", {node.shared_values} shared values of {node.shared_bytes} bytes"
    if node.store_failure is not None:
        line += f", its store fails: {node.store_failure}"
    return [indent + line, *(text for child in node.children for text in _lines(child, indent + "  "))]


def _child_line(node: ChildSnapshot) -> str:
    what = node.name if node.kind == "actor" else f"{node.name} ({node.kind})"
    parts = [f"{what} {node.state.value}, life {node.life}"]
    if node.pid is not None:
        parts.append(f"pid {node.pid}" if node.node is None else f"pid {node.pid} on {node.node}")
    if node.successor is not None:
        parts.append(f"life {node.successor} starts beside it")
    if node.uptime is not None:
        parts.append(f"up {node.uptime:.1f} s")
    if node.next_try is not None:
        parts.append(f"starts in {node.next_try:.1f} s")
    if node.port is not None:
        parts.append(f"port {node.port}")
    if node.awaits:
        parts.append(node.awaits)
    parts += _work_of(node)
    if node.last_exit is not None:
        parts.append(f"last exit: {node.last_exit.reason}")
    return ", ".join(parts)


def _work_of(node: ChildSnapshot) -> list[str]:
    """What an actor does, and how it is."""
    parts = [f"mailbox {node.mailbox}"] if node.kind == "actor" else []
    if node.handling is not None:
        parts.append(f"handling {node.handling} for {node.handling_for or 0:.1f} s")
    if node.health in (Health.OVER, Health.STOPPED):
        parts.append(node.health.value)
    if node.degraded is not None:
        parts.append(f"degraded: {said(node.degraded)}")
    return parts


def said(degraded: str) -> str:
    """What an actor says of itself, for one line among others: its first line; in quotes where that is empty."""
    return one_line(degraded) or repr(degraded)
