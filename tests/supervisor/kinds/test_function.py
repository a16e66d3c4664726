"""Functions as children: plain multiprocessing code in processes of their own, under the rules of a tree."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading

import pytest

from actors.errors import UsageError
from actors.event import SafeEvent
from actors.exits import ExitKind
from supervisor import (
    ChildExited,
    ChildState,
    FunctionSpec,
    Intensity,
    InvalidSpec,
    NoSuchChild,
    StartFailed,
    Supervisor,
    SupervisorSpec,
)
from supervisor.bridge import AsyncQueueBridge
from tests.support import functions
from tests.support.actors import Puppet
from tests.support.waiting import DEADLINE, Watch, alive, until

pytestmark = pytest.mark.processes


def states(root):
    return {child.name: child.state for child in root.which_children()}


@contextlib.asynccontextmanager
async def queue():
    """A queue towards the test; `take()` is its next item."""
    async with AsyncQueueBridge() as bridge:
        yield bridge


async def take(bridge):
    async with asyncio.timeout(DEADLINE):
        return await bridge.fetch()


async def test_the_worker_of_a_bridge_runs_supervised():
    """Each death is reported with its cause, and the next life gets the same queues; a return ends it."""
    async with queue() as orders, queue() as results:
        spec = FunctionSpec(
            functions.serve,
            (orders.underlying_queue(), results.underlying_queue()),
            restart="transient",
        )
        root = Supervisor(spec, intensity=Intensity.unlimited(), spares=0)
        watch = Watch(root)
        async with root:
            (row,) = root.which_children()
            assert ("serve", "function") == (row.name, row.kind)
            assert "serve (function) running, life 1, pid" in str(root)
            for order, reason, code in (
                ("raise", "crashed: ValueError: no such pair (in serve)", 1),
                ("exit", "crashed: exit code 3: sys.exit(3) in serve", 3),
                ("leave", "crashed: exit code 5: it left by os._exit or from C code", 5),
                ("kill", "killed: SIGKILL from outside", None),
            ):
                await orders.submit(order)
                pid, done = await take(results)
                assert order == done
                report = await watch.exited("serve")
                assert str(report.reason).startswith(reason)
                assert (pid, code, "restart") == (report.pid, report.exit_code, report.decision)
                if order == "raise":
                    assert 'functions.py", line' in report.traceback.splitlines()[1]
            await orders.submit(None)
            report = await watch.exited("serve")
            assert "normal: it returned" == str(report.reason)
            assert ChildState.EXITED is states(root)["serve"]
            await root.restart_child("serve")
            await orders.submit("quit")
            report = await watch.exited("serve")
            assert "normal: exit code 0: it left by os._exit or from C code" == str(report.reason)
            with pytest.raises(NoSuchChild, match="serve is a function"):
                await root.recycle("serve")


async def test_a_stop_is_sigterm_which_unwinds_the_function():
    """`finally` runs, also for what is started later; a handler of its own is called; what ignores it is killed."""
    async with queue() as results:
        args = (results.underlying_queue(),)
        root = Supervisor(
            FunctionSpec(functions.sleep, args),
            FunctionSpec(functions.ignore_stops, args, shutdown=0.05),
            SupervisorSpec(name="later"),
            spares=0,
        )
        watch = Watch(root)
        async with root:
            await root.start_child(FunctionSpec(functions.own_handler, args), under="later")
            pids = {await take(results) for _ in range(3)}
            for pid in pids:
                if pid > 0:  # not the one with a handler of its own
                    os.kill(pid, signal.SIGTERM)  # as systemd does to the whole service: it changes nothing
            assert all(alive(abs(pid)) for pid in pids)
        reports = {}
        with contextlib.suppress(StopAsyncIteration):
            while True:
                happening = await anext(watch._stream)
                if isinstance(happening, ChildExited):
                    reports[happening.report.actor] = str(happening.report.reason)
        assert "shutdown: asked by the supervisor" == reports["/root/sleep"]
        assert "shutdown: asked by the supervisor" == reports["/root/later/own_handler"]
        assert reports["/root/ignore_stops"].startswith("killed: SIGKILL from its supervisor: it was still there")
        assert {"cleaned", "handled"} == {await take(results) for _ in range(2)}
        assert not any(alive(abs(pid)) for pid in pids)


async def test_readiness_options_and_output(tmp_path, logs):
    """The next child starts when the function says it is ready; options and output are as an actor's."""
    gate = SafeEvent()
    async with queue() as results:
        look = FunctionSpec(
            functions.look,
            kwargs={"results": results.underlying_queue()},
            name="looker",
            restart="temporary",
            nice=1,
            env={"LOOK": "here"},
            cwd=str(tmp_path),
            cpu_affinity=(0,),
        )
        root = Supervisor(FunctionSpec(functions.say_ready, (gate,)), look, spares=0)
        watch = Watch(root)
        entering = asyncio.ensure_future(root.__aenter__())
        await until(lambda: root._engine is not None and root.which_children()[0].pid is not None)
        assert root.which_children()[1].pid is None
        gate.set()
        async with asyncio.timeout(DEADLINE):
            await entering
        seen = await take(results)
        await watch.exited("looker")
        with pytest.raises(StartFailed, match=r"not ready within 0\.5 s"):
            await root.start_child(FunctionSpec(functions.never_ready, start_timeout=0.5))
        with pytest.raises(StartFailed, match="it returned, and had not called ready"):
            await root.start_child(FunctionSpec(functions.forgets_ready))
        await root.__aexit__(None, None, None)
    gate.close()
    nice = os.getpriority(os.PRIO_PROCESS, 0) + 1
    assert {"nice": nice, "env": "here", "cwd": str(tmp_path), "cpus": (0,), "name": "/root/looker"} == seen
    said = [line for line in logs if line.get("actor") == "/root/looker" and line["event"] != "child.started"]
    assert "a line" in [line.get("text") for line in said]
    assert "a record" in [line["event"] for line in said]


