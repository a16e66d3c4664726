"""A tree that gives up is told of at any moment, and in the way that was asked for."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import pytest
from msgspec import structs

from actors import UsageError
from actors.exits import ExitKind, ExitReason, ExitReport
from supervisor import (
    Cause,
    ChildSpec,
    Intensity,
    Restart,
    RestartIntensityExceeded,
    StartFailed,
    Supervisor,
    SupervisorSpec,
    TaskSpec,
)
from supervisor.core.causes import RestartAction, Rule
from supervisor.core.rules.policy import choose
from supervisor.core.terms import ChildTerms
from supervisor.root.giving_up import exceeded
from tests.support.mortals import Die, Mortal
from tests.support.waiting import DEADLINE, Script

pytestmark = pytest.mark.processes


def tree(**options):
    return Supervisor(ChildSpec(Mortal, name="a"), intensity=Intensity(0), spares=0, **options)


RULE = Rule(Cause.exception(ValueError), RestartAction.ESCALATE)


class ConfigError(Exception):
    pass


async def unset(*, ready, sets=False):
    if sets:
        ready()
    raise ConfigError("DB_URL is not set")


async def test_the_error_names_the_death_at_the_bottom():
    """Also where a supervisor below the root gave up; at a start, also where a rule made it give up."""
    lacks = rf"/root/s/unset \(life 1\) ended: crashed: {ConfigError.__module__}.ConfigError: DB_URL is not set"
    below = SupervisorSpec(TaskSpec(unset, kwargs={"sets": True}), name="s", intensity=Intensity(0))
    with pytest.raises(RestartIntensityExceeded, match=f"the last to end: /root/s, shutdown: gave up: .*{lacks}"):
        async with Supervisor(below, intensity=Intensity(0), spares=0) as root:
            await root.wait()
    escalates = TaskSpec(unset, restart=Restart("permanent", {Cause.failed_start: "escalate"}))
    lacks = f"unstarted: {ConfigError.__module__}.ConfigError: DB_URL is not set"
    with pytest.raises(StartFailed, match=f"/root/unset did not start: {lacks}.*the rule for failed start says"):
        async with Supervisor(escalates, spares=0):
            pytest.fail("it runs")
    async with Supervisor(spares=0) as root:
        with pytest.raises(StartFailed, match=f"/root/s did not start: .*gave up: .*/root/s/unset .* ended: {lacks}"):
            await root.start_child(SupervisorSpec(escalates, name="s"))


def test_the_advice_at_a_rule_is_not_to_raise_the_intensity():
    """A rule escalates whatever the intensity; where restarts were counted, that is one of the remedies."""
    crash = ExitReport(
        actor="/root/a",
        life=1,
        pid=7,
        reason=ExitReason(ExitKind.CRASHED, "ValueError: x"),
        traceback="ValueError: x",
        last_message="Add",
        last_message_begun=False,
        last_message_failed=True,
        because="restart 4 within 5 s, where 3 are allowed",
    )
    assert "raise the intensity" in str(exceeded("/root", None, crash))
    because = "the rule for exception ValueError says escalate"
    assert because == choose(ChildTerms(name="a", rules=(RULE,)), ExitKind.CRASHED, [RULE.cause]).because
    ruled = exceeded("/root", None, structs.replace(crash, because=because))
    assert f"/root gave up: {because}; the last to end: /root/a, crashed: ValueError: x" == str(ruled)


async def test_between_ready_and_the_first_line_of_the_body():
    """The body does not begin: what the tree has to say comes out of the `async with`."""
    root = tree()
    running = Supervisor._until_running

    async def until_running(self):
        await self._up_or_down.wait()
        self["a"].tell_nowait(Die())
        await self._terminated.wait()
        await running(self)

    root._until_running = until_running.__get__(root)
    with pytest.raises(RestartIntensityExceeded, match="gave up"):
        async with root:
            pytest.fail("the body began")
    assert 0 == asyncio.current_task().cancelling()


async def test_when_the_body_has_just_ended():
    """A cancellation that the body did not live to see is not mistaken for one from elsewhere."""
    root = tree()
    with pytest.raises(RestartIntensityExceeded):
        async with root:
            gave_up = asyncio.Event()
            told, root._engine._on_gave_up = root._engine._on_gave_up, lambda: (gave_up.set(), told())
            root["a"].tell_nowait(Die())
            with contextlib.suppress(asyncio.CancelledError):
                await gave_up.wait()
            asyncio.current_task().uncancel()
            asyncio.current_task().cancel()  # as if it came only now
    assert 0 == asyncio.current_task().cancelling()


@pytest.mark.parametrize(("how", "lines"), [({}, 1), ({"on_give_up": lambda error: None}, 0)])
async def test_the_log_says_what_becomes_of_a_server(logs, how, lines):
    """One line, where the task that entered is cancelled: a server that runs it serves on."""
    with pytest.raises(RestartIntensityExceeded):
        async with tree(**how) as root:
            root["a"].tell_nowait(Die())
            await root.wait()
    said = [line for line in logs if line["event"] == "task.cancelled"]
    assert lines == len(said)
    assert all(line["log_level"] == "critical" and "on_give_up='sigterm'" in line["detail"] for line in said)


async def test_a_callable_is_told():
    """At once, with the error that comes out in the end; the body is not cancelled."""
    told = []
    with pytest.raises(RestartIntensityExceeded, match="gave up") as caught:
        async with tree(on_give_up=told.append) as root:
            root["a"].tell_nowait(Die())
            async with asyncio.timeout(DEADLINE):
                await root.wait()
    assert "gave up" in str(told[0])
    assert "/root/a" in str(told[0])
    assert caught.value.report == told[0].report


@pytest.mark.parametrize("how", ["callable", "sigterm", "cancel"])
async def test_the_task_that_entered_has_ended(how):
    """A server's start hook enters the tree, its stop hook leaves it: what was asked for happens all the same."""
    told = []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.append, "gave up: sigterm")
    try:
        root = tree(on_give_up=told.append if how == "callable" else how)
        await asyncio.create_task(root.__aenter__())
        root["a"].tell_nowait(Die())
        async with asyncio.timeout(DEADLINE):
            await root.wait()
            while not told and how != "cancel":
                await asyncio.sleep(0.01)
        with pytest.raises(RestartIntensityExceeded):
            await root.__aexit__(None, None, None)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
    assert (how != "cancel") == (1 == len(told) and "gave up" in str(told[0]))


