"""The sliding window, against the definition counted by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.rules.policy import Window
from supervisor.core.terms import Intensity


def trips_at(times, intensity):
    """Index of the restart that is one too many, by OTP's list: newest first, taken while young enough."""
    newest_first = []
    for index, now in enumerate(times):
        kept = [now]
        for past in newest_first:
            if past < now - intensity.period:
                break
            kept.append(past)
        newest_first = kept
        if len(newest_first) > intensity.max_restarts:
            return index
    return None


def trips_by_brute_force(times, intensity):
    """The same by definition: the first restart that ends a period with more than max_restarts in it."""
    for index, now in enumerate(times):
        in_period = sum(1 for past in times[: index + 1] if past >= now - intensity.period)
        if in_period > intensity.max_restarts:
            return index
    return None


def trips_ours(times, intensity):
    window = Window()
    for index, now in enumerate(times):
        window = window.add(now, intensity)
        if window.exceeds(intensity):
            return index
    return None


moments = st.lists(st.floats(0, 30) | st.integers(0, 30).map(float), max_size=25).map(sorted)
intensities = st.builds(Intensity, max_restarts=st.integers(0, 5), period=st.sampled_from([0.5, 1.0, 5.0, 7.25]))


@given(moments, intensities)
def test_it_trips_where_the_definition_says(times, intensity):
    """Ours, OTP's list and the brute force agree on the very restart."""
    expected = trips_by_brute_force(times, intensity)
    assert expected == trips_at(times, intensity)
    assert expected == trips_ours(times, intensity)


@given(moments, intensities, st.floats(0, 40))
def test_held_counts_what_is_young_enough(times, intensity, later):
    """What it reports for any moment is what lies in the period before it."""
    now = max([later, *times])
    window = Window()
    for at in times:
        window = window.add(at, intensity)
    assert sum(1 for at in times if at >= now - intensity.period) == window.held(now, intensity)


@pytest.mark.parametrize(
    ("max_restarts", "times", "expected"),
    [
        pytest.param(1, [0.0, 4.9], 1, id="second within the period"),
        pytest.param(1, [0.0, 5.0], 1, id="exactly a period apart still counts"),
        pytest.param(1, [0.0, 5.1, 10.3], None, id="slow and steady never trips"),
        pytest.param(0, [0.0], 0, id="intensity 0 never restarts"),
        pytest.param(3, [0.0, 1.0, 2.0, 5.5], None, id="the oldest has left"),
        pytest.param(3, [0.0, 1.0, 2.0, 5.0], 3, id="the oldest is just there"),
    ],
)
def test_examples(max_restarts, times, expected):
    """Intensity and period 5 s by example."""
    assert expected == trips_ours(times, Intensity(max_restarts, 5.0))


def test_unlimited_never_trips_and_does_not_grow_beyond_its_period():
    """Unlimited counts for the reader's sake only."""
    intensity, window = Intensity.unlimited(), Window()
    for tick in range(200):
        window = window.add(float(tick), intensity)
        assert not window.exceeds(intensity)
    assert len(window.restarts) == 6
