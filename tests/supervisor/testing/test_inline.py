"""Inline: an actor in the test's process has the semantics that it has in one of its own, and time is virtual."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import signal
import sys
import threading
import time

import pytest

from actors import ActorCrashed, ActorStopped, AskTimeout, HandlerError, Jobs, Rejected, Shared, UsageError
from actors.testing import clock, inline, kill
from supervisor import (
    Backoff,
    Cause,
    ChildExited,
    ChildSpec,
    CommandSpec,
    FunctionSpec,
    HandlerSlow,
    HealthStatus,
    Intensity,
    Restart,
    RestartIntensityExceeded,
    RestartPolicy,
    Schedule,
    StartFailed,
    Supervisor,
    SupervisorSpec,
    TaskSpec,
)
from supervisor.testing import (
    Die,
    Echo,
    Exit,
    Hang,
    IgnoreStop,
    Incarnation,
    InlineSupervisor,
    Puppet,
    Raise,
    SendGarbage,
)
from supervisor.testing.clock import virtual_clock
from supervisor.testing.inline import InlineLauncher
from tests.support.functions import sleep
from tests.support.inlined import (
    PRICES,
    Add,
    Block,
    Copier,
    Copy,
    Counter,
    Fail,
    Forever,
    Hold,
    Later,
    Nap,
    Numbers,
    Perish,
    Poll,
    Price,
    Run,
    Said,
    Sleeper,
    Slow,
    SlowEnd,
    Through,
    Tick,
    Ticks,
    Watch,
    Work,
    double,
    stay,
)
from tests.support.life_conformance import check_life
from tests.support.waiting import Script, until
from tests.support.waiting import Watch as Happenings

HOUR = 3600.0


async def test_an_actor_answers_and_keeps_its_state():
    """Arguments reach `__init__`, messages are typed, hooks and log lines are there."""
    async with inline(Counter, 10, name="mine") as ref:
        assert "/root/counter" == ref.path
        assert [15, 16] == [await ref.ask(Add(5)), await ref.ask(Add(1))]
        with pytest.raises(UsageError, match="Expected `int`, got `str`"):
            await ref.ask(Add("five"))
        with pytest.raises(UsageError, match="does not handle Nap"):
            await ref.tell(Nap(1.0))


async def test_hooks_and_log_lines(logs):
    """`on_start` and `on_stop` run, and what the actor logs is in the daemon's log."""
    async with inline(Counter, name="mine"):
        pass
    own = [line for line in logs if line["event"].startswith("counter.")]
    assert [("counter.started", 1), ("counter.stopped", 1)] == [(line["event"], line["life"]) for line in own]
    assert ("mine", "shutdown") == (own[0]["name"], own[1]["reason"])


async def test_what_begins_first_has_begun_first():
    """Also where no time passes between two handlers: the report names the last message."""
    async with InlineSupervisor(ChildSpec(Sleeper, name="a"), intensity=Intensity(9, 9)) as root:
        watch = Happenings(root)
        await root["a"].ask_many([Ticks(), Nap(0.0)])
        kill(root["a"])
        assert "Nap" == (await watch.exited("a")).last_message
        await root["a"].ask_many([Nap(0.0), Ticks()])
        kill(root["a"])
        assert "Ticks" == (await watch.exited("a")).last_message


async def test_an_exception_is_an_error_with_its_traceback_and_ends_the_life():
    """The next life follows by the policy and begins with `__init__`."""
    async with inline(Counter, 10) as ref:
        await ref.ask(Add(1))
        with pytest.raises(HandlerError, match="ValueError: as asked") as caught:
            await ref.ask(Fail())
        assert 'raise ValueError("as asked")' in caught.value.traceback_text
        assert 10 == await ref.ask(Add(0))
        with pytest.raises(Rejected, match="no"):
            await ref.ask(Fail("refuse"))
        await ref.ask(Add(1))
        assert 11 == await ref.ask(Add(0)), "a refusal ends nothing"