async def test_a_coroutine_function_is_told():
    """It is awaited, while the tree stops."""
    told = []

    async def tell(error):
        await asyncio.sleep(0)
        told.append(error)

    with pytest.raises(RestartIntensityExceeded):
        async with tree(on_give_up=tell) as root:
            root["a"].tell_nowait(Die())
            async with asyncio.timeout(DEADLINE):
                await root.wait()
    assert "gave up" in str(told[0])


EXITS = """
import asyncio, sys
from actors import Actor
from supervisor import ChildSpec, Intensity, Supervisor
from tests.support.mortals import Die, Mortal

async def main():
    tree = Supervisor(ChildSpec(Mortal, name="a"), intensity=Intensity(0), spares=0, on_give_up=lambda _: sys.exit(7))
    async with tree as root:
        root["a"].tell_nowait(Die())
        await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_callable_that_exits(tmp_path):
    """The daemon ends with that exit code, and its tree is stopped first."""
    with Script(tmp_path, EXITS) as daemon:
        code, _, err = daemon.end()
        assert 7 == code, err
        assert "Traceback" not in err


async def fails(error):
    raise ZeroDivisionError


@pytest.mark.parametrize("on_give_up", [lambda error: 1 / 0, fails])
async def test_a_callable_that_raises(on_give_up):
    """The loop hears of it at once; the tree ends all the same."""
    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context["exception"]))
    with pytest.raises(RestartIntensityExceeded):
        async with tree(on_give_up=on_give_up) as root:
            root["a"].tell_nowait(Die())
            async with asyncio.timeout(DEADLINE):
                await root.wait()
    assert [ZeroDivisionError] == list(map(type, heard))


@pytest.mark.parametrize("wrong", ["exit", ["cancel"], None])
def test_what_it_may_be(wrong):
    with pytest.raises(UsageError, match="on_give_up must be 'cancel', 'sigterm' or a callable, it is"):
        tree(on_give_up=wrong)


@pytest.mark.parametrize("wrong", [lambda: None, lambda error, why: None, int.bit_length.__get__(5)])
def test_a_callable_takes_the_error(wrong):
    """It is told when the supervisor is made, and not when the tree gives up."""
    with pytest.raises(UsageError, match="on_give_up is called with the RestartIntensityExceeded; .* does not take it"):
        tree(on_give_up=wrong)


SERVER = """
import asyncio, signal
from supervisor import ChildSpec, Intensity, RestartIntensityExceeded, Supervisor
from tests.support.mortals import Die, Mortal

async def lifespan(entered, leave):  # as a web server runs it: in a task of its own
    async with Supervisor(ChildSpec(Mortal), intensity=Intensity(0), spares=0, on_give_up="sigterm") as root:
        entered.set_result(root)
        await leave.wait()

async def main():
    loop = asyncio.get_running_loop()
    entered, leave = loop.create_future(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, leave.set)
    living = asyncio.create_task(lifespan(entered, leave))
    (await entered)["mortal"].tell_nowait(Die())
    try:
        await living
    except RestartIntensityExceeded:
        print("TOLD", flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_server_is_asked_to_stop(tmp_path):
    """SIGTERM reaches who serves; the error comes out of its lifespan."""
    with Script(tmp_path, SERVER) as daemon:
        code, out, err = daemon.end()
        assert 0 == code, err
        assert "TOLD" in out


async def test_a_tree_that_serves():
    """Asked to stop by its own signal, it ends as by any other."""
    with pytest.raises(RestartIntensityExceeded):
        async with tree(on_give_up="sigterm") as root:
            root["a"].tell_nowait(Die())
            async with asyncio.timeout(DEADLINE):
                await root.serve()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