async def test_what_was_put_arrives_before_the_process_ends():
    """As with multiprocessing.Process: a function that returns waits until its items are on their way."""
    async with queue() as results:
        spec = FunctionSpec(functions.put_many, (results.underlying_queue(), 300), restart="temporary")
        async with Supervisor(spec, spares=0):
            assert list(range(300)) == [(await take(results))[0] for _ in range(300)]


async def test_what_a_function_started_ends_with_it():
    """Its forks are gone after its death, whatever session they are in."""
    async with queue() as results:
        spec = FunctionSpec(functions.start_relatives, (results.underlying_queue(),), restart="temporary")
        root = Supervisor(spec, spares=0)
        watch = Watch(root)
        async with root:
            pid, *relatives = await take(results)
            os.kill(pid, signal.SIGKILL)
            assert ExitKind.KILLED is (await watch.exited("start_relatives")).reason.kind
            await until(lambda: not any(map(alive, relatives)), "the end of its relatives")


async def test_where_a_function_waits_that_is_not_ready_in_time():
    """Its report has the place and the stacks; a function that gets ready meanwhile goes on."""
    gate = SafeEvent()
    async with Supervisor(SupervisorSpec(name="none"), spares=0) as root, asyncio.timeout(DEADLINE):
        starting = asyncio.ensure_future(root.start_child(FunctionSpec(functions.say_ready, (gate,))))
        await until(lambda: len(root.which_children()) > 1)
        child = root._engine.children["say_ready"]
        while "in say_ready" not in (child._stacks or ""):
            examined = asyncio.Event()
            child.examine(1, examined.set)
            await examined.wait()
        assert "readable (actors/event.py" in child._place
        gate.set()
        assert "/root/say_ready" == await starting
    gate.close()


def local():
    def inner():
        pass

    return inner


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: FunctionSpec(functions.asynchronous),
            "asynchronous is async: a call of it runs nothing. TaskSpec runs it",
        ),
        (lambda: FunctionSpec(functions.generator), "generator has a yield"),
        (lambda: FunctionSpec(5), "FunctionSpec takes a function, 5 is none"),
        (lambda: FunctionSpec(Puppet), "Puppet is an actor class"),
        (lambda: FunctionSpec(local()), "inner cannot be passed to a spawned process"),
        (lambda: FunctionSpec(functions.needs), "args and kwargs do not fit needs(size, *, unit=...)"),
        (lambda: FunctionSpec(functions.needs, "1"), "args of needs must be a tuple, (value,) for one; it is a str"),
        (lambda: FunctionSpec(functions.needs, (functions.LOCKED,)), "args[0] of needs, a lock, cannot be passed"),
        (lambda: FunctionSpec(functions.needs, (1,), {"unit": threading.Lock()}), "unit of needs, a lock, cannot be"),
    ],
)
def test_what_could_not_work_in_a_process_is_refused(make, words):
    with pytest.raises(UsageError) as refusal:
        make()
    assert words in str(refusal.value)


def test_options_are_checked_as_those_of_an_actor():
    for options, path in (
        ({"nice": 99}, "nice"),
        ({"env": {"PYTHONPATH": "x"}}, "env"),
        ({"rlimits": {"NOPE": 1}}, "rlimits"),
        ({"output": "file"}, "output"),
        ({"cpu_affinity": ()}, "cpu_affinity"),
        ({"shutdown": -1}, "shutdown"),
        ({"cwd": "/no/such/place"}, "cwd"),
    ):
        with pytest.raises(InvalidSpec) as refusal:
            Supervisor(FunctionSpec(functions.needs, (1,), **options))
        assert f"$.children[0].{path}" == refusal.value.path
    assert "secret" not in repr(FunctionSpec(functions.needs, ("secret",)))
