"""A tree and its refs belong to one loop, thread and process: elsewhere they refuse before anything is done."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
from contextlib import asynccontextmanager

import pytest

from actors import ActorCrashed, ActorStopped, AskTimeout, HandlerError, Jobs, Topic, UsageError
from supervisor import ChildSpec, Schedule, Supervisor
from supervisor.store import SQLiteStore
from tests.support.counters import Add, Counter, Fail, Sleep
from tests.support.jobs import double
from tests.support.waiting import DEADLINE, until

pytestmark = pytest.mark.processes


def tree():
    return Supervisor(ChildSpec(Counter, name="a"), ChildSpec(Counter, name="b"), spares=0)


@asynccontextmanager
async def whole_tree(tmp_path):
    """A tree with jobs and a store, which a caller may have kept, too."""
    jobs, store = ChildSpec(Jobs, name="pool"), SQLiteStore(tmp_path / "shop.db")
    async with Supervisor(
        ChildSpec(Counter, name="a"), ChildSpec(Counter, name="b"), jobs, spares=0, store=store
    ) as root:
        root.kept = root.store
        yield root


ADDED = Topic("added", Add)

USES = {
    "ask": lambda root, ref: ref.ask(Add(1)),
    "ask when down": lambda root, ref: ref.ask(Add(1), when_down="fail"),
    "ask_many": lambda root, ref: ref.ask_many([Add(1)]),
    "tell": lambda root, ref: ref.tell(Add(1)),
    "tell later": lambda root, ref: ref.tell(Add(1), delay=1.0),
    "tell_many": lambda root, ref: ref.tell_many([Add(1)]),
    "run": lambda root, ref: root["pool"].run(double, 1),
    "terminated": lambda root, ref: ref.terminated(),
    "start_child": lambda root, ref: root.start_child(ChildSpec(Counter, name="c")),
    "terminate_child": lambda root, ref: root.terminate_child("a"),
    "restart_child": lambda root, ref: root.restart_child("a"),
    "delete_child": lambda root, ref: root.delete_child("a"),
    "resize": lambda root, ref: root.resize("a", 2),
    "recycle": lambda root, ref: root.recycle("a"),
    "drain": lambda root, ref: root.drain(),
    "wait": lambda root, ref: root.wait(),
    "serve": lambda root, ref: root.serve(),
    "leave": lambda root, ref: root.__aexit__(None, None, None),
    "read dead letters": lambda root, ref: root.kept.page(None, 0),
    "find a dead letter": lambda root, ref: root.kept.dead_letter(1),
    "requeue": lambda root, ref: root.kept.requeue(1),
    "drop": lambda root, ref: root.kept.drop(1),
    "list mailboxes": lambda root, ref: root.kept.mailboxes(),
    "move": lambda root, ref: root.kept.move("gone", "new"),
    "discard": lambda root, ref: root.kept.discard("gone"),
}

USES_NOW = {
    "tell_nowait": lambda root, ref: ref.tell_nowait(Add(1)),
    "map": lambda root, ref: root["pool"].map(double, [1]),
    "publish": lambda root, ref: root.publish(ADDED, Add(1)),
    "subscribe": lambda root, ref: root.subscribe(ADDED),
    "schedule": lambda root, ref: root.schedule("x", "a", Add(1), Schedule.every(100)),
    "unschedule": lambda root, ref: root.unschedule("x"),
    "schedules": lambda root, ref: root.schedules(),
    "count_children": lambda root, ref: root.count_children(),
    "journal": lambda root, ref: root.journal(),
    "store": lambda root, ref: root.store,
    "events": lambda root, ref: root.events(),
    "dead_letters": lambda root, ref: root.dead_letters(),
    "health": lambda root, ref: root.health(),
    "snapshot": lambda root, ref: root.snapshot(),
    "which_children": lambda root, ref: root.which_children(),
    "request_stop": lambda root, ref: root.request_stop(),
    "request_kill": lambda root, ref: root.request_kill(),
}


def texts_of(root, ref):
    """What each use says, on a loop of this thread's own and, of those that are no coroutine, without one."""

    async def use(work):
        try:
            await asyncio.wait_for(work(root, ref), DEADLINE)
        except UsageError as error:
            return str(error)
        return "done"

    def use_now(work):
        try:
            work(root, ref)
        except UsageError as error:
            return str(error)
        return "done"

    async def use_all():
        awaited = {name: await use(work) for name, work in USES.items()}
        return awaited | {f"{name} on a loop": use_now(work) for name, work in USES_NOW.items()}

    return asyncio.run(use_all()) | {name: use_now(work) for name, work in USES_NOW.items()}


async def test_another_thread(tmp_path):
    """Everything is refused with the remedy, and nothing was done."""
    async with whole_tree(tmp_path) as root:
        texts = await asyncio.to_thread(texts_of, root, root["a"])
        assert [] == [
            name for name, text in texts.items() if "asyncio.run_coroutine_threadsafe(it(), root.loop)" not in text
        ]
        assert ["a", "b", "pool"] == [child.name for child in root.which_children()]
        assert [1, 1] == [await root[name].ask(Add(1)) for name in "ab"]
    assert [None, None, None] == [
        child.pid for child in root.which_children()
    ]  # the leaving that was refused is not the last


async def test_the_remedy_in_another_thread():
    """What is no coroutine, such as `health`, is called in one, with a loop in that thread and without."""
    async with tree() as root:

        async def it():
            return root.health()

        def without_a_loop():
            return asyncio.run_coroutine_threadsafe(it(), root.loop).result(DEADLINE)

        async def with_a_loop():
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(it(), root.loop))

        assert (await asyncio.to_thread(without_a_loop)).ready
        assert (await asyncio.to_thread(asyncio.run, with_a_loop())).ready


