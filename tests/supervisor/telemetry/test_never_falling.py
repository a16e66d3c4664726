"""A counter whose parts may be lost."""

from __future__ import annotations

from supervisor.telemetry.never_falling import NeverFalling


def test_what_is_lost_is_added_from_then_on():
    """It goes on from where it was, for each name on its own."""
    cpu = NeverFalling()
    assert [5.0, 6.0, 6.0, 7.5] == [cpu.of("a", value) for value in (5.0, 6.0, 4.0, 5.5)]
    assert 1.0 == cpu.of("b", 1.0)
    cpu.keep(["b"])
    assert 2.0 == cpu.of("a", 2.0)
    assert 1.0 == cpu.of("b", 0.5)
