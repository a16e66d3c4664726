"""Checks: the first thing that cannot work is named with place, value and remedy."""

from __future__ import annotations

import math

import pytest

from supervisor import (
    BRUTAL_KILL,
    INFINITY,
    AutoShutdown,
    Backoff,
    ChildSpec,
    Intensity,
    InvalidSpec,
    RestartPolicy,
    Strategy,
    SupervisorSpec,
)
from supervisor.checks import check
from tests.support.actors import Puppet


def child(**options):
    return ChildSpec(Puppet, **{"name": "a", **options})


NEST = SupervisorSpec(child(), name="inner")


@pytest.mark.parametrize(
    ("spec", "path", "words"),
    [
        (SupervisorSpec(name="a/b"), "$.name", "letters, digits"),
        (SupervisorSpec(name=""), "$.name", "letters, digits"),
        (SupervisorSpec(strategy="one_for_two"), "$.strategy", "one_for_one, one_for_all, rest_for_one"),
        (SupervisorSpec(auto_shutdown="sometimes"), "$.auto_shutdown", "any_significant"),
        (SupervisorSpec(intensity=3), "$.intensity", "Intensity(max_restarts, period)"),
        (SupervisorSpec(intensity=Intensity(-1)), "$.intensity.max_restarts", "Intensity.unlimited()"),
        (SupervisorSpec(intensity=Intensity(1.5)), "$.intensity.max_restarts", "whole number"),
        (SupervisorSpec(intensity=Intensity(3, 0)), "$.intensity.period", "seconds > 0"),
        (SupervisorSpec(intensity=Intensity(3, math.nan)), "$.intensity.period", "seconds > 0"),
        (SupervisorSpec(start="somehow"), "$.start", "'ordered' or 'parallel'"),
        (SupervisorSpec(child(), max_children=0), "$.max_children", "there are 1 children"),
        (SupervisorSpec("a"), "$.children[0]", "ChildSpec or a SupervisorSpec"),
        (SupervisorSpec(Puppet), "$.children[0]", "ChildSpec or a SupervisorSpec"),
        (SupervisorSpec(child(), child()), "$.children[1].name", "unique"),
        (SupervisorSpec(child(name="inner"), NEST), "$.children[1].name", "unique"),
        (SupervisorSpec(child(name="a b")), "$.children[0].name", "letters, digits"),
        (SupervisorSpec(child(name=5)), "$.children[0].name", "letters, digits"),
        (SupervisorSpec(child(restart="always")), "$.children[0].restart", "permanent, transient, temporary"),
        (SupervisorSpec(child(shutdown=-1)), "$.children[0].shutdown", "BRUTAL_KILL or INFINITY"),
        (SupervisorSpec(child(shutdown="5")), "$.children[0].shutdown", "BRUTAL_KILL or INFINITY"),
        (SupervisorSpec(child(shutdown=True)), "$.children[0].shutdown", "BRUTAL_KILL or INFINITY"),
        (SupervisorSpec(child(output="both")), "$.children[0].output", "capture, inherit"),
        (SupervisorSpec(child(start_timeout=0)), "$.children[0].start_timeout", "seconds > 0"),
        (SupervisorSpec(child(backoff=0.1)), "$.children[0].backoff", "Backoff("),
        (SupervisorSpec(child(backoff=Backoff(initial=-1))), "$.children[0].backoff.initial", "seconds >= 0"),
        (SupervisorSpec(child(backoff=Backoff(cap=0.01))), "$.children[0].backoff.cap", "at least initial"),
        (SupervisorSpec(child(backoff=Backoff(jitter=-0.1))), "$.children[0].backoff.jitter", "a share"),
        (SupervisorSpec(child(backoff=Backoff(healthy_after=0))), "$.children[0].backoff.healthy_after", "or None"),
        (SupervisorSpec(child(mailbox=0)), "$.children[0].mailbox", "at least 1"),
        (SupervisorSpec(child(mailbox=1.5)), "$.children[0].mailbox", "at least 1"),
        (SupervisorSpec(child(max_deliveries=0)), "$.children[0].max_deliveries", "at least 1"),
        (SupervisorSpec(child(handler_timeout=0)), "$.children[0].handler_timeout", "seconds > 0, or None"),
        (SupervisorSpec(child(handler_timeout=INFINITY)), "$.children[0].handler_timeout", "seconds > 0, or None"),
        (SupervisorSpec(child(max_messages=0)), "$.children[0].max_messages", "whole number of messages, or None"),
        (SupervisorSpec(child(max_messages=True)), "$.children[0].max_messages", "whole number of messages, or None"),
        (SupervisorSpec(child(max_rss=1.5)), "$.children[0].max_rss", "whole number of bytes, or None"),
        (SupervisorSpec(child(max_age=0)), "$.children[0].max_age", "seconds > 0, or None"),
        (SupervisorSpec(child(max_age_jitter=-0.1)), "$.children[0].max_age_jitter", "a share >= 0"),
        (SupervisorSpec(child(max_age=9, shutdown=BRUTAL_KILL)), "$.children[0].shutdown", "max_age lets the process"),
        (SupervisorSpec(child(significant=True)), "$.children[0].significant", "auto_shutdown"),
        (
            SupervisorSpec(child(significant=True), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT),
            "$.children[0].significant",
            "transient or temporary",
        ),
        (
            SupervisorSpec(SupervisorSpec(child(), child(name="b", mailbox=-1), name="inner")),
            "$.children[0].children[1].mailbox",
            "at least 1",
        ),
    ],
)
def test_what_cannot_work(spec, path, words):
    """The place, the value and what to write instead stand in one line."""
    with pytest.raises(InvalidSpec) as caught:
        check(spec)
    assert path == caught.value.path
    assert words in caught.value.why
    assert f"{path}: {caught.value.why}, got {caught.value.value!r}" == str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, -1, 1.5, "2"])