def test_another_loop_of_the_same_thread(tmp_path):
    """The same."""
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        entered = whole_tree(tmp_path)
        root = first.run_until_complete(entered.__aenter__())
        ref = root["a"]
        for name, work in USES.items():
            with pytest.raises(UsageError, match="another event loop"):
                second.run_until_complete(asyncio.wait_for(work(root, ref), DEADLINE))
                pytest.fail(name)

        async def use_now(work):
            work(root, ref)

        for name, work in USES_NOW.items():
            with pytest.raises(UsageError, match="another event loop"):
                second.run_until_complete(use_now(work))
                pytest.fail(name)
        ref.tell_nowait(Add(5))  # no loop runs: this is the thread, and the loop goes on later
        assert 6 == first.run_until_complete(ref.ask(Add(1)))
        first.run_until_complete(entered.__aexit__(None, None, None))
    finally:
        first.close()
        second.close()


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_fork(tmp_path):
    """The same; a fork that leaves the `async with` stops nothing of the daemon's."""
    async with whole_tree(tmp_path) as root:
        said, saying = multiprocessing.Pipe(duplex=False)
        ref = root["a"]
        waiting = asyncio.create_task(root["b"].ask(Sleep(), timeout=None))
        await ref.ask(Add(1))
        for _ in range(3):
            ref.tell_nowait(Add(1))  # the mailbox is about to send them
        pid = os.fork()
        if pid == 0:
            try:
                texts = await _in_a_thread_of_the_fork(root, ref)
                del texts["leave"]  # an exception may end the `async with` of a fork; the tree is the daemon's
                saying.send([name for name, text in texts.items() if "in a fork of its daemon" not in text])
                waiting.cancel()
                if sys.version_info < (3, 14):  # in a fork of a later Python no task takes another step
                    await asyncio.sleep(0)
                await root.__aexit__(SystemExit, SystemExit(), None)
            finally:
                os._exit(7)
        assert [] == await asyncio.to_thread(said.recv)
        said.close()
        saying.close()
        assert 7 == os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, pid, 0))[1])
        assert 5 == await ref.ask(Add(1))
        assert not waiting.done()


async def _in_a_thread_of_the_fork(root, ref):
    found = []
    thread = threading.Thread(target=lambda: found.append(texts_of(root, ref)))
    thread.start()
    thread.join()
    with pytest.raises(UsageError, match="in a fork"):
        ref.call(Add(1))
    with pytest.raises(UsageError, match="in a fork"):
        ref.tell_nowait(Add(1))
    with pytest.raises(UsageError, match="in a fork"):
        await ref.ask(Add(1))
    return found[0]


# ---- call


async def test_call_from_another_thread():
    """It blocks there, and returns or raises as ask does."""
    async with tree() as root:
        ref = root["a"]
        assert 3 == await asyncio.to_thread(ref.call, Add(3))
        assert [3 + n for n in range(1, 9)] == sorted(
            await asyncio.gather(*(asyncio.to_thread(root["a"].call, Add(1)) for _ in range(8)))
        )
        with pytest.raises(HandlerError, match="of the handler"):
            await asyncio.to_thread(ref.call, Fail())
        with pytest.raises(AskTimeout):
            await asyncio.to_thread(lambda: ref.call(Sleep(), timeout=0.01))
        with pytest.raises(UsageError):
            await asyncio.to_thread(lambda: ref.call(Add("no number")))
        with pytest.raises(UsageError, match="would block the daemon's event loop"):
            ref.call(Add(1))


async def test_call_when_the_tree_ends():
    """Who waits hears of it, and so does who comes later."""
    async with tree() as root:
        ref = root["a"]
        calling = asyncio.create_task(asyncio.to_thread(lambda: ref.call(Sleep(), timeout=None)))
        await until(lambda: ref._mailbox.depth, "the call")
        root.request_kill()
        with pytest.raises((ActorStopped, ActorCrashed)):
            await calling
        await root.wait()
        with pytest.raises(ActorStopped):
            await asyncio.to_thread(ref.call, Add(1))


def test_call_when_the_loop_is_closed():
    """Also when the tree was forgotten there."""
    loop = asyncio.new_event_loop()
    root = loop.run_until_complete(tree().__aenter__())
    ref = root["a"]
    calls = []

    def call(timeout):
        try:
            ref.call(Add(1), timeout=timeout)
        except (ActorStopped, AskTimeout) as error:
            calls.append(str(error))

    threads = [threading.Thread(target=call, args=(timeout,)) for timeout in (None, 0.01)]
    for thread in threads:
        thread.start()
    threads[1].join()
    assert "is blocked, or does not run" in calls[0]
    loop.run_until_complete(root.__aexit__(None, None, None))
    loop.close()
    threads[0].join(DEADLINE)
    call(1.0)
    assert "down for good" in calls[-1]


def test_no_asyncio():
    """One line says that it needs asyncio, and nothing was begun."""
    root = tree()
    with pytest.raises(UsageError, match="needs a running asyncio event loop") as caught:
        root.__aenter__().send(None)
    assert "\n" not in str(caught.value)
    asyncio.run(_enter(root))


async def _enter(root):
    async with root:
        pass


async def test_a_reader_of_events_on_another_loop():
    """It was made here, and could not be woken there: that is told instead of waiting for ever."""

    async def next_of(stream):
        return await asyncio.wait_for(anext(stream), DEADLINE)

    async with tree() as root:
        for stream in (root.events(), root.dead_letters(), root.subscribe(Topic("added", Add))):
            with pytest.raises(UsageError, match="from another thread than that of its supervisor's loop"):
                await asyncio.to_thread(asyncio.run, next_of(stream))
