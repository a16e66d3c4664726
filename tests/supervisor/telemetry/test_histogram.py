"""Histograms: values in bulk and in progressions are where they would be one by one."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.telemetry.histogram import Histogram

BOUNDS = (0.5, 1.0, 4.0)
VALUES = st.lists(st.floats(0, 10), max_size=50)
MANY = 3000  # more than are sorted at once


def expected(values):
    counts = [0] * (len(BOUNDS) + 1)
    for value in values:
        counts[bisect_left(BOUNDS, value)] += 1
    return [sum(counts[: at + 1]) for at in range(len(counts))]


def cumulated(histogram):
    return [count for _, count in histogram.buckets()]


@given(VALUES)
def test_values(values):
    """A value belongs to the first bound that is not below it, as Prometheus wants."""
    histogram = Histogram(BOUNDS)
    for value in values:
        histogram.add(value)
    assert expected(values) == cumulated(histogram)
    assert sum(values) == pytest.approx(histogram.total)
    assert ["0.5", "1.0", "4.0", "+Inf"] == [bound for bound, _ in histogram.buckets()]


@given(VALUES, VALUES)
def test_values_that_stand_for_many(singles, eights):
    """Each counts so many times."""
    histogram = Histogram(BOUNDS)
    histogram.add_all(list(singles))
    histogram.add_all(list(eights), 8)
    assert expected(singles + 8 * eights) == cumulated(histogram)
    assert sum(singles + 8 * eights) == pytest.approx(histogram.total)


def test_many_values():
    """More than are sorted at once."""
    histogram = Histogram(BOUNDS)
    for number in range(MANY):
        histogram.add(number % 2)
    assert [MANY // 2, MANY, MANY, MANY] == cumulated(histogram)


@given(st.integers(-40, 80), st.integers(-8, 8), st.integers(0, 200))
def test_progressions(first, step, count):
    """Evenly spaced values, up or down; below 0 they count as 0."""
    histogram = Histogram(BOUNDS)
    histogram.add_progression(first / 8, step / 8, count)  # eighths are exact
    values = [max(0.0, (first + step * index) / 8) for index in range(count)]
    assert expected(values) == cumulated(histogram)
    assert sum(values) == pytest.approx(histogram.total)
