"""How many spares a tree keeps; the table of docs/how-to/sizing.md."""

from __future__ import annotations

import pytest

from supervisor.core.rules.spare_count import AT_ONCE, KEEP, MOST, SHARE, Demand, spare_size

GIB = 2**30
MIB = 2**20

CASES = {
    # restarts at these seconds, one takes so long, is so large, memory, asked at: so many
    "nothing has died": ([], 0.2, 20 * MIB, 8 * GIB, 1.0, 1),
    "one now and then": ([0.0, 5.0, 10.0], 0.2, 20 * MIB, 8 * GIB, 10.0, 1),
    "four a second": ([0.0, 0.25, 0.5, 0.75, 1.0, 1.25], 0.2, 20 * MIB, 8 * GIB, 2.0, 4),
    "a group of eight": ([7.0] * 8, 0.2, 20 * MIB, 8 * GIB, 7.0, 8),
    "the largest group counts": ([1.0] * 3 + [50.0] * 6 + [90.0], 0.2, 20 * MIB, 8 * GIB, 100.0, 6),
    "one takes long to make": ([0.0, 2.0, 4.0], 5.0, 20 * MIB, 8 * GIB, 5.0, 3),
    "long ago": ([7.0] * 8, 0.2, 20 * MIB, 8 * GIB, 7.0 + KEEP, 1),
    "little memory": ([7.0] * 8, 0.2, 20 * MIB, GIB, 7.0, GIB // SHARE // (20 * MIB)),
    "large spares": ([7.0] * 8, 0.2, 200 * MIB, 8 * GIB, 7.0, 2),
    "no room for one": ([7.0] * 8, 0.2, 900 * MIB, GIB, 7.0, 1),
    "memory is not known": ([7.0] * 8, 0.2, None, None, 7.0, 8),
    "very many": ([7.0] * 500, 0.2, MIB, 1024 * GIB, 7.0, MOST),
}


@pytest.mark.parametrize(("uses", "takes", "size", "memory", "now", "wanted"), CASES.values(), ids=CASES)
def test_how_many(uses, takes, size, memory, now, wanted):
    """As many as were needed while one is made, at least one, and no more than fit."""
    demand = Demand(memory)
    demand.made(takes, size)
    for at in uses:
        demand.used(at)
    assert wanted == demand.wanted(now)


def test_asking_changes_nothing():
    """Twice the same answer; what is forgotten stays so."""
    demand = Demand(8 * GIB)
    for at in (0.0, AT_ONCE / 2):
        demand.used(at)
    assert [2, 2, 1, 1] == [demand.wanted(at) for at in (1.0, 2.0, KEEP + AT_ONCE, KEEP + 2 * AT_ONCE)]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_number_is_that_number(count):
    """Whatever dies."""
    size = spare_size(count, GIB)
    size.used(1.0)
    size.made(1.0, GIB)
    assert count == size.wanted(1.0)
