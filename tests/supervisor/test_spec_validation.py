"""Checks: the first thing that cannot work is named with place, value and remedy."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from supervisor import (
    BRUTAL_KILL,
    INFINITY,
    AutoShutdown,
    Backoff,
    Cause,
    ChildSpec,
    Intensity,
    InvalidSpec,
    Overflow,
    Restart,
    RestartPolicy,
    Routing,
    Strategy,
    SupervisorSpec,
)
from supervisor.core.rules import policy
from supervisor.spec_validation import check
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
        (SupervisorSpec(intensity=Intensity(3, 0)), "$.intensity.period", "seconds from 0.001"),
        (SupervisorSpec(intensity=Intensity(3, math.nan)), "$.intensity.period", "seconds from 0.001"),
        (SupervisorSpec(start="somehow"), "$.start", "'ordered' or 'parallel'"),
        (SupervisorSpec(child(), max_children=0), "$.max_children", "there are 1 children"),
        (SupervisorSpec("a"), "$.children[0]", "expected one of ChildSpec, SupervisorSpec"),
        (SupervisorSpec(Puppet), "$.children[0]", "expected one of ChildSpec, SupervisorSpec"),
        (SupervisorSpec(child(), child()), "$.children[1].name", "unique"),
        (SupervisorSpec(child(name="inner"), NEST), "$.children[1].name", "unique"),
        (SupervisorSpec(child(name="a b")), "$.children[0].name", "letters, digits"),
        (SupervisorSpec(child(name=5)), "$.children[0].name", "letters, digits"),
        (SupervisorSpec(child(restart="always")), "$.children[0].restart", "permanent, transient, temporary"),
        (
            SupervisorSpec(SupervisorSpec(child(), name="sub", restart=Restart("permanent", {Cause.hang: "stop"}))),
            "$.children[0].restart",
            "write the rules at its children",
        ),
        (SupervisorSpec(child(shutdown=-1)), "$.children[0].shutdown", "BRUTAL_KILL or INFINITY"),
        (SupervisorSpec(child(shutdown="5")), "$.children[0].shutdown", "BRUTAL_KILL or INFINITY"),
        (SupervisorSpec(child(shutdown=True)), "$.children[0].shutdown", "BRUTAL_KILL or INFINITY"),
        (SupervisorSpec(child(output="both")), "$.children[0].output", "'capture' or 'inherit'"),
        (
            SupervisorSpec(child(start_timeout=0)),
            "$.children[0].start_timeout",
            "1e+09, or INFINITY",
        ),
        (SupervisorSpec(child(backoff=0.1)), "$.children[0].backoff", "Backoff("),
        (SupervisorSpec(child(backoff=Backoff(initial=-1))), "$.children[0].backoff.initial", "or 0 for at once"),
        (SupervisorSpec(child(backoff=Backoff(cap=0.01))), "$.children[0].backoff.cap", "at least initial"),
        (SupervisorSpec(child(backoff=Backoff(jitter=-0.1))), "$.children[0].backoff.jitter", "a share"),
        (SupervisorSpec(child(backoff=Backoff(healthy_after=0))), "$.children[0].backoff.healthy_after", "or None"),
        (SupervisorSpec(child(mailbox=0)), "$.children[0].mailbox", "at least 1"),
        (SupervisorSpec(child(mailbox=1.5)), "$.children[0].mailbox", "at least 1"),
        (SupervisorSpec(child(max_deliveries=0)), "$.children[0].max_deliveries", "at least 1"),
        (SupervisorSpec(child(handler_timeout=0)), "$.children[0].handler_timeout", "or None for no limit"),
        (SupervisorSpec(child(handler_timeout=INFINITY)), "$.children[0].handler_timeout", "or None for no limit"),
        (
            SupervisorSpec(child(max_messages=0)),
            "$.children[0].max_messages",
            "whole number of messages, below 2**63, or None",
        ),
        (
            SupervisorSpec(child(max_messages=True)),
            "$.children[0].max_messages",
            "whole number of messages, below 2**63, or None",
        ),
        (SupervisorSpec(child(max_rss=1.5)), "$.children[0].max_rss", "whole number of bytes, below 2**63, or None"),
        (SupervisorSpec(child(max_age=0)), "$.children[0].max_age", "or None for no limit"),
        (SupervisorSpec(child(max_age_jitter=-0.1)), "$.children[0].max_age_jitter", "a share from 0"),
        (SupervisorSpec(child(max_age=9, shutdown=BRUTAL_KILL)), "$.children[0].shutdown", "max_age lets the process"),
        (SupervisorSpec(child(significant=True)), "$.children[0].significant", "auto_shutdown"),
        (SupervisorSpec(child(significant=0)), "$.children[0].significant", "True or False"),
        (SupervisorSpec(child(name=0)), "$.children[0].name", "letters, digits"),
        (SupervisorSpec(child(key=5)), "$.children[0].key", "the name of a field"),
        (SupervisorSpec(child(env={"A": "b\0"})), "$.children[0].env", "without NUL"),
        (SupervisorSpec(child(env={"A": "\ud800"})), "$.children[0].env", "UTF-8"),
        (SupervisorSpec(child(cwd="/tmp\0")), "$.children[0].cwd", "path of a directory"),
        (SupervisorSpec(child(cpu_affinity=(2**70,))), "$.children[0].cpu_affinity", "processor numbers"),
        (SupervisorSpec(child(rlimits={"AS": 2**70})), "$.children[0].rlimits['AS']", "at most"),
        (SupervisorSpec(child(rlimits={"NOFILE": (9, 5)})), "$.children[0].rlimits['NOFILE']", "not above"),
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


@pytest.mark.parametrize("size", [0, -1, 1.5, 2.0, "2", True, math.nan, 10**9])
def test_sizes_that_cannot_be(size):
    """A pool has a whole number of members."""
    with pytest.raises(InvalidSpec, match="size: expected a whole number of at least 1"):
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
    assert "4 restarts of this child take at least 7 s (0 + 1 + 2 + 4), more than the 5 s" in caught.value.why
    assert "Intensity.unlimited()" in caught.value.why
    with pytest.raises(InvalidSpec, match=r"11 restarts of this child take at least 9.5 s \(0 \+ 0.5 \+ 9 x 1\), more"):
        check(SupervisorSpec(child(backoff=Backoff(initial=0.5, cap=1.0)), intensity=Intensity(10, 5.0)))


@pytest.mark.parametrize(
    "spec",
    [
        SupervisorSpec(child(backoff=SLOW), intensity=Intensity.unlimited()),
        SupervisorSpec(child(backoff=SLOW), intensity=Intensity(3, 7.0)),
        SupervisorSpec(child(backoff=SLOW, restart=RestartPolicy.TEMPORARY), intensity=Intensity(3, 5.0)),
        SupervisorSpec(child(backoff=SLOW), intensity=Intensity(1, 5.0)),
        SupervisorSpec(child(backoff=SLOW), intensity=Intensity(10**6, 1e9)),
    ],
    ids=["unlimited", "long enough", "never restarted", "soon enough", "a budget too large to be counted through"],
)
def test_a_slow_backoff_that_can_give_up(spec):
    """Only what could never escalate is refused."""
    check(spec)


# ---- numbers that are none


NO_NUMBERS = [math.nan, math.inf, -math.inf, -1, -0.5, 1e-300, 5e-324, 1e300, 10**400, True, "1", b"1", [1]]
TIMES = ("start_timeout", "shutdown", "handler_timeout", "max_age")
COUNTS = ("size", "mailbox", "mailbox_bytes", "max_deliveries", "max_messages", "max_rss", "max_message_bytes")


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize("name", TIMES)
def test_what_is_no_time(name, value):
    """Neither NaN nor what no timer can hold comes further than the spec."""
    if value == INFINITY and name in {"start_timeout", "shutdown"}:
        return
    with pytest.raises(InvalidSpec) as caught:
        check(SupervisorSpec(child(**{name: value})))
    assert f"$.children[0].{name}" == caught.value.path


@pytest.mark.parametrize("value", [math.nan, math.inf, -1, 0, 1.5, 2.0, True, "1", 2**63], ids=repr)
@pytest.mark.parametrize("name", COUNTS)
def test_what_is_no_count(name, value):
    """A count is a whole number."""
    with pytest.raises(InvalidSpec) as caught:
        check(SupervisorSpec(child(**{name: value})))
    assert f"$.children[0].{name}" == caught.value.path


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize("name", ["initial", "cap", "healthy_after"])
def test_what_is_no_wait(name, value):
    """A backoff is made of times; one so small that it never grows to its cap is found at once."""
    with pytest.raises(InvalidSpec) as caught:
        check(SupervisorSpec(child(backoff=Backoff(**{name: value})), intensity=Intensity(10**12, 1e6)))
    assert caught.value.path.startswith("$.children[0].backoff")


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: repr(value)[:12])
def test_what_is_no_period(value):
    """The window of the intensity is a time."""
    with pytest.raises(InvalidSpec, match=r"\$\.intensity\.period"):
        check(SupervisorSpec(intensity=Intensity(3, value)))


@pytest.mark.parametrize("value", [math.nan, 1.0, True, "3", -1])
def test_what_is_no_number_of_children(value):
    """Nor of restarts."""
    with pytest.raises(InvalidSpec, match=r"\$\.max_children"):
        check(SupervisorSpec(max_children=value))
    with pytest.raises(InvalidSpec, match=r"\$\.intensity\.max_restarts"):
        check(SupervisorSpec(intensity=Intensity(value)))


# ---- words of a configuration file


WORDS = {"restart": RestartPolicy, "routing": Routing, "overflow": Overflow}


@pytest.mark.parametrize("name", WORDS)
def test_words_become_members(name):
    """A spec from a file has words; from then on they are members, also in a copy."""
    for member in WORDS[name]:
        spec = child(**{name: str(member.value)})
        assert getattr(spec, name) is member
        assert getattr(replace(spec, **{name: str(member.value)}), name) is member


def test_words_of_a_supervisor_become_members():
    """Its own, and those it has as a child."""
    spec = SupervisorSpec(strategy="rest_for_one", auto_shutdown="any_significant", restart="transient")
    assert Strategy.REST_FOR_ONE is spec.strategy
    assert AutoShutdown.ANY_SIGNIFICANT is spec.auto_shutdown
    assert RestartPolicy.TRANSIENT is spec.restart


@pytest.mark.parametrize(
    "value", ["PERMANENT", "", "Permanent", "always", None, 1, ["permanent"], Overflow.FAIL], ids=repr
)
@pytest.mark.parametrize("name", WORDS)
def test_words_that_are_none(name, value):
    """They are refused with those that are."""
    if name == "overflow" and value is Overflow.FAIL:
        return
    with pytest.raises(InvalidSpec, match="expected one of"):
        check(SupervisorSpec(child(**{name: value})))


# ---- the default backoff


@pytest.mark.parametrize(
    "intensity", [Intensity(100, 5.0), Intensity(3, 0.1), Intensity(10**9, 1.0), Intensity(20, 10), Intensity(50, 60)]
)
def test_the_default_backoff_fits_itself(intensity):
    """No intensity is out of its reach: so many restarts leave time for the starts themselves."""
    check(SupervisorSpec(child(), intensity=intensity))
    fitted = policy.terms_for(None, intensity)
    assert policy.span(fitted, intensity.max_restarts or 0) <= intensity.period / 2
    assert 0 < fitted.initial <= fitted.cap <= 1.0


def test_the_default_backoff_where_it_fits():
    """Then it is what `Backoff()` says."""
    assert Backoff() == policy.terms_for(None, Intensity())
    assert Backoff() == policy.terms_for(None, Intensity.unlimited())
    assert SLOW is policy.terms_for(SLOW, Intensity(3, 5.0))


def test_a_backoff_that_was_written_is_not_changed():
    """It is refused with the arithmetic."""
    with pytest.raises(InvalidSpec, match="101 restarts of this child take at least"):
        check(SupervisorSpec(child(backoff=Backoff()), intensity=Intensity(100, 5.0)))
