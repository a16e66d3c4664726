"""Tasks as children: the same rules as for processes, in the daemon's loop. No process is started."""

from __future__ import annotations

import asyncio
import contextvars
import functools

import pytest

from actors.errors import UsageError
from actors.exits import ExitKind
from supervisor import (
    BRUTAL_KILL,
    AutoShutdown,
    Cause,
    ChildState,
    Intensity,
    InvalidSpec,
    NoSuchChild,
    Restart,
    RestartIntensityExceeded,
    RestartPolicy,
    StartFailed,
    Strategy,
    SupervisorSpec,
    TaskSpec,
)
from supervisor.testing import ScriptedSupervisor
from tests.support.waiting import Watch, until

REQUEST = contextvars.ContextVar("REQUEST", default="none")


async def forever():
    await asyncio.Event().wait()


async def fails(error):
    await asyncio.sleep(0)
    raise error


async def fails_at_once():
    raise LookupError("no configuration")


async def returns():
    pass


async def says_when(gate, *, ready):
    await gate.wait()
    ready()
    await forever()


async def fails_on_its_way(*, ready):
    try:
        await forever()
    finally:
        del ready
        raise LookupError("no configuration")


async def returns_unready(*, ready):
    del ready


class Stubborn:
    """A coroutine function whose first life swallows every cancellation until it is let go."""

    def __init__(self):
        self.go = asyncio.Event()
        self.lives = 0

    async def __call__(self):
        self.lives += 1
        if self.lives > 1:
            await forever()
        while not self.go.is_set():
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                continue


def states(root):
    return {child.name: child.state for child in root.which_children()}


async def test_a_task_is_a_child_like_any_other(logs):
    """It is started, shown, listed and stopped; its start and its end are events and log lines."""
    root = ScriptedSupervisor(TaskSpec(forever, name="poller"))
    watch = Watch(root)
    async with root:
        started = await watch.started("poller")
        assert 1 == started.life
        assert started.pid is None
        (row,) = root.which_children()
        assert ("poller", "task", ChildState.RUNNING, None) == (row.name, row.kind, row.state, row.pid)
        assert (1, 1, 1, 0) == tuple(
            getattr(root.count_children(), name) for name in ("specs", "active", "workers", "supervisors")
        )
        (shown,) = root.snapshot().children
        assert ("task", "/root/poller", 1) == (shown.kind, shown.path, shown.life)
        assert "poller (task) running, life 1" in str(root)
        assert "/root/poller" in {task.get_name() for task in asyncio.all_tasks()}
    report = await watch.exited("poller")
    assert "shutdown: asked by the supervisor" == str(report.reason)
    assert "expected" == report.decision
    lines = [line for line in logs if line.get("actor") == "/root/poller"]
    assert ["child.started", "child.exited"] == [line["event"] for line in lines]
    assert "pid" not in lines[0]  # what is not known is left out


async def test_an_exception_is_a_crash_with_its_traceback():
    """The traceback begins in the user's code."""
    root = ScriptedSupervisor(TaskSpec(fails, (ValueError("no such pair"),), name="poller"))
    watch = Watch(root)
    async with root:
        report = await watch.exited("poller")
        assert "crashed: ValueError: no such pair" == str(report.reason)
        assert report.traceback.splitlines()[1].endswith("in fails")
        assert "restart" == report.decision


async def test_restarts_are_counted_and_the_tree_gives_up():
    with pytest.raises(RestartIntensityExceeded, match="no such pair"):
        async with ScriptedSupervisor(
            TaskSpec(fails, (ValueError("no such pair"),), name="poller"), intensity=Intensity(2, 60.0)
        ):
            await forever()


