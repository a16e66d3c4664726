"""Counters: what an actor counts."""

from __future__ import annotations

import pytest

from actors.child.counters import Counters
from actors.errors import UsageError
from actors.ipc.blackbox import BlackBox
from actors.wire.counts import Series


@pytest.fixture
def box():
    box = BlackBox()
    yield box
    box.close()


def labelled(box):
    return {series.labels[0][1]: total for series, total in box.counters.totals([0]).items()}


def test_labels_are_words(box):
    """True and 1 are equal and two words; a list is no key of a dict and a word; each NaN is the same word."""
    counters = Counters("/root/a", box)
    for value in (True, 1, 1.0, [1], float("nan"), float("nan")):
        counters.count("orders", 1, {"kind": value})
    assert {"True": 1, "1": 1, "1.0": 1, "[1]": 1, "nan": 2} == labelled(box)


def test_a_number_that_no_cell_holds(box):
    """It is refused, as infinity is."""
    with pytest.raises(UsageError, match="orders grows by a number of at least 0"):
        Counters("/root/a", box).count("orders", 10**400, {})
    assert Series("orders") not in box.counters.totals([0])
