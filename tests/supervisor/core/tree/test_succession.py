"""Recycling with overlap, in the pure machine: the successor is started first, and one life serves at a time."""

from __future__ import annotations

import pytest

from actors.exits import ExitKind, ExitReason
from supervisor.core.rules.states import ChildState
from supervisor.core.terms import ChildTerms, Intensity, RestartPolicy, Strategy, SupervisorTerms
from supervisor.core.tree import commands as do
from supervisor.core.tree import events as happened
from supervisor.core.tree.machine import SupervisorMachine


def brief(command):
    match command:
        case do.StartChild(child, life):
            return f"start {child}{life}"
        case do.AwaitStreams(child, life):
            return f"await {child}{life}"
        case do.StopChild(child, life):
            return f"stop {child}{life}"
        case do.KillChild(child, life):
            return f"kill {child}{life}"
        case do.ReportReady(child, life):
            return f"ready {child}{life}"
        case do.ReportExit():
            return f"{command.decision.value} {command.child}{command.life}"
        case do.Answer():
            return f"answer {command.ticket} {command.verdict.value}"
        case do.SetTimer(timer):
            return f"{timer.kind.value} {timer.child}{timer.life}"
        case _:
            return type(command).__name__.lower()


class Bench:
    """A machine whose children overlap, and short words for the events."""

    def __init__(self, *children, **terms):
        terms.setdefault("intensity", Intensity(100, 5.0))
        children = [ChildTerms(name=name, overlap=True) if isinstance(name, str) else name for name in children]
        self.machine = SupervisorMachine(SupervisorTerms(**terms), children)
        self.now = 0.0
        self.send(happened.Boot())
        for child in children:
            self.ready(child.name, 1)

    def send(self, event, *, timers=False):
        said = self.machine.handle(self.now, event)
        left_out = (do.CancelTimer,) if timers else (do.CancelTimer, do.SetTimer)
        return [brief(command) for command in said if not isinstance(command, left_out)]

    def ready(self, child, life):
        return self.send(happened.ChildReady(child, life))

    def exit(self, child, life, kind="crashed"):
        return self.send(happened.ChildExited(child, life, ExitReason(ExitKind(kind))))

    def recycle(self, child, life=1):
        return self.send(happened.RecycleAsked(child, life, "a limit"))

    def call(self, child, ticket=7):
        return self.send(happened.RecycleCalled(ticket, child))

    def streams_over(self, child, life=1):
        return self.send(happened.StreamsOver(child, life))

    def fire(self, child, life, kind):
        return self.send(happened.TimerFired(happened.Timer(child, life, happened.TimerKind(kind))))

    def state(self, child):
        return self.machine.state(child)


def test_the_successor_starts_first_and_serves_when_the_life_before_it_is_over():
    """Started, ready, the old one asked to stop, gone; only then the new one serves. Nothing is counted."""
    bench = Bench("a")
    assert ["start a2"] == bench.call("a")
    assert (ChildState.RUNNING, 2) == (bench.state("a"), bench.machine.children()[0].successor)
    assert ["await a1"] == bench.ready("a", 2)
    assert ["stop a1"] == bench.streams_over("a")
    assert ["recycle a1", "ready a2", "answer 7 ok"] == bench.exit("a", 1, "shutdown")
    assert (ChildState.RUNNING, 0) == (bench.state("a"), bench.machine.restarts(0.0))


def test_an_old_life_that_does_not_leave_is_killed_after_its_grace():
    """The successor does not wait longer than that."""
    bench = Bench("a")
    bench.recycle("a")
    bench.ready("a", 2)
    bench.streams_over("a")
    assert ["kill a1"] == bench.fire("a", 1, "grace")
    assert ["recycle a1", "ready a2"] == bench.exit("a", 1, "killed")


@pytest.mark.parametrize("late", [False, True])
def test_a_successor_that_fails_by_a_limit_is_counted_and_tried_again(late):
    """The old life goes on; the wait before the next attempt grows."""
    bench = Bench("a")
    bench.recycle("a")
    if late:
        assert ["kill a2"] == bench.fire("a", 2, "start")
    assert ["restart a2"] == bench.exit("a", 2, "killed" if late else "crashed")
    assert (ChildState.RUNNING, 1) == (bench.state("a"), bench.machine.restarts(0.0))
    assert ["start a3"] == bench.fire("a", 1, "recycle")
    bench.exit("a", 3)
    assert ["start a4"] == bench.fire("a", 1, "recycle")
    assert ["await a1"] == bench.ready("a", 4)