async def test_ends_are_reported_as_those_of_processes():
    """An exception, `sys.exit`, a signal, garbage: the same words, codes and blame."""
    async with InlineSupervisor(ChildSpec(Puppet, name="a"), intensity=Intensity.unlimited()) as root:
        watch, ref = Happenings(root), root["a"]
        for message, kind, words in (
            (Raise("why not"), "crashed", "RuntimeError: why not (in Puppet.raise_)"),
            (Exit(3), "crashed", "exit code 3: sys.exit(3) in Puppet.exit"),
            (Exit(0), "normal", "exit code 0: sys.exit(0) in Puppet.exit"),
            (Die(), "killed", "SIGKILL from outside"),
            (Die(11), "killed", "SIGSEGV, segmentation fault"),
            (SendGarbage(), "crashed", "it broke the protocol: a frame of 1 bytes does not decode"),
        ):
            ref.tell_nowait(message)
            report = await watch.exited("a")
            assert (kind, type(message).__name__) == (report.reason.kind.value, report.last_message)
            assert report.reason.detail.startswith(words)
            assert report.pid is None
            await watch.started("a")
        assert 7 == await ref.ask(Incarnation())


async def test_the_fate_of_a_message_in_flight_is_known():
    """As over a kill -9: begun or not, and what waited reaches the next life."""
    async with inline(Puppet) as ref:
        asks = [asyncio.create_task(ref.ask(message)) for message in (Die(), Echo("next"))]
        with pytest.raises(ActorCrashed) as caught:
            await asks[0]
        assert (True, False) == (caught.value.started, caught.value.finished)
        assert "next" == await asks[1]
        assert 2 == await ref.ask(Incarnation())


@pytest.mark.parametrize("end", [Die(), Raise(), Exit(3), None], ids=["dies", "raises", "exits", "killed"])
async def test_what_was_answered_before_a_death_is_told(end):
    """As a process keeps its replies: also where they came together with what ends it, singly or as one call."""
    async with inline(ChildSpec(Puppet, handler_timeout=5.0)) as ref:
        last = Hang() if end is None else end
        asks = [asyncio.create_task(ref.ask(message, timeout=60)) for message in (Echo("a"), Incarnation(), last)]
        assert ["a", 1] == await asyncio.gather(*asks[:2])
        with pytest.raises((ActorCrashed, HandlerError)):
            await asks[2]
        replies = await ref.ask_many([Echo("b"), Incarnation(), Incarnation(), last, Incarnation()], timeout=60)
        assert ["b", 2, 2, 3] == [*replies[:3], replies[4]]
        assert isinstance(replies[3], ActorCrashed | HandlerError)


async def test_what_dies_twice_dies_once():
    """Two handlers that would die at the same time: the second one has not begun, and neither was handled."""
    never = Intensity.unlimited()
    async with InlineSupervisor(ChildSpec(Sleeper, name="a", max_deliveries=2), intensity=never) as root:
        for _ in range(2):
            root["a"].tell_nowait(Perish())
        assert 0.0 == await root["a"].ask(Nap(0.0), timeout=None)
        (child,) = root.snapshot().children
        assert {"poison": 2, "handled": 1} == {fate: n for fate, n in child.fates.items() if n}


async def test_a_tree_that_is_entered_again_is_refused_and_keeps_its_clock():
    """The refused call takes nothing from the run before."""
    async with InlineSupervisor(ChildSpec(Sleeper, name="a")) as root:
        with pytest.raises(UsageError, match="entered before"):
            await root.__aenter__()
        await root["a"].ask(Nap(3600.0), timeout=None)


async def test_the_clock_waits_for_the_threads_of_a_life_that_ends():
    """They end in real time, and the next life is there in time."""
    async with inline(Sleeper) as ref:
        with pytest.raises(HandlerError):
            await ref.ask(SlowEnd())
        assert 0.0 == await ref.ask(Nap(0.0), timeout=5.0)


async def test_rules_by_cause():
    """A rule finds its exit code."""
    rules = Restart(RestartPolicy.PERMANENT, {Cause.exit_code(78): "stop"})
    async with inline(ChildSpec(Puppet, restart=rules)) as ref:
        with pytest.raises(ActorCrashed):
            await ref.ask(Exit(78))
        with pytest.raises(ActorStopped):
            await ref.ask(Echo())


async def test_backoff_waits_by_the_clock():
    """The second restart in a row waits; the clock jumps there."""
    backoff = Backoff(initial=HOUR, cap=HOUR, jitter=0.0)
    spec = ChildSpec(Puppet, kwargs={"bad_starts": 3}, name="a", backoff=backoff, restart="permanent")
    with pytest.raises(StartFailed, match="RuntimeError"):
        await InlineSupervisor(spec, intensity=Intensity.unlimited()).__aenter__()
    never = Intensity.unlimited()
    async with InlineSupervisor(ChildSpec(Puppet, name="a", backoff=backoff), intensity=never) as root:
        began = clock.monotonic()
        for life in (1, 2, 3):
            assert life == await root["a"].ask(Incarnation(), timeout=None)
            root["a"].tell_nowait(Raise())
        await root["a"].ask(Incarnation(), timeout=None)
        assert clock.monotonic() - began == pytest.approx(2 * HOUR)


