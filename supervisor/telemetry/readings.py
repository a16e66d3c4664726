"""Readings: the numbers of a tree at one moment, as values.

`readings_of` runs on the loop's thread; what /proc says of processes is read where `ProcessReading.of` is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from actors.wire.counts import Counts
from supervisor.core.rules.states import ChildState
from supervisor.mailbox.mailbox import Mailbox
from supervisor.messaging.tree_context import TreeContext
from supervisor.observe.reports import Ended
from supervisor.root.observation import Observation
from supervisor.system.procfs import cpu_seconds, open_descriptors, resident_bytes
from supervisor.telemetry.histogram import Histogram
from supervisor.telemetry.loop_stall import LoopStall
from supervisor.telemetry.meter import Meter
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot


class HistogramReading(msgspec.Struct, frozen=True):
    """A histogram: cumulated counts by upper bound, and the sum of all values."""

    buckets: list[tuple[str, int]]
    total: float

    @classmethod
    def of(cls, histogram: Histogram) -> HistogramReading:
        """What a histogram has now."""
        return cls(histogram.buckets(), histogram.total)


class MailboxReading(msgspec.Struct, frozen=True):
    """One mailbox: how many messages ended how and how many it has, its times, and what its actors count."""

    path: str
    fates: Mapping[str, int]
    depth: int
    latency: HistogramReading
    waits: HistogramReading
    counts: Counts


class ChildReading(msgspec.Struct, frozen=True):
    """One child that is no supervisor: its state, and what its former lives add up to.

    Attributes:
        node: name of the machine of its process; empty on the daemon's.
        resident: bytes of its process where that is on another machine, None where they are not known.
    """

    path: str
    kind: str
    up: bool
    life: int
    pid: int | None
    restarts: Mapping[str, int]
    cpu_before: float
    node: str = ""
    resident: int | None = None


class ProcessReading(msgspec.Struct, frozen=True):
    """What /proc says of a process; None where it does not say it."""

    cpu: float | None
    memory: int | None
    descriptors: int | None

    @classmethod
    def of(cls, child: ChildReading) -> ProcessReading:
        """What it says now; of a process on another machine, what its machine has said."""
        if child.pid is None or child.node:
            return cls(None, child.resident, None)
        return cls(cpu_seconds(child.pid), resident_bytes(child.pid), open_descriptors(child.pid))


class Readings(msgspec.Struct, frozen=True):
    """A tree at one moment.

    Attributes:
        path: of the root.
        healthy: whether all of it is.
        spares: how many processes wait.
        shared_values: `Shared` values that messages hold.
        shared_bytes: bytes of these.
        stall: by how much the loop's timers are late.
        children: those that are no supervisors.
        supervisors: path of each supervisor below the root, and its restarts by cause.
        mailboxes: of actors and pools.
    """

    path: str
    healthy: bool
    spares: int
    shared_values: int
    shared_bytes: int
    stall: HistogramReading
    children: list[ChildReading]
    supervisors: list[tuple[str, Mapping[str, int]]]
    mailboxes: list[MailboxReading]


def readings_of(root: Observation, tree: TreeContext, meters: Mapping[Mailbox, Meter], stall: LoopStall) -> Readings:
    """What a tree shows now."""
    snapshot = root.snapshot()
    return Readings(
        snapshot.path,
        root.health().ready,
        snapshot.spares,
        snapshot.shared_values,
        snapshot.shared_bytes,
        HistogramReading.of(stall.late),
        list(_children(snapshot, tree)),
        list(_supervisors(snapshot, tree)),
        list(_mailboxes(tree, meters)),
    )


def _mailboxes(tree: TreeContext, meters: Mapping[Mailbox, Meter]) -> Iterator[MailboxReading]:
    """The mailboxes of a tree that are measured."""
    for path in tree.registry.paths():
        mailbox = tree.registry.get(path)
        meter = None if mailbox is None else meters.get(mailbox)
        if mailbox is not None and meter is not None:
            yield MailboxReading(
                path,
                {fate.value: count for fate, count in mailbox.fates.items()},
                mailbox.depth,
                HistogramReading.of(meter.latency),
                HistogramReading.of(meter.waits),
                mailbox.counted.totals(),
            )


def _children(node: SupervisorSnapshot, tree: TreeContext) -> Iterator[ChildReading]:
    """The children below a supervisor that are none themselves."""
    for child in node.children:
        if isinstance(child, ChildSnapshot):
            ended: Ended = tree.reports.deaths.of(child.path)
            yield ChildReading(
                child.path,
                child.kind,
                child.state is ChildState.RUNNING,
                child.life,
                child.pid,
                dict(ended.restarts),
                ended.cpu_time,
                child.node or "",
                child.resident,
            )
        else:
            yield from _children(child, tree)


def _supervisors(node: SupervisorSnapshot, tree: TreeContext) -> Iterator[tuple[str, Mapping[str, int]]]:
    """The supervisors below one, and their restarts by cause."""
    for child in node.children:
        if isinstance(child, SupervisorSnapshot):
            yield child.path, dict(tree.reports.deaths.of(child.path).restarts)
            yield from _supervisors(child, tree)
