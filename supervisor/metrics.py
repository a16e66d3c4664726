"""Metrics: a running tree as a collector of prometheus-client. Extra `[metrics]`.

    from prometheus_client import REGISTRY
    from supervisor.metrics import Collector

    REGISTRY.register(Collector(root))

Everything is counted in the daemon, so a death loses nothing, and a child that is gone leaves no series behind.
`docs/reference/metrics.md` lists the metrics.

A collector may be made before the tree is entered, on the loop's thread afterwards. `collect` runs in any thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from actors.bounds import shown
from actors.errors import UsageError
from supervisor.bridge.queue_bridge import open_bridges
from supervisor.core.delivery.fates import Fate
from supervisor.mailbox.mailbox import Mailbox
from supervisor.messaging.tree_context import TreeContext
from supervisor.observe.reports import RESTART_CAUSES
from supervisor.supervisor import Supervisor
from supervisor.telemetry.loop_stall import LoopStall
from supervisor.telemetry.meter import Meter
from supervisor.telemetry.never_falling import NeverFalling
from supervisor.telemetry.readings import (
    ChildReading,
    HistogramReading,
    MailboxReading,
    ProcessReading,
    Readings,
    readings_of,
)

try:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.metrics_core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
except ImportError as error:
    raise ImportError(
        "supervisor.metrics needs prometheus-client, which is not installed: pip install 'actor-supervisor[metrics]'"
    ) from error

__all__ = ["Collector"]

PATIENCE: Final = 5.0  # seconds in which the loop answers a scrape of another thread

COUNTERS: Final = {
    "actor_messages": ("Messages of a mailbox that have ended, by their fate.", ("actor", "fate")),
    "actor_restarts": ("Lives that were followed by another, by the cause of their end.", ("actor", "cause")),
    "actor_cpu_seconds": ("CPU time of all lives.", ("actor",)),
}
GAUGES: Final = {
    "actor_up": ("1 while the child runs and is ready, else 0.", ("actor", "kind")),
    "actor_life": ("The number of the current or last life.", ("actor",)),
    "actor_node": ("1 for the other machine on which the process runs.", ("actor", "node")),
    "actor_mailbox_messages": ("Messages that wait or are being handled.", ("actor",)),
    "actor_resident_memory_bytes": ("Resident memory of the process.", ("actor",)),
    "actor_open_fds": ("Open descriptors of the process.", ("actor",)),
    "supervisor_healthy": ("1 while the whole tree is healthy, else 0.", ("supervisor",)),
    "supervisor_shared_values": (
        "Shared values that messages hold in mailboxes and in flight, and that replies and items hold in the daemon.",
        ("supervisor",),
    ),
    "supervisor_shared_bytes": ("Bytes of these values, in shared memory.", ("supervisor",)),
    "supervisor_spares": ("Processes that wait to become the next life of any actor.", ("supervisor",)),
    "supervisor_bridge_items": ("Items that wait in an AsyncQueueBridge of this process.", ("bridge",)),
}
HISTOGRAMS: Final = {
    "actor_ask_latency_seconds": ("Time from an ask to its answer, of asks that got one.", ("actor",)),
    "actor_queue_time_seconds": ("Time from when a message was accepted until its handler began.", ("actor",)),
    "supervisor_loop_stall_seconds": ("By how much a timer of the event loop was late.", ("supervisor",)),
}
# A series that begins with its first event would hide that one from rate() and increase(), which see only rises.
_NO_FATES: Final = dict.fromkeys((fate.value for fate in Fate if fate is not Fate.NO_SUCH_ACTOR), 0)
_NO_RESTARTS: Final = dict.fromkeys(RESTART_CAUSES, 0)


class Collector:
    """Collects the metrics of one tree. Register it once; times are measured from the moment it is made.

    Args:
        root: the tree; entered or not.

    Raises:
        UsageError: `root` is no `Supervisor`.
    """

    def __init__(self, root: Supervisor) -> None:
        if not isinstance(root, Supervisor):
            raise UsageError(f"Collector takes the Supervisor of a tree: Collector(root); it was given {shown(root)}")
        self._root = root
        self._thread = 0
        self._tree: TreeContext | None = None
        self._stall: LoopStall
        self._cpu = NeverFalling()
        self._meters: WeakKeyDictionary[Mailbox, Meter] = WeakKeyDictionary()
        root.with_tree(self._begin)

    def describe(self) -> Iterator[Metric]:
        """All metrics without their values, but not the application's own counters; for the registry."""
        return iter(_families().values())

    def collect(self) -> Iterator[Metric]:
        """All metrics now; without values before the tree is entered, and after it has ended.

        Raises:
            TimeoutError: the tree's event loop is blocked.
        """
        families = _families()
        readings = self._readings()
        if readings is None:
            return iter(families.values())
        _show_tree(families, readings)
        for child in readings.children:
            _show_child(families, child, self._cpu)
        self._cpu.keep([child.path for child in readings.children])
        for mailbox in readings.mailboxes:
            _show_mailbox(families, mailbox)
        for bridge in open_bridges():
            families["supervisor_bridge_items"].add_metric([bridge.name], bridge.depth or 0)
        return iter([*families.values(), *_own_counters(readings)])

    # ---- on the loop's thread

    def _begin(self, tree: TreeContext) -> None:
        self._tree = tree
        tree.metrics_text = self._text
        self._thread = threading.get_ident()
        self._stall = LoopStall(tree.loop)
        tree.registry.each(self._measure)
        tree.at_end.append(self._end)

    def _text(self) -> str:
        """All metrics as Prometheus' text; for `actorctl metrics`."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry).decode()

    def _measure(self, mailbox: Mailbox) -> None:
        meter = self._meters[mailbox] = Meter(mailbox)
        mailbox.observe(meter)

    def _end(self) -> None:
        self._tree = None
        self._stall.close()
        self._meters.clear()

    def _read(self) -> Readings | None:
        return None if self._tree is None else readings_of(self._root, self._tree, self._meters, self._stall)

    # ---- in any thread

    def _readings(self) -> Readings | None:
        """What the tree shows now, read on its loop; None before its start and after its end."""
        tree = self._tree
        if tree is None or threading.get_ident() == self._thread:
            return self._read()
        try:
            future = asyncio.run_coroutine_threadsafe(_called(self._read), tree.loop)
        except RuntimeError:  # the loop was closed
            return None
        try:
            return future.result(PATIENCE)
        except concurrent.futures.CancelledError:
            return None
        except TimeoutError:
            future.cancel()
            raise TimeoutError(f"the event loop of {self._root.path} is blocked; its metrics cannot be read") from None


async def _called(read: Callable[[], Readings | None]) -> Readings | None:
    return read()


def _families() -> dict[str, Any]:
    """All metrics by name, without values."""
    families: dict[str, Any] = {
        name: CounterMetricFamily(name, text, labels=labels) for name, (text, labels) in COUNTERS.items()
    }
    families |= {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in GAUGES.items()}
    families |= {name: HistogramMetricFamily(name, text, labels=labels) for name, (text, labels) in HISTOGRAMS.items()}
    return families


def _show_tree(families: dict[str, Any], tree: Readings) -> None:
    families["supervisor_healthy"].add_metric([tree.path], int(tree.healthy))
    families["supervisor_spares"].add_metric([tree.path], tree.spares)
    families["supervisor_shared_values"].add_metric([tree.path], tree.shared_values)
    families["supervisor_shared_bytes"].add_metric([tree.path], tree.shared_bytes)
    _show_histogram(families, "supervisor_loop_stall_seconds", tree.path, tree.stall)
    for path, restarts in tree.supervisors:
        _show_restarts(families, path, restarts)


def _show_child(families: dict[str, Any], child: ChildReading, cpu: NeverFalling) -> None:
    path = child.path
    families["actor_up"].add_metric([path, child.kind], int(child.up))
    families["actor_life"].add_metric([path], child.life)
    _show_restarts(families, path, child.restarts)
    process = ProcessReading.of(child)
    if child.node:
        families["actor_node"].add_metric([path, child.node], 1)
    over = child.pid is None or bool(child.node)
    if process.cpu is not None or (over and child.cpu_before):  # one that has just died has no value, not a lower one
        families["actor_cpu_seconds"].add_metric([path], cpu.of(path, child.cpu_before + (process.cpu or 0.0)))
    if process.memory is not None:
        families["actor_resident_memory_bytes"].add_metric([path], process.memory)
    if process.descriptors is not None:
        families["actor_open_fds"].add_metric([path], process.descriptors)


def _show_mailbox(families: dict[str, Any], mailbox: MailboxReading) -> None:
    for fate, count in {**_NO_FATES, **mailbox.fates}.items():
        families["actor_messages"].add_metric([mailbox.path, fate], count)
    families["actor_mailbox_messages"].add_metric([mailbox.path], mailbox.depth)
    _show_histogram(families, "actor_ask_latency_seconds", mailbox.path, mailbox.latency)
    _show_histogram(families, "actor_queue_time_seconds", mailbox.path, mailbox.waits)


def _show_restarts(families: dict[str, Any], path: str, restarts: Mapping[str, int]) -> None:
    for cause, count in {**_NO_RESTARTS, **restarts}.items():
        families["actor_restarts"].add_metric([path, cause], count)


def _show_histogram(families: dict[str, Any], name: str, path: str, reading: HistogramReading) -> None:
    families[name].add_metric([path], buckets=reading.buckets, sum_value=reading.total)


def _own_counters(readings: Readings) -> list[Metric]:
    """The application's counters; actors may use one name with different labels."""
    found: dict[str, Metric] = {}
    for mailbox in readings.mailboxes:
        for series, value in mailbox.counts.items():
            metric = found.setdefault(series.name, Metric(series.name, "Counted by actors.", "counter"))
            metric.add_sample(f"{series.name}_total", {"actor": mailbox.path, **dict(series.labels)}, value)
    return list(found.values())
