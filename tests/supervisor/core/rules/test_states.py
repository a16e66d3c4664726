"""The tables of states: every pair that is in them is a way, every other pair is refused."""

import itertools

import pytest

from supervisor.core.rules.states import (
    ALIVE,
    CHILD_TRANSITIONS,
    SUPERVISOR_TRANSITIONS,
    ChildState,
    ChildStep,
    IllegalTransition,
    SupervisorState,
    SupervisorStep,
)
from supervisor.core.terms import ChildTerms, SupervisorTerms
from supervisor.core.tree.child import Child
from supervisor.core.tree.commands import CommandBuffer
from supervisor.core.tree.supervision import Supervision

CHILD_PAIRS = list(itertools.product(ChildState, ChildStep))
SUPERVISOR_PAIRS = list(itertools.product(SupervisorState, SupervisorStep))


def named(value):
    return value.value


@pytest.mark.parametrize(("state", "step"), CHILD_PAIRS, ids=named)
def test_a_child_goes_only_where_the_table_says(state, step):
    """Every pair of state and step is either in the table or raises."""
    child = Child(ChildTerms(name="a"), CommandBuffer())
    child.state = state
    if step in CHILD_TRANSITIONS[state]:
        child._step(step)
        assert child.state is CHILD_TRANSITIONS[state][step]
    else:
        with pytest.raises(IllegalTransition, match=f"child 'a': '{step.value}' is not legal .* '{state.value}'"):
            child._step(step)
        assert child.state is state


@pytest.mark.parametrize(("state", "step"), SUPERVISOR_PAIRS, ids=named)
def test_a_supervisor_goes_only_where_the_table_says(state, step):
    """Every pair of state and step is either in the table or raises."""
    supervision = Supervision(SupervisorTerms(path="/root"), ())
    supervision.phase = state
    if step in SUPERVISOR_TRANSITIONS[state]:
        supervision.step(step)
        assert supervision.phase is SUPERVISOR_TRANSITIONS[state][step]
    else:
        with pytest.raises(IllegalTransition, match="supervisor '/root'"):
            supervision.step(step)
        assert supervision.phase is state


@pytest.mark.parametrize("table", [CHILD_TRANSITIONS, SUPERVISOR_TRANSITIONS], ids=["child", "supervisor"])
def test_every_state_is_in_the_table_and_can_be_reached(table):
    """No state is forgotten, and none but the first is without a way to it."""
    states = type(next(iter(table)))
    reached = {after for row in table.values() for after in row.values()}
    assert set(states) == set(table)
    assert set(states) - reached <= {SupervisorState.NEW}


def test_only_a_start_gives_life_and_only_an_end_takes_it():
    """The border between having a life and having none is crossed by START and END alone."""
    crossing = {
        step
        for state, row in CHILD_TRANSITIONS.items()
        for step, after in row.items()
        if (state in ALIVE) != (after in ALIVE)
    }
    assert crossing == {ChildStep.START, ChildStep.END}


def test_from_every_state_a_supervisor_can_be_stopped():
    """END is legal everywhere but where it has been taken already."""
    closed = {state for state, row in SUPERVISOR_TRANSITIONS.items() if SupervisorStep.END not in row}
    assert closed == {SupervisorState.STOPPING, SupervisorState.STOPPED}