@pytest.mark.parametrize(
    ("error", "kind", "state"),
    [
        (SystemExit(3), ExitKind.CRASHED, ChildState.RUNNING),
        (SystemExit(0), ExitKind.NORMAL, ChildState.EXITED),
        (asyncio.CancelledError(), ExitKind.KILLED, ChildState.RUNNING),
        (BaseExceptionGroup("two", [KeyError(1), GeneratorExit()]), ExitKind.CRASHED, ChildState.RUNNING),
    ],
)
async def test_every_way_to_leave_ends_the_task_alone(error, kind, state):
    """`sys.exit` in a task ends the task, not the daemon; a cancellation from elsewhere is an abnormal end."""
    failing = [error]

    async def once():
        if failing:
            await fails(failing.pop())
        await forever()

    root = ScriptedSupervisor(TaskSpec(once, name="poller", restart="transient"))
    watch = Watch(root)
    async with root:
        report = await watch.exited("poller")
        assert kind is report.reason.kind
        await until(lambda: states(root)["poller"] is state)


async def test_a_task_cancelled_by_other_code_is_started_again():
    async with ScriptedSupervisor(TaskSpec(forever, name="poller")) as root:
        watch = Watch(root)
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "/root/poller"]
        task.cancel()
        report = await watch.exited("poller")
        assert "killed: cancelled by other code than its supervisor" == str(report.reason)
        assert 2 == (await watch.started("poller")).life


async def test_a_cancellation_by_other_code_is_a_cause():
    """As the exception that ended the task, under the name by which code knows it."""
    rules = Restart("permanent", {Cause.exception("asyncio.CancelledError"): "stop"})
    async with ScriptedSupervisor(TaskSpec(forever, name="poller", restart=rules)) as root:
        watch = Watch(root)
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "/root/poller"]
        task.cancel()
        report = await watch.exited("poller")
        assert "the rule for exception asyncio.exceptions.CancelledError says stop" == report.because


async def test_the_next_child_starts_when_the_task_says_it_is_ready():
    gate = asyncio.Event()
    root = ScriptedSupervisor(TaskSpec(says_when, (gate,), name="first"), TaskSpec(forever, name="second"))
    entering = asyncio.ensure_future(root.__aenter__())
    await until(lambda: root._engine is not None and states(root)["first"] is ChildState.STARTING)
    assert ChildState.STARTING is not states(root)["second"]
    gate.set()
    async with asyncio.timeout(20):
        await entering
    assert {ChildState.RUNNING} == set(states(root).values())
    await root.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (TaskSpec(fails_at_once, name="a"), "LookupError: no configuration"),
        (TaskSpec(returns_unready, name="a"), "it returned, and had not called ready()"),
        (
            TaskSpec(says_when, (asyncio.Event(),), name="a", start_timeout=0.05),
            r"not ready within 0.05 s, in says_when \(kinds/test_task",
        ),
    ],
)
async def test_a_start_that_fails_ends_the_tree(spec, words):
    with pytest.raises(StartFailed, match=words):
        async with ScriptedSupervisor(spec):
            pass


async def test_a_start_that_fails_while_it_is_stopped():
    """It has not been ready, so it is unstarted, as it would be without the stop."""
    async with ScriptedSupervisor() as root:
        watch = Watch(root)
        starting = asyncio.ensure_future(root.start_child(TaskSpec(fails_on_its_way, name="a")))
        await until(lambda: "a" in states(root))
        await root.terminate_child("a")
        assert "unstarted: LookupError: no configuration" == str((await watch.exited("a")).reason)
        with pytest.raises(StartFailed, match="terminated before it was ready"):
            await starting


async def test_a_task_that_is_done_in_its_first_step_has_been_ready():
    async with ScriptedSupervisor(TaskSpec(returns, restart=RestartPolicy.TRANSIENT)) as root:
        await until(lambda: states(root)["returns"] is ChildState.EXITED)
        assert "normal: it returned" == str(root.snapshot().children[0].last_exit.reason)


