"""AsyncQueueBridge, AsyncEvent and await_event in one process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import pickle
import threading
from multiprocessing import resource_tracker

import pytest

import supervisor.bridge.event
import supervisor.bridge.waiting
from actors.errors import UsageError
from actors.event import SafeEvent
from supervisor.bridge import AsyncEvent, AsyncQueueBridge, BridgeClosed, await_event
from supervisor.bridge.queue_bridge import open_bridges
from tests.support import children
from tests.support.racing import meanwhile
from tests.support.spawning import DEADLINE, SPAWN, open_descriptors, running
from tests.support.waiting import at_rest


def reader_threads():
    return [thread for thread in threading.enumerate() if thread.name in ("bridge-reader", "stock-event")]


def all_reader_threads_end():
    for thread in reader_threads():
        thread.join(DEADLINE)
    return not reader_threads()


@pytest.fixture(autouse=True)
def nothing_left():
    """After every test the threads and descriptors are what they were."""
    resource_tracker.ensure_running()  # multiprocessing keeps it from its first semaphore on
    gc.collect()
    before = open_descriptors()
    yield
    assert all_reader_threads_end()
    gc.collect()
    assert before == open_descriptors()


@pytest.fixture
async def bridge():
    async with asyncio.timeout(DEADLINE), AsyncQueueBridge() as made:
        yield made


# ---- fetch and submit


async def test_there_and_back(bridge):
    """What was submitted is fetched, in order."""
    for item in (1, "two", None, b"x" * 100_000):
        await bridge.submit(item)
    assert [await bridge.fetch() for _ in range(4)] == [1, "two", None, b"x" * 100_000]


async def test_a_waiting_fetch_is_woken(bridge):
    """An item put by plain code in another thread wakes the coroutine."""
    fetching = asyncio.create_task(bridge.fetch())
    await at_rest()
    assert len(reader_threads()) == 1
    await asyncio.to_thread(bridge.underlying_queue().put, "item")
    assert await fetching == "item"


async def test_fetches_are_served_in_turn(bridge):
    """First come, first served, and a newcomer does not overtake."""
    order = []

    async def fetch(name):
        order.append((name, await bridge.fetch()))

    tasks = [asyncio.create_task(fetch(name)) for name in range(20)]
    await at_rest()
    for item in range(21):
        await bridge.submit(item)
    await fetch(20)
    await asyncio.gather(*tasks)
    assert [(number, number) for number in range(21)] == order


async def test_a_woken_and_cancelled_fetch_passes_it_on(bridge):
    """The item is there, the first in line is cancelled before it runs: the second gets it."""
    first, second = asyncio.create_task(bridge.fetch()), asyncio.create_task(bridge.fetch())
    await at_rest()
    await bridge.submit("item")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second == "item"


async def test_cancelled_in_line(bridge):
    """One in the middle is cancelled; the others keep their order."""
    tasks = [asyncio.create_task(bridge.fetch()) for _ in range(3)]
    await at_rest()
    tasks[1].cancel()
    await bridge.submit("a")
    await bridge.submit("b")
    assert [await tasks[0], await tasks[2]] == ["a", "b"]


async def test_timed_out(bridge):
    """A fetch that timed out takes nothing and leaves no thread, at once."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bridge.fetch(), 0.01)
    assert reader_threads() == []
    await bridge.submit("item")
    assert await bridge.fetch() == "item"


async def test_back_pressure():
    """With maxsize, submit waits for a place and goes on when there is one."""
    async with asyncio.timeout(DEADLINE), AsyncQueueBridge(2) as bridge:
        await bridge.submit(0)
        await bridge.submit(1)
        waiting = [asyncio.create_task(bridge.submit(number)) for number in (2, 3)]
        await at_rest()
        assert not any(task.done() for task in waiting)
        assert await bridge.fetch() == 0
        await waiting[0]
        assert not waiting[1].done()
        assert [await bridge.fetch() for _ in range(3)] == [1, 2, 3]
        await waiting[1]


async def test_a_cancelled_submit_puts_nothing():
    """It waited, it left, nothing came."""
    async with asyncio.timeout(DEADLINE), AsyncQueueBridge(1) as bridge:
        await bridge.submit("first")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bridge.submit("never"), 0.01)
        assert reader_threads() == []
        assert await bridge.fetch() == "first"
        await bridge.submit("second")
        assert await bridge.fetch() == "second"


async def test_the_loop_has_its_turns(bridge):
    """A queue that always has an item does not starve the loop's other tasks."""
    for number in range(500):
        await bridge.submit(number)
    turns_had = 0

    async def other():
        nonlocal turns_had
        while True:
            turns_had += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(500):
        await bridge.fetch()
    task.cancel()
    assert turns_had >= 5


# ---- the end