async def test_giving_up_cancels_the_body():
    """RestartIntensityExceeded comes out of the `async with`."""
    with pytest.raises(RestartIntensityExceeded, match="RuntimeError"):
        async with InlineSupervisor(ChildSpec(Puppet, name="a"), intensity=Intensity(0)) as root:
            root["a"].tell_nowait(Raise())
            await asyncio.Event().wait()


@pytest.mark.parametrize("actor", [Counter, Sleeper])
async def test_timers_and_delayed_tells_come_by_the_clock(actor):
    """Not earlier, in their order, and without waiting."""
    async with inline(actor) as ref:
        await ref.ask(Later(10.0, again=True))
        await ref.tell(Tick(), delay=25.0)
        await clock.advance(9.999)
        assert 0 == await ticks(ref, actor)
        await clock.advance(0.001)
        assert 1 == await ticks(ref, actor)
        await clock.advance(20.0)
        assert 4 == await ticks(ref, actor)
        if actor is Sleeper:
            assert [10.0, 20.0, 25.0, 30.0] == await ref.ask(Ticks())


async def ticks(ref, actor):
    return len(await ref.ask(Ticks())) if actor is Sleeper else await ref.ask(Add(0))


async def test_sleeps_of_handlers_are_virtual():
    """An hour is over at once, two handlers sleep at the same time, and a timeout is one."""
    began = time.monotonic()
    async with inline(Sleeper) as ref:
        naps = [asyncio.create_task(ref.ask(Nap(seconds), timeout=None)) for seconds in (2 * HOUR, HOUR)]
        await clock.advance(HOUR - 1)
        assert [False, False] == [nap.done() for nap in naps]
        await clock.advance(1)
        assert [False, True] == [nap.done() for nap in naps]
        assert [2 * HOUR, HOUR] == [round(await nap, 6) for nap in naps]
        with pytest.raises(AskTimeout, match="it is being handled, for 10.0 s now"):
            await ref.ask(Nap(HOUR), timeout=10.0)
    assert time.monotonic() - began < HOUR


async def test_a_handler_that_polls_does_not_hold_up_the_test():
    """What it polls for can arrive; and where it does not, time passes as for a test that polls."""
    async with inline(ChildSpec(Sleeper, shutdown=0.0)) as ref:
        with pytest.raises(AskTimeout, match="it is being handled"):
            await ref.ask(Poll(), timeout=0.2)
        polling = asyncio.create_task(ref.ask(Poll(), timeout=HOUR))
        await ref.tell(Tick())
        assert 1 == await polling


async def test_the_clock_waits_for_a_thread():
    """Where a handler awaits a thread time is real, so no timeout fires meanwhile."""
    async with inline(Sleeper) as ref:
        assert 42 == await ref.ask(Work(0.05), timeout=HOUR)


async def test_the_clock_waits_for_a_program():
    """Of an actor or of the test: time is real while it runs, however its end is told."""
    async with inline(Sleeper) as ref:
        assert 0 == await ref.ask(Run(0.05), timeout=60)
    for start in (asyncio.create_subprocess_exec(sys.executable, "-c", ""), asyncio.create_subprocess_shell("exit 0")):
        program = await start
        assert 0 == await asyncio.wait_for(program.wait(), 60)


async def test_a_stream_with_sleeps_between_its_items():
    """Each item by the clock."""
    async with inline(Slow) as ref:
        began = clock.monotonic()
        assert list(range(100)) == [number async for number in ref.stream(Numbers(100))]
        assert clock.monotonic() - began == pytest.approx(100.0)


async def test_actors_of_a_tree_send_watch_and_subscribe():
    """A sync call to an async actor and back, the end of another, topics."""
    specs = ChildSpec(Counter, name="a"), ChildSpec(Counter, name="b", restart="temporary")
    async with InlineSupervisor(*specs, SupervisorSpec(ChildSpec(Sleeper), name="below")) as root:
        assert 7 == await root["a"].ask(Through(root["b"], 7))
        await root["a"].ask(Watch(root["b"]))
        with pytest.raises(HandlerError, match="CallCycle"):
            await root["b"].ask(Through(root["b"], 7))
        root.publish(PRICES, Price(5))
        await clock.advance(0)
        assert ["/root/b", "5"] == await root["a"].ask(Said())
        assert 1.0 == round(await root["below/sleeper"].ask(Nap(1.0)), 6)