async def test_a_task_that_swallows_its_cancellation_is_reported_and_left_behind():
    """The stop goes on after the grace; the report says where the task is."""
    stubborn = Stubborn()
    root = ScriptedSupervisor(TaskSpec(stubborn, name="stubborn", shutdown=0.01), TaskSpec(forever))
    watch = Watch(root)
    async with root:
        pass
    report = await watch.exited("stubborn")
    assert ExitKind.KILLED is report.reason.kind
    assert "it swallowed its cancellation" in report.reason.detail
    assert "in __call__" in report.stacks
    stubborn.go.set()


async def test_no_next_life_begins_beside_one_that_runs_on():
    """A restart while the former task still runs is a failed start that says why; afterwards it works."""
    stubborn = Stubborn()
    async with ScriptedSupervisor(TaskSpec(stubborn, name="stubborn", shutdown=BRUTAL_KILL)) as root:
        await root.terminate_child("stubborn")
        with pytest.raises(StartFailed, match="a former life swallowed its cancellation and still runs"):
            await root.restart_child("stubborn")
        assert 1 == stubborn.lives
        stubborn.go.set()
        await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name() == "/root/stubborn"])
        await root.restart_child("stubborn")
        assert 2 == stubborn.lives


async def test_a_former_life_is_known_over_a_restart_of_its_supervisor():
    """The restarted supervisor makes its children anew; the task that runs on is still the one life of its path."""
    stubborn, crash = Stubborn(), asyncio.Event()

    async def crashes():
        await crash.wait()
        crash.clear()
        raise ValueError("once")

    inner = SupervisorSpec(
        TaskSpec(stubborn, name="stubborn", shutdown=0.01), TaskSpec(crashes), name="inner", intensity=Intensity(0, 1.0)
    )
    root = ScriptedSupervisor(inner, intensity=Intensity(50, 60.0))
    watch = Watch(root)
    async with root:
        crash.set()
        report = await watch.exited("stubborn")
        while report.reason.kind is not ExitKind.UNSTARTED:
            report = await watch.exited("stubborn")
        assert "a former life swallowed its cancellation" in report.reason.detail
        assert 1 == stubborn.lives
        stubborn.go.set()
        await until(lambda: states(root)["inner"] is ChildState.RUNNING)
        assert 2 == stubborn.lives


async def test_clean_up_within_the_grace_is_awaited():
    cleaned = []

    async def careful():
        try:
            await forever()
        finally:
            await asyncio.sleep(0.01)
            cleaned.append(True)

    async with ScriptedSupervisor(TaskSpec(careful)):
        pass
    assert [True] == cleaned


async def test_strategies_significance_and_nesting_hold_for_tasks():
    """one_for_all restarts a sibling task; the end of a significant task ends its supervisor."""
    end = asyncio.Event()
    crash = asyncio.Event()

    async def crashes():
        await crash.wait()
        crash.clear()
        raise ValueError("once")

    inner = SupervisorSpec(TaskSpec(crashes), TaskSpec(forever), name="inner", strategy=Strategy.ONE_FOR_ALL)
    root = ScriptedSupervisor(
        inner,
        TaskSpec(end.wait, name="main", restart="transient", significant=True),
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    )
    watch = Watch(root)
    async with root:
        crash.set()
        report = await watch.exited("forever")
        assert "/root/inner/forever" == report.actor
        assert 2 == (await watch.started("forever")).life
        end.set()
        await root.wait()


async def test_tasks_are_added_stopped_and_deleted_while_the_tree_runs():
    async with ScriptedSupervisor(SupervisorSpec(name="tasks")) as root:
        assert "/root/tasks/poller" == await root.start_child(TaskSpec(forever, name="poller"), under="tasks")
        with pytest.raises(StartFailed, match="no configuration"):
            await root.start_child(TaskSpec(fails_at_once), under="tasks")
        await root.terminate_child("tasks/poller")
        await root.restart_child("tasks/poller")
        with pytest.raises(NoSuchChild, match="tasks/poller is a task; only an actor or a pool is recycled"):
            await root.recycle("tasks/poller")
        with pytest.raises(NoSuchChild, match="tasks/poller is a task; only an actor or a pool has a size"):
            await root.resize("tasks/poller", 2)
        await root.terminate_child("tasks/poller")
        await root.delete_child("tasks/poller")
        assert () == root.which_children("tasks")