async def test_close_ends_those_who_wait():
    """Waiting fetches and submits get a clear error, `async for` ends."""
    empty, full = AsyncQueueBridge(), AsyncQueueBridge(1)
    await full.submit("item")

    async def consume():
        return [item async for item in empty]

    waiting = [asyncio.create_task(work) for work in (empty.fetch(), empty.fetch(), full.submit(1), full.submit(2))]
    consuming = asyncio.create_task(consume())
    await at_rest()
    for bridge in (empty, full):
        bridge.close()
        bridge.close()
    for error in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(error, BridgeClosed)
        assert "make a new bridge" in str(error)
    assert await consuming == []
    assert reader_threads() == []
    for use in (empty.fetch(), full.submit(1)):
        with pytest.raises(ValueError, match="it was closed"):
            await use


async def test_close_leaves_no_thread_at_once():
    """The thread that lingers after an item is gone when close() returns."""
    bridge = AsyncQueueBridge()
    fetching = asyncio.create_task(bridge.fetch())
    await at_rest()
    bridge.underlying_queue().put("item")
    await fetching
    bridge.close()
    assert reader_threads() == []


async def test_close_from_another_thread(bridge):
    """A waiting fetch ends when plain code closes the bridge."""
    fetching = asyncio.create_task(bridge.fetch())
    await at_rest()
    await asyncio.to_thread(bridge.close)
    with pytest.raises(BridgeClosed):
        await fetching


def closing(bridge, call):
    """A call before which another thread closes the bridge."""

    def closed_first(*args):
        closer = threading.Thread(target=bridge.close)
        closer.start()
        closer.join()
        return call(*args)

    return closed_first


@pytest.mark.parametrize("step", ["get_nowait", "fileno", "dup"])
async def test_close_from_another_thread_between_two_steps_of_a_fetch(step, monkeypatch):
    """Whatever of the queue is gone at that moment, a fetch raises BridgeClosed, and `async for` ends."""
    for take in (AsyncQueueBridge.fetch, anext):
        bridge = AsyncQueueBridge()
        where = supervisor.bridge.waiting.os if step == "dup" else bridge.underlying_queue()
        with monkeypatch.context() as patched:
            patched.setattr(where, step, closing(bridge, getattr(where, step)))
            with pytest.raises(BridgeClosed if take is AsyncQueueBridge.fetch else StopAsyncIteration):
                await take(bridge)


@pytest.mark.parametrize("step", ["offer", "dup"])
async def test_close_from_another_thread_between_two_steps_of_a_submit(step, monkeypatch):
    """The same of a submit that waits for a place."""
    bridge = AsyncQueueBridge(1)
    await bridge.submit("first")
    where = supervisor.bridge.waiting.os if step == "dup" else bridge.underlying_queue()
    monkeypatch.setattr(where, step, closing(bridge, getattr(where, step)))
    with pytest.raises(BridgeClosed):
        await bridge.submit("second")


async def test_an_item_that_was_taken_when_another_thread_closes_the_bridge_arrives(monkeypatch):
    """A closed bridge has taken nothing; what it had taken already is returned."""
    bridge = AsyncQueueBridge(1)
    await bridge.submit("item")
    slots = bridge.underlying_queue()._slots
    monkeypatch.setattr(slots, "add", closing(bridge, slots.add))
    assert await bridge.fetch() == "item"
    with pytest.raises(BridgeClosed):
        await bridge.fetch()


async def test_async_for_ends_with_the_bridge():
    """Items until it is closed."""
    seen = []
    async with AsyncQueueBridge() as bridge:
        for number in range(3):
            await bridge.submit(number)
        async for item in bridge:
            seen.append(item)
            if item == 2:
                bridge.close()
    assert seen == [0, 1, 2]


def test_several_loops_one_after_another():
    """One bridge, several asyncio.run, with a fetch left pending each time."""
    bridge = AsyncQueueBridge()

    async def use(item):
        waiting = asyncio.create_task(bridge.fetch())
        await at_rest()
        await bridge.submit(item)
        assert await waiting == item
        bridge.pending = asyncio.create_task(bridge.fetch())
        await at_rest()

    for item in range(3):
        asyncio.run(use(item))
    del bridge.pending
    bridge.close()
    assert reader_threads() == []


@pytest.mark.parametrize("what", ["fetch", "event"])
def test_a_loop_closed_behind_us(what):
    """loop.close() with a wait pending and the bridge not closed: the thread ends by itself."""
    loop = asyncio.new_event_loop()
    bridge, event = AsyncQueueBridge(), SafeEvent()
    work = bridge.fetch() if what == "fetch" else await_event(event)
    waiting = loop.create_task(work)
    loop.run_until_complete(at_rest())
    assert len(reader_threads()) == 1
    loop.close()
    assert all_reader_threads_end()
    waiting._log_destroy_pending = False
    del waiting, work
    gc.collect()
    bridge.close()
    assert supervisor.bridge.waiting._ReaderThread.of == {}