async def test_health_is_asked_by_the_clock():
    """What `health()` says shows in the tree."""
    async with InlineSupervisor(ChildSpec(Counter, name="a")) as root:
        await root["a"].ask(Add(5000))
        assert HealthStatus.HEALTHY is root.health().status
        await clock.advance(2.0)
        assert HealthStatus.DEGRADED is root.health().status
        assert root.snapshot().children[0].degraded == "too much"


@pytest.mark.parametrize(("actor", "handler"), [(Counter, "Counter.forever"), (Sleeper, "Sleeper.forever")])
async def test_a_handler_that_hangs_is_killed_by_the_clock(actor, handler):
    """`handler_timeout` and `soft_timeout` hold; the message gets its fate."""
    spec = ChildSpec(actor, name="a", handler_timeout=60.0, soft_timeout=20.0)
    async with InlineSupervisor(spec) as root:
        watch = Happenings(root)
        with pytest.raises(ActorCrashed) as caught:
            await root["a"].ask(Forever(), timeout=None)
        assert (True, False) == (caught.value.started, caught.value.finished)
        report = await watch.exited("a")
        assert (
            f"hung: {handler} over its limit of 60 s (handler_timeout); killed by its supervisor"
            in report.reason.detail
        )
        assert handler in [one.handler for one in watch.seen if isinstance(one, HandlerSlow)]


@pytest.mark.parametrize(("actor", "message", "where"), [(Counter, Forever(), "hang"), (Sleeper, Nap(60.0), "nap")])
async def test_a_handler_that_takes_long_is_found_in_time_with_its_stacks(actor, message, where):
    """As a process is: reported after soft_timeout, killed after handler_timeout, and each says where it was."""
    spec = ChildSpec(actor, name="a", soft_timeout=1.0, handler_timeout=3.0)
    async with InlineSupervisor(spec, intensity=Intensity(9, 9)) as root:
        watch = Happenings(root)
        with pytest.raises(ActorCrashed, match="hung"):
            await root["a"].ask(message, timeout=3.4)
        slow = await watch.find(lambda one: isinstance(one, HandlerSlow))
        assert slow.seconds == pytest.approx(1.0, abs=0.1)
        report = await watch.exited("a")
    for stacks in (slow.stacks, report.stacks):
        assert "/root/a" in stacks
        assert re.search(rf"in {where}$", stacks, re.MULTILINE)
        assert "of the library that called it" in stacks


async def test_a_handler_that_holds_the_event_loop_does_not_hold_the_clock():
    """An async handler that hangs without awaiting is killed by the clock, though more waits for its loop."""
    async with InlineSupervisor(ChildSpec(Sleeper, name="a", handler_timeout=HOUR)) as root:
        asking = asyncio.create_task(root["a"].ask(Block(), timeout=None))
        await clock.advance(0)
        assert 1.0 == round(await root["a"].ask(Nap(1.0), timeout=None), 6), "in the next life"
        with pytest.raises(ActorCrashed, match="over its limit of 3600 s"):
            await asking


@pytest.mark.parametrize("actor", [Counter, Sleeper])
async def test_a_handler_that_does_not_end_is_killed_after_the_grace(actor):
    """As a process is."""
    async with InlineSupervisor(ChildSpec(actor, name="a", shutdown=30.0)) as root:
        watch = Happenings(root)
        asking = asyncio.create_task(root["a"].ask(Forever(), timeout=None))
        await clock.advance(0)
        began = clock.monotonic()
    with pytest.raises(ActorCrashed):
        await asking
    report = await watch.exited("a")
    assert "it was still there 30 s after it had been asked to stop" in report.reason.detail
    assert began


async def test_a_stop_that_is_ignored():
    """A puppet that ignores it has to be killed, and a start that hangs ends at its timeout."""
    async with InlineSupervisor(ChildSpec(Puppet, name="a", shutdown=1.0)) as root:
        await root["a"].ask(IgnoreStop())
        await root.terminate_child("a")
        assert "killed" == root.snapshot().children[0].last_exit.reason.kind.value
    with pytest.raises(StartFailed, match="not ready within"):
        await InlineSupervisor(ChildSpec(Puppet, kwargs={"bad_starts": 1, "how": "hang"})).__aenter__()


