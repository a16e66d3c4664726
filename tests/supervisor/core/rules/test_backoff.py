"""How long to wait: Pekko's table, jitter after the cap, the healthy stretch, and no overflow."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.rules.policy import attempt_after, delay, healthy_after
from supervisor.core.terms import Backoff, Intensity

PEKKO = Backoff(initial=3.0, cap=30.0, jitter=0.2)


@pytest.mark.parametrize(("attempt", "seconds"), list(enumerate([0, 3, 6, 12, 24, 30, 30])))
def test_three_seconds_doubling_to_thirty(attempt, seconds):
    """At once, then 3, 6, 12, 24, 30, 30."""
    assert seconds == delay(attempt, 0.0, PEKKO)


@pytest.mark.parametrize(("roll", "seconds"), [(0.0, 30.0), (0.5, 33.0), (1.0, 36.0)])
def test_jitter_comes_after_the_cap(roll, seconds):
    """Chance may carry a wait beyond the cap, by its share and no more."""
    assert seconds == pytest.approx(delay(9, roll, PEKKO))


@pytest.mark.parametrize("attempt", [1000, 1024, 1025, 5000, 10**9])
@pytest.mark.parametrize("initial", [0.1, 1e300])
def test_no_number_of_attempts_overflows(attempt, initial):
    """However often it failed, the wait is the cap."""
    assert delay(attempt, 0.0, Backoff(initial=initial, cap=60.0)) == 60.0


@given(
    st.integers(0, 2000),
    st.floats(0, 1, exclude_max=True),
    st.builds(Backoff, initial=st.floats(0, 1e6), cap=st.floats(0, 1e6), jitter=st.floats(0, 1)),
)
def test_a_wait_is_finite_bounded_and_grows(attempt, roll, terms):
    """For any terms it lies between 0 and the cap with jitter, and never falls with another attempt."""
    now, then = delay(attempt, roll, terms), delay(attempt + 1, roll, terms)
    assert math.isfinite(now)
    assert 0.0 <= now <= terms.cap * (1.0 + terms.jitter)
    assert now <= then


@pytest.mark.parametrize(
    ("uptime", "expected"),
    [
        pytest.param(None, 4, id="never ready"),
        pytest.param(0.0, 4, id="died when ready"),
        pytest.param(4.999, 4, id="not quite healthy"),
        pytest.param(5.0, 0, id="healthy"),
    ],
)
def test_a_healthy_stretch_starts_the_count_anew(uptime, expected):
    """A life that was ready long enough makes the next restart a first one."""
    assert expected == attempt_after(4, uptime, 5.0)


@pytest.mark.parametrize(
    ("terms", "period", "expected"),
    [
        pytest.param(Backoff(cap=1.0), 5.0, 5.0, id="the period is larger"),
        pytest.param(Backoff(cap=30.0), 5.0, 30.0, id="the cap is larger"),
        pytest.param(Backoff(cap=30.0, healthy_after=0.5), 5.0, 0.5, id="as the spec says"),
    ],
)
def test_how_long_healthy_is(terms, period, expected):
    """By default the larger of cap and period."""
    assert expected == healthy_after(terms, Intensity(3, period))