def test_sizes_that_cannot_be(size):
    """A pool has a whole number of members."""
    with pytest.raises((InvalidSpec, TypeError)):
        check(SupervisorSpec(child(size=size)))


@pytest.mark.parametrize(
    "spec",
    [
        SupervisorSpec(),
        SupervisorSpec(child(), child(name="b-1.x_Y"), name="a.b-c_D", strategy=Strategy.REST_FOR_ONE),
        SupervisorSpec(child(shutdown=BRUTAL_KILL), child(name="b", shutdown=INFINITY, start_timeout=INFINITY)),
        SupervisorSpec(child(), max_children=1, start="parallel"),
        SupervisorSpec(child(), intensity=Intensity(0, 1)),
        SupervisorSpec(child(), SupervisorSpec(child(), name="inner")),
        SupervisorSpec(
            child(significant=True, restart=RestartPolicy.TRANSIENT), auto_shutdown=AutoShutdown.ALL_SIGNIFICANT
        ),
        SupervisorSpec(child(restart="temporary")),
        SupervisorSpec(child(handler_timeout=0.5)),
        SupervisorSpec(child(max_messages=1, max_age=0.5, max_rss=10**9, max_age_jitter=0)),
    ],
    ids=lambda spec: spec.name,
)
def test_what_can_work(spec):
    """Nothing is said about it."""
    check(spec)


SLOW = Backoff(initial=1.0, cap=60.0, jitter=0.0)


def test_a_supervisor_that_could_never_give_up():
    """The arithmetic is in the message."""
    with pytest.raises(InvalidSpec) as caught:
        check(SupervisorSpec(child(backoff=SLOW), intensity=Intensity(3, 5.0)))
    assert "$.children[0].backoff" == caught.value.path
    assert "4 restarts of this child take at least 7 s (cap 60 s x 3), more than the 5 s" in caught.value.why
    assert "Intensity.unlimited()" in caught.value.why


@pytest.mark.parametrize(
    "spec",
    [
        SupervisorSpec(child(backoff=SLOW), intensity=Intensity.unlimited()),
        SupervisorSpec(child(backoff=SLOW), intensity=Intensity(3, 7.0)),
        SupervisorSpec(child(backoff=SLOW, restart=RestartPolicy.TEMPORARY), intensity=Intensity(3, 5.0)),
        SupervisorSpec(child(backoff=SLOW), intensity=Intensity(1, 5.0)),
        SupervisorSpec(child(backoff=SLOW), intensity=Intensity(10**12, 1e15)),
    ],
    ids=["unlimited", "long enough", "never restarted", "soon enough", "a budget too large to be counted through"],
)
def test_a_slow_backoff_that_can_give_up(spec):
    """Only what could never escalate is refused."""
    check(spec)