async def test_a_cancelled_ask_cancels_its_handler():
    """And a sync one that hangs goes on, but is not waited for."""
    async with inline(Sleeper) as ref:
        asking = asyncio.create_task(ref.ask(Forever(), timeout=None))
        await clock.advance(0)
        asking.cancel()
        await clock.advance(0)
        assert 1.0 == round(await ref.ask(Nap(1.0)), 6)


async def test_a_task_lives_in_the_tree_and_processes_are_refused():
    """What is a task anyway runs inline; a function and a command only run as processes."""
    ran = []

    async def run():
        ran.append(True)
        await asyncio.Event().wait()

    async with InlineSupervisor(TaskSpec(run, name="task"), ChildSpec(Puppet, name="a")) as root:
        await root["a"].ask(Echo())
        assert ran
        late = FunctionSpec(sleep, args=(None,), name="late")
        for spec in (late, SupervisorSpec(late, name="below")):
            with pytest.raises(UsageError, match="late runs only as a process"):
                await root.start_child(spec)
        assert ["task", "a"] == [child.name for child in root.which_children()]
    for spec in (FunctionSpec(sleep, args=(None,), name="f"), CommandSpec(("true",), name="f")):
        with pytest.raises(UsageError, match="f runs only as a process; use Supervisor"):
            InlineSupervisor(SupervisorSpec(spec, name="below"))


async def test_processes_do_not_run_on_a_virtual_clock():
    """Their time is real: the tree refuses, before anything is started."""
    async with inline(Puppet):
        with pytest.raises(UsageError, match="virtual clock"):
            await Supervisor(ChildSpec(Puppet)).__aenter__()


@pytest.mark.processes
async def test_a_clock_does_not_become_virtual_under_processes():
    """Their timeouts would come at once."""
    async with Supervisor(ChildSpec(Puppet), spares=0) as root:
        with pytest.raises(UsageError, match="a tree of processes runs on this event loop"):
            await inline(Puppet).__aenter__()
        assert "x" == await root["puppet"].ask(Echo("x"))
    async with inline(Puppet) as ref:
        assert "x" == await ref.ask(Echo("x"))


async def test_a_test_that_is_interrupted_in_a_handler_goes_on(monkeypatch):
    """A sync handler that blocks cannot be stopped: the ask fails and says why, and no other handler blocks then."""
    gate, timer = threading.Event(), threading.Timer(0.05, lambda: signal.pthread_kill(main, signal.SIGUSR1))
    main = threading.get_ident()

    class Interrupted(BaseException):
        pass

    def interrupt(*_):
        raise Interrupted("too long")

    former = signal.signal(signal.SIGUSR1, interrupt)
    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
    monkeypatch.setattr(Puppet, "echo", lambda *_: gate.wait())
    try:
        async with InlineSupervisor(ChildSpec(Puppet, name="a"), ChildSpec(Puppet, name="b")) as root:
            timer.start()
            others = asyncio.gather(*(root[name].ask(Echo()) for name in "aab"), return_exceptions=True)
            first, *waiting = await others
            assert isinstance(first, ActorCrashed)
            assert "the test was interrupted" in str(first)
            assert [ActorStopped] * 2 == list(map(type, waiting))
    finally:
        gate.set()
        signal.signal(signal.SIGUSR1, former)
        timer.join()
    assert [Interrupted] == list(map(type, errors))


async def test_what_inline_refuses():
    """Arguments beside a spec; a loop that is not asyncio's is refused where the clock is made."""
    with pytest.raises(UsageError, match="takes no arguments beside it"):
        await inline(ChildSpec(Puppet), 3).__aenter__()
    for name in ("store", "cluster", "control"):
        with pytest.raises(UsageError, match=f"an inline tree takes no {name}="):
            InlineSupervisor(ChildSpec(Puppet), **{name: "auto"})


async def test_a_job_has_its_time_by_the_clock():
    """One that hangs is late, and another one is run."""
    async with InlineSupervisor(ChildSpec(Jobs, name="pool")) as root:
        await clock.advance(HOUR)
        with pytest.raises(AskTimeout, match="ran longer than 60 s"):
            await asyncio.wait_for(root["pool"].run(stay, timeout=60.0), 65.0)
        assert 3 == await root["pool"].run(double, 1.5)