def test_a_successor_that_fails_too_often_ends_the_supervisor():
    """A failed start counts as any other."""
    bench = Bench("a", intensity=Intensity(1, 5.0))
    bench.recycle("a")
    bench.exit("a", 2)
    bench.fire("a", 1, "recycle")
    assert ["give_up a3", "stop a1"] == bench.exit("a", 3)


def test_a_successor_that_was_called_for_is_the_callers():
    """It is not repeated and counts for nothing; the caller hears of it."""
    bench = Bench("a")
    bench.call("a")
    assert ["leave_down a2", "answer 7 start_failed"] == bench.exit("a", 2)
    assert (ChildState.RUNNING, 0) == (bench.state("a"), bench.machine.restarts(0.0))
    assert ["start a3"] == bench.call("a", 8)


@pytest.mark.parametrize("ready", [False, True])
def test_a_successor_takes_the_place_of_a_life_that_dies(ready):
    """No second start; the death is counted."""
    bench = Bench("a")
    bench.recycle("a")
    said = bench.ready("a", 2) if ready else []
    said = bench.exit("a", 1)
    if not ready:
        assert (["restart a1"], ChildState.STARTING) == (said, bench.state("a"))
        said += bench.ready("a", 2)
    assert ["restart a1", "ready a2"] == said
    assert 1 == bench.machine.restarts(0.0)


@pytest.mark.parametrize("strategy", [Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL])
def test_siblings_restart_with_a_successor_that_takes_over(strategy):
    """They are stopped and started again around it."""
    bench = Bench("a", "b", strategy=strategy)
    bench.recycle("a")
    assert ["restart a1", "stop b1"] == bench.exit("a", 1)
    assert [] == bench.exit("b", 1, "shutdown")[1:]
    assert ["ready a2", "start b2"] == bench.ready("a", 2)


@pytest.mark.parametrize("policy", [RestartPolicy.TRANSIENT, RestartPolicy.TEMPORARY])
def test_a_policy_that_wants_no_other_life_ends_the_successor(policy):
    """The life ended for good by itself, so the successor is not wanted."""
    bench = Bench(ChildTerms(name="a", overlap=True, restart=policy))
    bench.call("a")
    assert ["leave_down a1", "stop a2"] == bench.exit("a", 1, "normal")
    assert "expected a2" == bench.exit("a", 2, "shutdown")[0]
    assert not bench.machine.children() or bench.state("a") is ChildState.EXITED


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("ready", [False, True])
def test_terminate_ends_both_lives(first, ready):
    """It is answered when both are gone, whichever leaves first."""
    bench = Bench("a")
    bench.call("a")
    if ready:
        bench.ready("a", 2)
    assert ["stop a2", "stop a1"] == bench.send(happened.TerminateAsked(9, "a"))
    assert [f"expected a{first}"] == bench.exit("a", first, "shutdown")
    last = 3 - first
    said = bench.exit("a", last, "shutdown")
    assert [f"expected a{last}", "closemailbox", "answer 9 ok", "answer 7 start_failed"] == said


@pytest.mark.parametrize("first", [1, 2])
def test_the_end_of_the_supervisor_ends_both_lives(first):
    """The caller is answered at once."""
    bench = Bench("a")
    bench.call("a")
    assert ["answer 7 stopping", "stop a2", "stop a1"] == bench.send(happened.StopRequested())
    assert ["kill a2", "kill a1"] == bench.send(happened.KillRequested())
    bench.exit("a", first, "killed")
    assert "terminate" == bench.exit("a", 3 - first, "killed")[-1]


def test_a_siblings_restart_ends_both_lives():
    """Then the child starts afresh, with a number of its own."""
    bench = Bench("a", "b", strategy=Strategy.ONE_FOR_ALL)
    bench.recycle("b")
    assert ["restart a1", "stop b2", "stop b1"] == bench.exit("a", 1)
    assert ["expected b1"] == bench.exit("b", 1, "shutdown")
    assert ["expected b2", "start a2"] == bench.exit("b", 2, "shutdown")
    assert ["ready a2", "start b3"] == bench.ready("a", 2)


def test_a_ready_successor_that_dies_while_the_old_life_leaves_is_followed_by_another():
    """The old one is leaving, so the next life starts when it has."""
    bench = Bench("a")
    bench.recycle("a")
    bench.ready("a", 2)
    bench.streams_over("a")
    assert ["restart a2"] == bench.exit("a", 2, "killed")
    assert ["recycle a1", "start a3"] == bench.exit("a", 1, "shutdown")


