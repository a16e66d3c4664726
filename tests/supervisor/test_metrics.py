"""A scrape, under kills, is equal to what a model counts; and it follows the rules of Prometheus."""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from actors import ActorCrashed, HandlerError, Shared
from actors.testing import kill
from supervisor import Backoff, ChildSpec, Intensity, Supervisor, SupervisorSpec, TaskSpec
from supervisor.bridge import AsyncQueueBridge
from supervisor.core.delivery.fates import Fate
from supervisor.telemetry.never_falling import NeverFalling
from supervisor.telemetry.readings import ChildReading
from supervisor.testing import InlineSupervisor
from tests.support.shop import Busy, Go, Hold, Holder, Idle, Keep, Note, Order, Shop
from tests.support.taking_time import work
from tests.support.waiting import Watch

prometheus = pytest.importorskip("prometheus_client")

from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

from supervisor import metrics  # noqa: E402

ROOT = Path(__file__).parent.parent.parent
WAIT = 100.0
STALL = 0.15  # seconds
AT_ONCE = Backoff(initial=0.0, cap=0.0, jitter=0.0)
NUMBERS = 300


def scrape(registry):
    """All samples of a scrape in the text format: name and labels to value."""
    families = text_string_to_metric_families(prometheus.generate_latest(registry).decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


def of(samples, name, **labels):
    """The samples of one name with these labels, by their other labels' values."""
    wanted = set(labels.items())
    return {
        tuple(value for key, value in pairs if (key, value) not in wanted): value
        for (found, *pairs), value in samples.items()
        if found == name and wanted <= set(pairs)
    }


@pytest.fixture
def registry():
    return prometheus.CollectorRegistry()


@pytest.mark.processes
@pytest.mark.parametrize("shop", [Shop, Busy])
async def test_equal_to_a_model_under_kills(registry, shop):
    """Fates, the application's own counters, restarts and the counts of the histograms."""
    root = Supervisor(
        ChildSpec(shop, name="shop", mailbox=NUMBERS, max_deliveries=100),
        intensity=Intensity.unlimited(),
    )
    registry.register(metrics.Collector(root))
    dice = random.Random(7)
    ends: Counter[str] = Counter()

    async def order(number):
        try:
            await root["shop"].ask(Order(number, deadly=dice.random() < 0.02, bad=dice.random() < 0.1), timeout=None)
        except HandlerError:
            ends["failed"] += 1
        except ActorCrashed:
            ends["lost"] += 1
        else:
            ends["handled"] += 1

    async with root:
        asks = [asyncio.create_task(order(number)) for number in range(NUMBERS)]
        for number in range(NUMBERS):
            await root["shop"].tell(Note(deadly=number in {100, 200}))
        async with asyncio.timeout(WAIT):
            await asyncio.gather(*asks)
            while root.snapshot().children[0].mailbox:
                await asyncio.sleep(0.01)
        deaths = root.snapshot().children[0].life - 1
        samples = await asyncio.to_thread(scrape, registry)

    fates = of(samples, "actor_messages_total", actor="/root/shop")
    assert 2 * NUMBERS == sum(fates.values())
    assert 0 == ends["lost"]
    assert ends["failed"] == fates["failed",]
    notes = fates["handled",] - ends["handled"]
    assert {(): notes} == of(samples, "notes_total", actor="/root/shop")
    assert NUMBERS == sum(of(samples, "orders_total", actor="/root/shop").values())
    assert {("berlin",), ("paris",)} == set(of(samples, "orders_total", actor="/root/shop"))
    assert {(): 2.5 * NUMBERS} == of(samples, "turnover_eur_total", actor="/root/shop")
    assert deaths == of(samples, "actor_restarts_total", actor="/root/shop")["signal",] >= 2
    assert {(): deaths + 1} == of(samples, "actor_life", actor="/root/shop")
    answered = ends["handled"] + ends["failed"]
    assert {(): answered} == of(samples, "actor_ask_latency_seconds_count", actor="/root/shop")
    begun = of(samples, "actor_queue_time_seconds_count", actor="/root/shop")[()]
    assert 0 < begun <= fates["handled",] + fates["failed",]  # a process may die before it reports when one began


@pytest.mark.processes
async def test_counters_of_quick_tells_under_kills(registry):
    """What was handled is counted, also where many quick messages begin at one time, whichever of them is deadly."""
    root = Supervisor(ChildSpec(Shop, name="shop", backoff=AT_ONCE), intensity=Intensity.unlimited(), spares=0)
    registry.register(metrics.Collector(root))
    async with root:
        for number in range(1, 401):
            root["shop"].tell_nowait(Note(deadly=number % 67 == 0))
        async with asyncio.timeout(WAIT):
            while root.snapshot().children[0].mailbox:
                await asyncio.sleep(0.01)
        samples = scrape(registry)
    fates = of(samples, "actor_messages_total", actor="/root/shop")
    assert (395, 5) == (fates["handled",], fates["crashed_while_handling",])
    assert {(): 395} == of(samples, "notes_total", actor="/root/shop")
    assert 5 == of(samples, "actor_restarts_total", actor="/root/shop")["signal",]


@pytest.mark.processes
async def test_shared_values_and_the_loop(registry):
    """Bytes that messages hold, until they are handled; a blocked loop; bridges, also in the scrape of a thread."""
    bridge = AsyncQueueBridge(name="frames")
    async with Supervisor(ChildSpec(Holder, name="holder"), spares=0) as root:
        registry.register(metrics.Collector(root))
        assert {("/root",): 0} == of(scrape(registry), "supervisor_shared_bytes")
        waits = asyncio.create_task(root["holder"].ask(Hold(), timeout=None))
        for _ in range(2):
            await root["holder"].tell(Keep(Shared.of(b"x" * 100_000)))
        for item in range(3):
            await bridge.submit(item)
        samples = await asyncio.to_thread(scrape, registry)
        assert {("/root",): 200_000} == of(samples, "supervisor_shared_bytes")
        assert {("frames",): 3} == of(samples, "supervisor_bridge_items")
        work(2 * STALL)  # the loop is blocked
        async with asyncio.timeout(WAIT):
            while of(scrape(registry), "supervisor_loop_stall_seconds_sum")["/root",] < STALL:
                await asyncio.sleep(0.01)
        assert of(scrape(registry), "supervisor_loop_stall_seconds_count")["/root",] >= 1
        root["holder"].tell_nowait(Go())
        await waits
        async with asyncio.timeout(WAIT):
            while of(scrape(registry), "supervisor_shared_bytes")["/root",]:
                await asyncio.sleep(0.01)
    bridge.close()


@pytest.mark.processes
@pytest.mark.parametrize("size", [1, 3])
async def test_each_message_has_its_times(registry, size):
    """Asks and tells, in batches and alone, of one actor and of a pool."""
    async with Supervisor(ChildSpec(Shop, name="shop", size=size), spares=0) as root:
        registry.register(metrics.Collector(root))
        for _ in range(3):
            for _ in range(700):
                await root["shop"].tell(Note())
            asks = (root["shop"].ask(Order(number, bad=number % 5 == 0)) for number in range(40))
            await asyncio.gather(*asks, return_exceptions=True)
        async with asyncio.timeout(WAIT):
            while sum(of(scrape(registry), "actor_mailbox_messages").values()):
                await asyncio.sleep(0.01)
        samples = scrape(registry)
    assert {(): 3 * 740} == of(samples, "actor_queue_time_seconds_count", actor="/root/shop")
    assert {(): 3 * 40} == of(samples, "actor_ask_latency_seconds_count", actor="/root/shop")


@pytest.mark.processes
async def test_everything_of_a_tree(registry):
    """Actors, pools, tasks, subtrees and bridges have their series; a deleted child has none."""

    async def work():
        await asyncio.Event().wait()

    bridge = AsyncQueueBridge(name="uploads")
    await bridge.submit(1)
    async with Supervisor(
        SupervisorSpec(ChildSpec(Idle, name="pool", size=2), name="sub"),
        ChildSpec(Idle, name="gone"),
        TaskSpec(work, name="task"),
    ) as root:
        registry.register(metrics.Collector(root))
        await root["sub/pool"].tell(Note())
        samples = scrape(registry)
        assert {
            ("/root/sub/pool/0", "actor"): 1,
            ("/root/sub/pool/1", "actor"): 1,
            ("/root/gone", "actor"): 1,
            ("/root/task", "task"): 1,
        } == of(samples, "actor_up")
        assert {("/root/sub/pool",), ("/root/gone",)} == set(of(samples, "actor_mailbox_messages"))
        for name in ("actor_cpu_seconds_total", "actor_resident_memory_bytes", "actor_open_fds"):
            found = of(samples, name)
            assert {("/root/sub/pool/0",), ("/root/sub/pool/1",), ("/root/gone",)} == set(found)
            assert all(value > 0 for value in found.values())
        assert {("/root",): 1} == of(samples, "supervisor_healthy")
        for name in ("supervisor_spares", "supervisor_shared_values", "supervisor_shared_bytes"):
            assert {("/root",)} == set(of(samples, name))
        assert 1 == of(samples, "supervisor_bridge_items")["uploads",]
        await root.terminate_child("gone")
        await root.delete_child("gone")
        assert not [sample for sample in scrape(registry) if ("actor", "/root/gone") in sample]
    bridge.close()
    ended = scrape(registry)
    assert not [sample for sample in ended if sample[0].startswith("actor_")]


@pytest.mark.processes
async def test_a_collector_that_comes_late(registry):
    """What was counted before is there; times are measured from now on."""
    async with Supervisor(ChildSpec(Shop, name="shop"), intensity=Intensity.unlimited(), spares=0) as root:
        for number in (1, 3):
            await root["shop"].ask(Order(number))
        registry.register(metrics.Collector(root))
        await root["shop"].ask(Order(5))
        samples = scrape(registry)
    assert {("berlin",): 3} == of(samples, "orders_total", actor="/root/shop")
    fates = of(samples, "actor_messages_total", actor="/root/shop")
    assert 3 == fates["handled",] == sum(fates.values())
    assert {(): 1} == of(samples, "actor_ask_latency_seconds_count", actor="/root/shop")


async def test_counters_begin_at_zero(registry):
    """A rate sees only rises: a series that began with its first loss would hide that one, and an alert on it."""
    async with InlineSupervisor(ChildSpec(Shop, name="shop")) as root:
        registry.register(metrics.Collector(root))
        samples = scrape(registry)
    fates = of(samples, "actor_messages_total", actor="/root/shop")
    assert {(fate.value,): 0 for fate in Fate if fate is not Fate.NO_SUCH_ACTOR} == fates  # that one has no mailbox
    page = (ROOT / "docs/reference/metrics.md").read_text().partition("## Causes of restarts")[2].partition("\n## ")[0]
    causes = [
        cause for row in page.splitlines() if row.startswith("|") for cause in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    assert {(cause,): 0 for cause in causes} == of(samples, "actor_restarts_total", actor="/root/shop")


async def test_asks_that_are_answered_together(registry):
    """Also where not each is measured by itself, their number is exact."""
    async with InlineSupervisor(ChildSpec(Shop, name="shop")) as root:
        registry.register(metrics.Collector(root))
        for bad in (range(0), range(50, 53)):
            orders = (root["shop"].ask(Order(number, bad=number in bad)) for number in range(NUMBERS))
            await asyncio.gather(*orders, return_exceptions=True)
        cancelled = [asyncio.create_task(root["shop"].ask(Order(number))) for number in range(100)]
        await asyncio.sleep(0)
        for task in cancelled[10:90:3]:
            task.cancel()
        await asyncio.gather(*cancelled, return_exceptions=True)
        await root["shop"].ask(Order(0))
        samples = scrape(registry)
    fates = of(samples, "actor_messages_total", actor="/root/shop")
    answered = fates["handled",] + fates["failed",]
    assert 3 == fates["failed",]
    assert answered >= 2 * NUMBERS + 74
    assert {(): answered} == of(samples, "actor_ask_latency_seconds_count", actor="/root/shop")
    assert {(): answered} == of(samples, "actor_queue_time_seconds_count", actor="/root/shop")


@pytest.mark.parametrize("shop", [Shop, Busy])
async def test_counters_of_an_inline_life_outlast_it(registry, shop):
    """What was counted before a kill, and what the next life counts, are summed."""
    async with InlineSupervisor(ChildSpec(shop, name="shop"), intensity=Intensity.unlimited()) as root:
        registry.register(metrics.Collector(root))
        watch = Watch(root)
        await root["shop"].ask(Order(1))
        kill(root["shop"])
        await watch.exited("shop")
        assert {("berlin",): 1} == of(scrape(registry), "orders_total", actor="/root/shop")
        await root["shop"].ask(Order(3))
        assert {("berlin",): 2} == of(scrape(registry), "orders_total", actor="/root/shop")


@pytest.mark.parametrize(
    ("pid", "node", "shown"), [(2**22 + 1, "", set()), (None, "", {("/root/a",)}), (2**22 + 1, "n1", {("/root/a",)})]
)
def test_cpu_time_never_falls(pid, node, shown):
    """A process that is gone, and whose end is not reported yet, has no CPU time; less would be counted as a reset."""
    families = metrics._families()
    child = ChildReading("/root/a", "actor", up=True, life=2, pid=pid, restarts={}, cpu_before=7.0, node=node)
    metrics._show_child(families, child, NeverFalling())
    samples = families["actor_cpu_seconds"].samples
    assert shown == {(sample.labels["actor"],) for sample in samples}


async def test_a_blocked_loop(registry, monkeypatch):
    """A scrape from another thread fails soon, instead of hanging."""
    monkeypatch.setattr(metrics, "PATIENCE", 0.01)
    async with Supervisor() as root:
        collector = metrics.Collector(root)
        failed = []

        def collect():
            try:
                list(collector.collect())
            except TimeoutError as error:
                failed.append(str(error))

        import threading  # noqa: PLC0415

        thread = threading.Thread(target=collect)
        thread.start()
        thread.join()  # it blocks the loop
    assert ["the event loop of /root is blocked; its metrics cannot be read"] == failed


EXPORTED = {f"{name}_total": labels for name, (_, labels) in metrics.COUNTERS.items()}
EXPORTED |= {name: labels for name, (_, labels) in metrics.GAUGES.items()}
EXPORTED |= {f"{name}_bucket": (*labels, "le") for name, (_, labels) in metrics.HISTOGRAMS.items()}


def test_names():
    """The rules of Prometheus: base units in the name, counters end with _total, which the library adds."""
    for name in metrics.COUNTERS:
        assert not name.endswith("_total")
    for name in metrics.HISTOGRAMS:
        assert name.endswith("_seconds")
    for table in (metrics.COUNTERS, metrics.GAUGES, metrics.HISTOGRAMS):
        for name, (text, labels) in table.items():
            assert re.fullmatch(r"(actor|supervisor)_[a-z_]+", name)
            assert text.endswith(".")
            assert labels


def test_docs():
    """docs/reference/metrics.md lists every metric with its labels, and nothing else."""
    page = (ROOT / "docs/reference/metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", page, re.MULTILINE)
    listed = {name: (kind, re.findall(r"`(\w+)`", labels)) for name, kind, labels in rows}
    ours = {f"{name}_total": ("counter", [*labels]) for name, (_, labels) in metrics.COUNTERS.items()}
    ours |= {name: ("gauge", [*labels]) for name, (_, labels) in metrics.GAUGES.items()}
    ours |= {name: ("histogram", [*labels]) for name, (_, labels) in metrics.HISTOGRAMS.items()}
    assert ours == listed


def panels_of_the_dashboard():
    board = json.loads((ROOT / "docs/reference/grafana-dashboard.json").read_text())
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def test_the_dashboard():
    """It is JSON, its panels have places of their own, and each metric is in one of them."""
    panels = panels_of_the_dashboard()
    shown = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    assert {*EXPORTED} == set(re.findall(r"\b(?:actor|supervisor)_\w+", shown))
    assert len(panels) == len({panel["id"] for panel in panels})
    cells = [
        (column, row)
        for place in (panel["gridPos"] for panel in panels)
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(column for column, _ in cells) <= 23


@pytest.mark.parametrize("panel", panels_of_the_dashboard(), ids=lambda panel: panel["title"])
def test_the_labels_of_the_dashboard(panel):
    """Metrics have the labels by which they are chosen, summed and named."""
    for target in panel["targets"]:
        (labels,) = [EXPORTED[name] for name in re.findall(r"\b(?:actor|supervisor)_\w+", target["expr"])]
        summed = re.findall(r"by \(([^)]*)\)", target["expr"])
        left = {*labels} if not summed else {*summed[0].split(", ")}
        assert {*labels} >= left | set(re.findall(r"[{,](\w+)=", target["expr"]))
        if "{{" in target["legendFormat"]:
            assert left - {"le"} >= set(re.findall(r"{{(\w+)}}", target["legendFormat"]))


def test_without_prometheus_client():
    """One error that says what to install."""
    code = "import sys; sys.modules['prometheus_client'] = None\nimport supervisor.metrics"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )
    assert "pip install 'actor-supervisor[metrics]'" in done.stderr


def test_not_a_tree():
    with pytest.raises(Exception, match="Collector takes the Supervisor of a tree"):
        metrics.Collector("root")