async def test_room_for_values_in_shared_memory_is_awaited_by_the_clock():
    """An ask that finds none ends at its timeout, however far the clock has gone."""
    async with InlineSupervisor(ChildSpec(Sleeper, name="a"), max_shared_bytes=300_000) as root:
        await clock.advance(HOUR)
        with Shared.of(b"x" * 200_000) as first, Shared.of(b"x" * 200_000) as second:
            holding = asyncio.create_task(root["a"].ask(Hold(first), timeout=None))
            await clock.advance(0)
            began = clock.monotonic()
            with pytest.raises(AskTimeout):
                await root["a"].ask(Hold(second), timeout=5.0)
            assert clock.monotonic() - began == pytest.approx(5.0)
            holding.cancel()


async def test_values_in_shared_memory_pass():
    """In messages and in replies."""
    async with inline(Copier) as ref:
        with Shared.of(b"x" * 200_000) as value, await ref.ask(Copy(value)) as copy:
            assert b"x" * 400_000 == bytes(copy)


async def test_schedules_are_kept_by_the_clock():
    """So is a cron line: the hour comes when the test says so."""
    async with InlineSupervisor(ChildSpec(Counter, name="a")) as root:
        await root.schedule("often", "a", Tick(), Schedule.every(HOUR))
        await clock.advance(HOUR - 1)
        assert 0 == await root["a"].ask(Add(0))
        await clock.advance(2)
        assert 1 == await root["a"].ask(Add(0))
        await clock.advance(5 * HOUR)
        assert 6 == await root["a"].ask(Add(0))


async def test_recycling_and_pools():
    """A member of a pool is replaced, and no ask fails."""
    async with InlineSupervisor(ChildSpec(Puppet, name="pool", size=3, max_messages=5)) as root:
        lives = [await root["pool"].ask(Incarnation()) for _ in range(100)]
        assert max(lives) > 2
        await root.recycle("pool")
        assert "x" == await root["pool"].ask(Echo("x"))


async def test_a_life_is_killed_from_outside():
    """As by `kill -9`: blamed, restarted; what waits reaches the next life. What is not served cannot be killed."""
    async with InlineSupervisor(ChildSpec(Puppet, name="a"), ChildSpec(Sleeper, name="b")) as root:
        watch = Happenings(root)
        for name, message in (("a", Hang()), ("b", Forever())):
            asking = asyncio.create_task(root[name].ask(message, timeout=None))
            await clock.advance(0)
            kill(root[name])
            with pytest.raises(ActorCrashed):
                await asking
            report = await watch.exited(name)
            assert report.reason.detail.startswith("SIGKILL from outside")
            assert report.out_of_memory is False
        kill(root["a"])
        assert 3 == await root["a"].ask(Incarnation())
        await root.terminate_child("a")
        with pytest.raises(UsageError, match="/root/a is not served now"):
            kill(root["a"])


async def test_a_tree_is_killed_at_once():
    """A handler that hangs does not hold it up."""
    async with InlineSupervisor(ChildSpec(Puppet, name="a")) as root:
        watch = Happenings(root)
        asking = asyncio.create_task(root["a"].ask(Hang(), timeout=None))
        await until(lambda: root.snapshot().children[0].handling == "Hang")
        root.request_kill()
        with pytest.raises(ActorCrashed):
            await asking
        assert isinstance(await watch.find(lambda one: isinstance(one, ChildExited)), ChildExited)


async def test_an_inline_life_is_a_life():
    """It keeps every promise of the port, as one in a process does."""
    loop, time_ = asyncio.get_running_loop(), virtual_clock()
    with time_.running():
        await check_life(InlineLauncher(loop, time_, lambda: None))


@pytest.mark.skipif(not importlib.util.find_spec("uvloop"), reason="uvloop is not installed")
def test_a_loop_that_is_not_asyncios_is_refused(tmp_path):
    """In one line, before anything is started."""
    code = """
import asyncio, uvloop
from supervisor import ChildSpec
from supervisor.testing import InlineSupervisor, Puppet

async def main():
    await InlineSupervisor(ChildSpec(Puppet)).__aenter__()

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
"""
    with Script(tmp_path, code) as script:
        _, _, errors = script.end()
    assert "UsageError: a virtual clock needs asyncio's own event loop, this one is a uvloop.Loop" in errors
