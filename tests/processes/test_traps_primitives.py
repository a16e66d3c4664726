"""The traps of stock multiprocessing primitives, on ours: a real kill -9 inside the wait, the get, the put, the set."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from actors.event import SafeEvent
from actors.queue import SafeQueue
from supervisor.bridge import AsyncQueueBridge
from supervisor.bridge.event import AsyncEvent, await_event
from tests.support import children
from tests.support.spawning import DEADLINE, SPAWN, kill, open_descriptors, running
from tests.support.waiting import until_now

pytestmark = pytest.mark.processes

KILLS = 100


@contextlib.contextmanager
def victims(deed, shared):
    """A function that starts one more process doing `deed(shared, order)` and tells its pid."""
    orders, pids = SafeQueue(), SafeQueue()

    def one_more(order):
        orders.put(order)
        return pids.get(timeout=DEADLINE)

    with running(children.nursery, orders, pids, deed, shared):
        yield one_more
    orders.close()
    pids.close()


# ---- killed inside an event


def test_killed_in_wait():
    """A process killed in SafeEvent.wait() holds up neither the setter nor those who wait with it."""
    event, waiting, other_waiting = SafeEvent(), SafeEvent(), SafeEvent()
    with (
        running(children.wait_event, event, waiting) as victim,
        running(children.wait_event, event, other_waiting) as other,
    ):
        assert waiting.wait(DEADLINE)
        assert other_waiting.wait(DEADLINE)
        kill(victim)
        setter = threading.Thread(target=event.set, daemon=True)
        setter.start()
        setter.join(DEADLINE)
        assert not setter.is_alive()
        other.join(DEADLINE)
        assert other.exitcode == 0
        event.clear()
        assert not event.is_set()


def test_killed_in_set():
    """A process killed while it sets and clears leaves a flag that works as before."""
    event = SafeEvent()
    for _ in range(3):
        begun = SafeEvent()
        with running(children.keep_setting, event, begun) as victim:
            assert begun.wait(DEADLINE)
            kill(victim)
        event.set()
        assert event.wait(DEADLINE)
        event.clear()
        assert not event.is_set()


async def test_stock_event_with_a_killed_waiter():
    """A stock event whose waiter was killed: AsyncEvent.set() returns, and coroutines see it set."""
    event, waiting = SPAWN.Event(), SafeEvent()
    with running(children.wait_event, event, waiting) as victim:
        assert await await_event(waiting, DEADLINE)
        while not await asyncio.to_thread(_is_slept_on, event):
            pass
        kill(victim)
    wrapped = AsyncEvent(event)
    coroutine = asyncio.create_task(wrapped.wait(DEADLINE))
    wrapped.set()
    assert await coroutine
    assert wrapped.is_set()
    event._cond._woken_count.release()  # what the dead would have done: the thread that still sets it can end
    for thread in threading.enumerate():
        if thread.name == "stock-event":
            thread.join(DEADLINE)


def _is_slept_on(event):
    """Whether a thread is inside the wait() of a stock event."""
    return event._cond._sleeping_count._semlock._get_value() > 0


# ---- killed inside a queue


def test_killed_in_get():
    """A process killed in SafeQueue.get() holds up no other reader: every item arrives there."""
    shared, back, waiting = SafeQueue(), SafeQueue(), SafeEvent()
    with running(children.get_for_ever, shared, waiting) as victim:
        assert waiting.wait(DEADLINE)
        kill(victim)
    with running(children.echo, shared, back):
        for number in range(100):
            shared.put(number)
        assert list(range(100)) == [back.get(timeout=DEADLINE) for _ in range(100)]


def test_killed_after_taking():
    """Readers killed between taking items and giving their places back: the queue is not wedged."""
    narrow = SafeQueue(2)
    for _ in range(2):
        begun = SafeEvent()
        with running(children.take_and_die, narrow, begun) as victim:
            assert begun.wait(DEADLINE)
            narrow.put("taken into death")
            victim.join(DEADLINE)
            assert victim.exitcode == -signal.SIGKILL
    assert narrow.full()
    assert narrow.empty()
    for number in range(10):
        narrow.put(number, timeout=DEADLINE)
        assert narrow.get(timeout=DEADLINE) == number


async def test_submit_finds_a_lost_place():
    """The same, for a coroutine that waits in submit()."""
    async with asyncio.timeout(DEADLINE), AsyncQueueBridge(1) as bridge:
        begun = SafeEvent()
        with running(children.take_and_die, bridge.underlying_queue(), begun) as victim:
            assert await await_event(begun, DEADLINE)
            await bridge.submit("taken into death")
            await asyncio.to_thread(victim.join, DEADLINE)
        await bridge.submit("next")
        assert await bridge.fetch() == "next"


def test_killed_in_get_at_random_instants():
    """A hundred readers killed anywhere: what they did not take arrives, whole and in order, and the bound holds."""
    dice, narrow, seen = random.Random(1), SafeQueue(4), []
    with victims(_get_for_ever, narrow) as one_more:
        for kill_number in range(KILLS):
            pid = one_more(0)
            until = time.monotonic() + dice.random() * 0.005
            number = 0
            while time.monotonic() < until:
                with contextlib.suppress(queue.Full):
                    narrow.put((kill_number, number, b"x" * dice.choice((1, 100_000))), timeout=0.001)
                    number += 1
            os.kill(pid, signal.SIGKILL)
        until_now(lambda: not Path(f"/proc/{pid}").exists(), "the last of them takes nothing more")
        while True:
            try:
                seen.append(narrow.get(timeout=0.05)[:2])
            except queue.Empty:
                break
        for number in range(10):
            narrow.put(number, timeout=DEADLINE)
            assert narrow.get(timeout=DEADLINE) == number
    assert sorted(seen) == seen


def _get_for_ever(shared, _order):
    while True:
        shared.get()


@pytest.mark.parametrize("maxsize", [0, 3])
def test_killed_in_put_at_random_instants(maxsize):
    """A hundred writers and more killed anywhere in a put: the reader never hangs and never sees a torn item."""
    dice, shared, last = random.Random(2), SafeQueue(maxsize), {}
    before = open_descriptors()
    longest = 0.01  # seconds that one writes
    with victims(children.put_large, shared) as one_more:
        for writer in range(10 * KILLS):
            written = len(last)
            pid = one_more(writer)
            until = time.monotonic() + dice.random() * longest
            while time.monotonic() < until:
                _read_whole(shared, last, 0.001)
            os.kill(pid, signal.SIGKILL)
            longest = 0.01 if len(last) > written else min(1.1 * longest, 0.5)  # a busy machine lets it begin late
            if writer + 1 >= KILLS and len(last) > KILLS // 10:
                break
        until_now(lambda: not Path(f"/proc/{pid}").exists(), "the last of them puts nothing more")
        while _read_whole(shared, last, 0.05):
            pass
    assert len(last) > KILLS // 10
    shared.put("alive", timeout=DEADLINE)
    assert shared.get(timeout=DEADLINE) == "alive"
    assert before == open_descriptors()


def _read_whole(shared, last, timeout):
    try:
        writer, number, content = shared.get(timeout=timeout)
    except queue.Empty:
        return False
    assert number == last.get(writer, -1) + 1
    assert bytes([number % 251]) * (200_000, 50_000, 10)[number % 3] == content
    last[writer] = number
    return True


# ---- cancelled, not killed


@pytest.mark.parametrize("fetchers", [1, 5])
async def test_a_thousand_cancelled_fetches(fetchers):
    """Fetches cancelled and timed out at random instants lose nothing: every item once, in order."""
    dice, seen, cancelled = random.Random(3), [], 0
    stop, ended = SafeEvent(), asyncio.Event()

    async def by_wait_for(delay):
        return await asyncio.wait_for(bridge.fetch(), delay)

    async def by_timeout(delay):
        async with asyncio.timeout(delay):
            return await bridge.fetch()

    async def by_cancel(delay):
        task = asyncio.create_task(bridge.fetch())
        asyncio.get_running_loop().call_later(delay, task.cancel)
        return await task

    async def consume():
        nonlocal cancelled
        while not ended.is_set():
            way = dice.choice((by_wait_for, by_timeout, by_cancel))
            try:
                item = await way(dice.random() * 0.0015)
            except (TimeoutError, asyncio.CancelledError):
                cancelled += 1
            else:
                if item is None:
                    ended.set()
                else:
                    seen.append(item)
            if cancelled >= 1000 and len(seen) > 50 and not stop.is_set():  # however late the other process begins
                stop.set()

    async with asyncio.timeout(DEADLINE), AsyncQueueBridge() as bridge:
        with running(children.put_until, bridge.underlying_queue(), stop):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(fetchers):
                    tasks.create_task(consume())
    assert cancelled >= 1000
    assert len(seen) > 50
    assert list(range(len(seen))) == (seen if fetchers == 1 else sorted(seen))
    assert not [thread for thread in threading.enumerate() if thread.name == "bridge-reader"]


# ---- the interpreter's exit in the middle of a wait

WAITS = (
    "AsyncQueueBridge().fetch()",
    "full().submit(2)",
    "await_event(SafeEvent())",
    "await_event(multiprocessing.Event())",
    "await_event(Plain())",  # asked under its lock
)
EXITS = {
    "asyncio.run ends": """
        async def main():
            await begin()
        asyncio.run(main())
    """,
    "sys.exit in a task": """
        async def main():
            await begin()
            sys.exit(0)
        asyncio.run(main())
    """,
    "the loop is left as it is": """
        loop = asyncio.new_event_loop()
        loop.run_until_complete(begin())
    """,
    "the loop runs in a daemon thread": """
        begun = threading.Event()
        async def main():
            await begin()
            begun.set()
            await pending[0]
        threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
        begun.wait()
    """,
}


@pytest.mark.parametrize("ending", EXITS)
def test_the_interpreter_exits_in_a_wait(ending):
    """No wait holds up the exit, however the program ends."""
    program = textwrap.dedent("""
        import asyncio, multiprocessing, sys, threading
        from actors.event import SafeEvent
        from supervisor.bridge import AsyncQueueBridge, await_event

        class Plain(threading.Event): pass

        def full():
            bridge = AsyncQueueBridge(1)
            bridge.underlying_queue().put(1)
            return bridge

        async def wait(what):
            return await what

        pending = []

        async def begin():
            pending.extend(asyncio.create_task(wait(what)) for what in [WAITS])
            for _ in range(5):  # until it waits
                await asyncio.sleep(0)
    """).replace("WAITS", ", ".join(WAITS)) + textwrap.dedent(EXITS[ending])
    done = subprocess.run(
        [sys.executable, "-c", program], timeout=DEADLINE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
