"""Strategy x position: who is stopped and who is started, in which order."""

import itertools

import pytest

from supervisor.core.rules.policy import Scope, scope
from supervisor.core.terms import ChildTerms, RestartPolicy, Strategy

ABCD = [ChildTerms(name=name) for name in "abcd"]

EXPECTED = {
    "one_for_one": {"a": ("", "a"), "b": ("", "b"), "c": ("", "c"), "d": ("", "d")},
    "rest_for_one": {"a": ("dcb", "abcd"), "b": ("dc", "bcd"), "c": ("d", "cd"), "d": ("", "d")},
    "one_for_all": {"a": ("dcb", "abcd"), "b": ("dca", "abcd"), "c": ("dba", "abcd"), "d": ("cba", "abcd")},
}


@pytest.mark.parametrize(
    ("strategy", "culprit"),
    [pytest.param(s, c, id=f"{s.value}-{c}") for s, c in itertools.product(Strategy, "abcd")],
)
def test_strategy_by_position(strategy, culprit):
    """Stops in reverse order of start, starts in order; rest_for_one touches none before the culprit."""
    stop, start = EXPECTED[strategy.value][culprit]
    assert Scope(tuple(stop), tuple(start)) == scope(strategy, ABCD, culprit)


@pytest.mark.parametrize(
    ("strategy", "stop", "start"),
    [
        pytest.param(Strategy.ONE_FOR_ONE, "", "b", id="one_for_one"),
        pytest.param(Strategy.REST_FOR_ONE, "tc", "bc", id="rest_for_one"),
        pytest.param(Strategy.ONE_FOR_ALL, "tcs", "bc", id="one_for_all"),
    ],
)
def test_temporary_siblings_are_stopped_and_not_started(strategy, stop, start):
    """A temporary child among those touched is stopped in its turn and left out of the starts."""
    children = [
        ChildTerms(name="s", restart=RestartPolicy.TEMPORARY),
        ChildTerms(name="b"),
        ChildTerms(name="c", restart=RestartPolicy.TRANSIENT),
        ChildTerms(name="t", restart=RestartPolicy.TEMPORARY),
    ]
    assert Scope(tuple(stop), tuple(start)) == scope(strategy, children, "b")