async def test_each_life_runs_in_the_context_in_which_the_child_was_added():
    seen = []

    async def looks():
        seen.append(REQUEST.get())
        REQUEST.set("changed by a life")
        await fails(ValueError("again"))

    REQUEST.set("daemon")
    async with ScriptedSupervisor(TaskSpec(looks)):
        await until(lambda: len(seen) >= 2)
    assert {"daemon"} == set(seen)


async def sized(size, *, ready=None, unit="s"):
    del size, ready, unit


async def stream():
    yield 1


class AsyncCalled:
    """A call of the class makes one of these; only a call of that is a coroutine."""

    async def __call__(self): ...


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TaskSpec(print), "TaskSpec takes an async def, print is none"),
        (lambda: TaskSpec(AsyncCalled), "TaskSpec takes an async def, AsyncCalled is none"),
        (lambda: TaskSpec(5), "TaskSpec takes an async def, 5 is none"),
        (lambda: TaskSpec(stream), "stream has a yield"),
        (lambda: TaskSpec(forever()), "not the coroutine that forever(...) returns; pass forever itself"),
        (lambda: TaskSpec(sized), "args and kwargs do not fit sized(size, *, ready=..., unit=...): missing a required"),
        (lambda: TaskSpec(sized, (1, 2)), "args and kwargs do not fit sized"),
        (lambda: TaskSpec(sized, "1"), "args of sized must be a tuple, (value,) for one; it is a str"),
        (lambda: TaskSpec(sized, (1,), {1: 2}), "kwargs of sized must be a mapping of names to values"),
    ],
)
def test_what_is_no_coroutine_function_or_cannot_be_called_is_refused(make, words):
    with pytest.raises(UsageError) as refusal:
        make()
    assert words in str(refusal.value)


def test_values_that_cannot_work_are_refused_with_their_place():
    for spec, path in (
        (TaskSpec(lambda_named := functools.partial(forever), name="a b"), "$.children[0].name"),
        (TaskSpec(lambda_named, shutdown=-1), "$.children[0].shutdown"),
        (TaskSpec(lambda_named, start_timeout=0), "$.children[0].start_timeout"),
        (TaskSpec(lambda_named, restart="always"), "$.children[0].restart"),
        (TaskSpec(lambda_named, significant=True), "$.children[0].significant"),
    ):
        with pytest.raises(InvalidSpec) as refusal:
            ScriptedSupervisor(spec)
        assert path == refusal.value.path


def test_names_and_readiness_follow_the_function():
    assert "forever" == TaskSpec(functools.partial(forever)).name
    assert "Stubborn" == TaskSpec(Stubborn()).name
    assert TaskSpec(says_when, (1,)).calls_ready
    assert not TaskSpec(says_when, (1,), {"ready": print}).calls_ready
    assert not TaskSpec(functools.partial(says_when, ready=print), (1,)).calls_ready
    assert "secret" not in repr(TaskSpec(sized, ("secret",)))


async def test_rules_by_cause_hold_for_tasks():
    """An exception by a base of its class, and the code of a sys.exit."""
    by_base = Restart("permanent", {Cause.exception(LookupError): "stop"})
    by_code = Restart("permanent", {Cause.exit_code(78): "stop"})
    specs = [
        TaskSpec(fails, (KeyError("x"),), name="a", restart=by_base),
        TaskSpec(fails, (SystemExit(78),), name="b", restart=by_code),
    ]
    async with ScriptedSupervisor(*specs) as root:
        await until(lambda: {"exited"} == {child.state for child in root.snapshot().children})