async def test_a_bridge_stays_in_its_process(bridge):
    """Pickling it says what to hand over instead."""
    with pytest.raises(UsageError, match="underlying_queue"):
        pickle.dumps(bridge)


async def test_repr_shows_the_state(bridge):
    """The state is in the repr."""
    assert repr(bridge) == "<AsyncQueueBridge open on <SafeQueue unbounded open>>"


# ---- events


@pytest.fixture(params=["safe", "fork", "spawn", "forkserver", "asked under its lock"])
def event(request, monkeypatch):
    """Every kind of event there is."""
    if request.param == "safe":
        yield (made := SafeEvent())
        made.close()
    elif request.param == "asked under its lock":
        monkeypatch.setattr(supervisor.bridge.event, "_flag", lambda _: None)
        yield multiprocessing.get_context("spawn").Event()
    else:
        yield multiprocessing.get_context(request.param).Event()


async def test_event_set(event):
    """A set event is waited for in no time, and stays set."""
    event.set()
    assert await await_event(event)
    assert await await_event(event, 1)
    assert await AsyncEvent(event).wait(1)
    assert event.is_set()


async def test_event_not_set_in_time(event):
    """False when the time is over first, and no thread is left."""
    assert await await_event(event, 0) is False
    assert await await_event(event, 0.005) is False
    assert all_reader_threads_end()


async def test_event_set_later(event):
    """The coroutines wake when plain code sets it, all of them."""
    waiting = [asyncio.create_task(await_event(event, DEADLINE)) for _ in range(3)]
    await at_rest()
    await asyncio.to_thread(event.set)
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_event_cancelled(event):
    """A cancelled wait leaves no thread behind."""
    for _ in range(10):
        waiting = asyncio.create_task(await_event(event))
        await at_rest()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
    assert all_reader_threads_end()


def test_wrapped_event(event):
    """Set, clear and is_set do on any event what they do for multiprocessing.Event."""
    wrapped = AsyncEvent(event)
    assert wrapped.underlying_event() is event
    assert AsyncEvent(wrapped).underlying_event() is event
    assert not wrapped.is_set()
    wrapped.set()
    assert event.is_set()
    assert wrapped.is_set()
    wrapped.clear()
    assert not event.is_set()
    assert not wrapped.is_set()


def test_own_event():
    """Without an argument it makes its own, which is safe."""
    wrapped = AsyncEvent()
    assert isinstance(wrapped.underlying_event(), SafeEvent)
    wrapped.set()
    assert wrapped.is_set()
    assert repr(wrapped) == "<AsyncEvent on <SafeEvent set>>"


async def test_no_event():
    """What is not an event is refused with what to pass."""
    with pytest.raises(UsageError, match="pass a SafeEvent"):
        AsyncEvent(object())
    with pytest.raises(UsageError, match="is not an event"):
        await await_event(42)


async def test_an_event_that_fails_tells():
    """An event that raises when it is asked ends the wait with that."""

    class Broken(threading.Event):
        def is_set(self):
            raise ConnectionError("its manager is gone")

    with pytest.raises(ConnectionError, match="gone"):
        await await_event(Broken())


async def test_a_closed_event_does_not_disturb_others():
    """Closing an event under a waiter, and making new ones with its descriptor, neither wakes nor blocks others."""
    closed = SafeEvent()
    waiting = asyncio.create_task(await_event(closed))
    await at_rest()
    closed.close()
    events = [SafeEvent() for _ in range(5)]
    others = [asyncio.create_task(await_event(event, DEADLINE)) for event in events]
    await at_rest()
    for event in events:
        event.set()
    assert await asyncio.gather(*others) == [True] * 5
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.processes
@pytest.mark.parametrize("make", [SafeEvent, SPAWN.Event])
async def test_events_set_by_a_process(make):
    """A child sets it, a coroutine of ours wakes."""
    event = make()
    with running(children.set_event, event):
        assert await await_event(event, DEADLINE)


@pytest.mark.processes
async def test_a_process_echoes_through_two_bridges():
    """Out and back through a spawned process, with back-pressure on the way out."""
    async with asyncio.timeout(DEADLINE), AsyncQueueBridge(4) as out, AsyncQueueBridge() as back:
        with running(children.echo, out.underlying_queue(), back.underlying_queue()):

            async def submit():
                for number in range(300):
                    await out.submit(number)

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(submit())
                assert list(range(300)) == [await back.fetch() for _ in range(300)]


async def test_bridges_that_come_and_go_in_other_threads(bridge):
    """All are listed for the metrics meanwhile; one that is there the whole time is never missed."""
    others: dict[str, AsyncQueueBridge[int]] = {}

    def come_or_go(name):
        if name in others:
            others.pop(name).close()
        else:
            others[name] = AsyncQueueBridge(name=name)

    with meanwhile(come_or_go):
        for _ in range(20):
            assert bridge in open_bridges()
    for other in others.values():
        other.close()
