"""Rules by cause in the machine: each action, with and without a successor, at a first start and later."""

import pytest

from actors.exits import ExitKind, ExitReason
from supervisor.core.causes import Cause, Rule
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.core.terms import AutoShutdown, ChildTerms, Intensity, RestartPolicy, Strategy, SupervisorTerms
from supervisor.core.tree import commands as c
from supervisor.core.tree.events import (
    Boot,
    ChildExited,
    ChildReady,
    RecycleAsked,
    StartAsked,
    Timer,
    TimerFired,
    TimerKind,
)
from supervisor.core.tree.machine import SupervisorMachine

CAUSE = Cause.exit_code(78)


def terms(action, **given):
    return ChildTerms(name="a", rules=(Rule(CAUSE, action),), **given)


def machine(child, **given):
    made = SupervisorMachine(SupervisorTerms(**given), [child])
    made.handle(0.0, Boot())
    return made


def die(made, life, causes=(CAUSE,)):
    said = made.handle(1.0, ChildExited("a", life, ExitReason(ExitKind.CRASHED, "exit code 78"), causes=causes))
    (report,) = (command for command in said if isinstance(command, c.ReportExit))
    return report


@pytest.mark.parametrize(
    ("action", "decision", "counted"),
    [
        ("restart", "restart", 1),
        ("restart_uncounted", "restart", 0),
        ("stop", "leave_down", 0),
        ("escalate", "give_up", 0),
    ],
)
@pytest.mark.parametrize("successor", [False, True])
def test_actions(action, decision, counted, successor):
    """Each decides in place of the policy, also when the next life has begun already."""
    made = machine(terms(action, overlap=successor), intensity=Intensity(5, 5.0))
    made.handle(0.0, ChildReady("a", 1))
    if successor:
        made.handle(0.0, RecycleAsked("a", 1, "max_age"))
        made.handle(0.0, ChildReady("a", 2))
    report = die(made, 1)
    assert (decision, counted) == (report.decision, report.restarts)
    assert report.because.startswith(f"the rule for exit code 78 says {action}")
    assert (decision == "give_up") is (made.phase in (SupervisorState.STOPPING, SupervisorState.STOPPED))


def test_uncounted_restarts_never_exceed_the_intensity():
    """A supervisor that allows none goes on."""
    made = machine(terms("restart_uncounted"), intensity=Intensity(0))
    for life in range(1, 6):
        made.handle(0.0, ChildReady("a", life))
        assert "restart" == die(made, life).decision
        made.handle(9.0, TimerFired(Timer("a", life, TimerKind.BACKOFF)))
    assert SupervisorState.RUNNING is made.phase


def test_without_a_matching_cause_the_policy_decides():
    """A rule for one exit code says nothing about another."""
    made = machine(terms("stop"))
    made.handle(0.0, ChildReady("a", 1))
    report = die(made, 1, (Cause.exit_code(1),))
    assert ("restart", "permanent children are restarted") == (report.decision, report.because)


@pytest.mark.parametrize(
    ("action", "decision", "phase"),
    [
        ("restart", "restart", SupervisorState.STARTING),
        ("stop", "leave_down", SupervisorState.RUNNING),
        ("escalate", "give_up", SupervisorState.STOPPED),
    ],
)
def test_a_first_start_that_fails(action, decision, phase):
    """A rule decides there, too; `failed_start` is the last cause to be looked at."""
    made = machine(ChildTerms(name="a", rules=(Rule(Cause.failed_start, action),)))
    assert decision == die(made, 1).decision
    assert phase is made.phase


def test_a_child_that_a_rule_stopped_at_its_first_start_may_fail_later():
    """Started again by call, or with its siblings, it ends no supervisor that runs."""
    sibling = ChildTerms(name="b")
    made = SupervisorMachine(
        SupervisorTerms(strategy=Strategy.ONE_FOR_ALL), [ChildTerms(name="a", rules=(Rule(CAUSE, "stop"),)), sibling]
    )
    made.handle(0.0, Boot())
    die(made, 1)
    made.handle(0.0, ChildReady("b", 1))
    assert SupervisorState.RUNNING is made.phase
    made.handle(1.0, ChildExited("b", 1, ExitReason(ExitKind.CRASHED)))
    assert "restart" == die(made, 2, (Cause.exit_code(1),)).decision
    assert made.phase in (SupervisorState.RUNNING, SupervisorState.RESTARTING)


def test_a_start_that_was_called_for_is_its_callers():
    """No rule repeats it, and none ends the supervisor for it."""
    made = SupervisorMachine(SupervisorTerms(), [])
    made.handle(0.0, Boot())
    made.handle(0.0, StartAsked(1, terms("escalate")))
    assert "leave_down" == die(made, 1).decision
    assert SupervisorState.RUNNING is made.phase


def test_a_stop_by_rule_is_an_end_of_a_significant_child():
    """As a normal end of a transient child is."""
    child = terms("stop", significant=True)
    made = machine(child, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    made.handle(0.0, ChildReady("a", 1))
    die(made, 1)
    assert SupervisorState.STOPPED is made.phase


def test_a_child_that_a_rule_stopped_starts_again_by_call():
    """Its spec stays, unless it is temporary."""
    made = machine(terms("stop", restart=RestartPolicy.TRANSIENT))
    made.handle(0.0, ChildReady("a", 1))
    die(made, 1)
    assert ChildState.EXITED is made.state("a")
    temporary = machine(terms("stop", restart=RestartPolicy.TEMPORARY))
    temporary.handle(0.0, ChildReady("a", 1))
    die(temporary, 1)
    assert not temporary.children()