@pytest.mark.parametrize("by_a_call", [False, True])
def test_a_call_is_answered_by_a_life_that_begins_after_it(by_a_call):
    """A successor that has begun may have read the file that the caller has replaced since: another one follows it."""
    bench = Bench("a")
    first = bench.call("a", 1) if by_a_call else bench.recycle("a")
    assert (["start a2"], [], []) == (first, bench.call("a", 2), bench.call("a", 3))
    bench.ready("a", 2)
    bench.streams_over("a")
    answered = ["answer 1 ok"] if by_a_call else []
    assert ["recycle a1", "ready a2", *answered, "start a3"] == bench.exit("a", 1, "shutdown")
    bench.ready("a", 3)
    bench.streams_over("a", 2)
    assert ["recycle a2", "ready a3", "answer 2 ok", "answer 3 ok"] == bench.exit("a", 2, "shutdown")


def test_a_call_is_not_failed_by_a_life_that_began_before_it():
    """That one is its own caller's; who called later has another at once."""
    bench = Bench("a")
    bench.call("a", 1)
    bench.call("a", 2)
    assert ["leave_down a2", "answer 1 start_failed", "start a3"] == bench.exit("a", 2)
    assert ["leave_down a3", "answer 2 start_failed"] == bench.exit("a", 3)


def test_a_call_cuts_the_wait_for_the_next_attempt_short():
    """Before and after the attempt of a limit has failed."""
    bench = Bench("a")
    bench.recycle("a")
    bench.exit("a", 2)
    assert ["start a3"] == bench.call("a", 3)
    assert [] == bench.fire("a", 1, "recycle")
    bench = Bench("a")
    bench.recycle("a")
    bench.call("a", 3)
    assert ["restart a2", "start a3"] == bench.exit("a", 2)
    assert [] == bench.fire("a", 1, "recycle")


def test_a_call_waits_for_another_life_when_the_one_before_it_dies():
    """The successor takes over, and is followed by the one that was called for."""
    bench = Bench("a")
    bench.recycle("a")
    bench.call("a")
    assert ["restart a1"] == bench.exit("a", 1)
    assert ["ready a2", "start a3"] == bench.ready("a", 2)
    bench.ready("a", 3)
    bench.streams_over("a", 2)
    assert ["recycle a2", "ready a3", "answer 7 ok"] == bench.exit("a", 2, "shutdown")


def test_a_call_waits_for_a_life_that_starts_and_for_the_one_that_follows_it():
    """What starts had begun before the call, so it may have read what was there before."""
    bench = Bench("a")
    bench.exit("a", 1)
    assert (ChildState.STARTING, []) == (bench.state("a"), bench.call("a"))
    assert ["ready a2", "start a3"] == bench.ready("a", 2)
    bench.ready("a", 3)
    bench.streams_over("a", 2)
    assert ["recycle a2", "ready a3", "answer 7 ok"] == bench.exit("a", 2, "shutdown")


def test_a_call_for_a_life_whose_start_fails_is_answered():
    """Either another life follows, which is new anyway, or none does."""
    bench = Bench("a")
    bench.exit("a", 1)
    bench.call("a")
    assert ["restart a2", "answer 7 restarting"] == bench.exit("a", 2)
    bench.fire("a", 2, "backoff")
    bench.call("a")
    bench.send(happened.TerminateAsked(8, "a"))
    assert "answer 7 start_failed" == bench.exit("a", 3, "shutdown")[-1]


def test_a_call_ends_with_the_supervisor_that_gives_up():
    """No other life begins."""
    bench = Bench("a", intensity=Intensity(0, 5.0))
    bench.recycle("a")
    bench.call("a")
    assert ["give_up a2", "answer 7 stopping", "stop a1"] == bench.exit("a", 2)


def test_what_is_refused():
    """Unknown names, what does not run, and a shutdown that leaves no time for the message."""
    bench = Bench("a", ChildTerms(name="b", overlap=True, shutdown=0.0))
    assert ["answer 7 not_found"] == bench.call("x")
    assert ["answer 7 refused"] == bench.call("b")
    bench.exit("a", 1)
    bench.exit("a", 2)
    assert ["answer 7 restarting"] == bench.call("a")
    bench.fire("a", 2, "backoff")
    bench.send(happened.TerminateAsked(8, "a"))
    assert ["answer 7 stopping"] == bench.call("a")
    bench.exit("a", 3)
    assert ["answer 7 refused"] == bench.call("a")
    bench.send(happened.StopRequested())
    assert ["answer 7 stopping"] == bench.call("a")
