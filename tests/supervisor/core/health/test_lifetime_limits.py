"""Limits: the first one reached is named with both figures."""

import pytest

from supervisor.core.health.lifetime_limits import TOO_LOW, Limits, Used, reached, with_jitter

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("limits", "used", "words"),
    [
        (Limits(), Used(messages=10**9, age=1e9, rss=10**12), ""),
        (Limits(messages=10), Used(messages=9, age=1e9, rss=10**12), ""),
        (Limits(messages=10), Used(messages=12), "max_messages: 12 messages handled, 10 are one life's share"),
        (Limits(age=60.0), Used(messages=10**9, age=59.9, rss=10**12), ""),
        (Limits(age=60.0), Used(age=60.04), "max_age: 60.0 s old"),
        (Limits(rss=50 * MIB), Used(messages=10**9, age=1e9, rss=50 * MIB), ""),
        (Limits(rss=50 * MIB), Used(messages=1, rss=53 * MIB), "max_rss: 53.0 MiB resident, more than 50.0 MiB"),
        (Limits(rss=50 * MIB), Used(rss=53 * MIB), f"max_rss: 53.0 MiB resident, more than 50.0 MiB; {TOO_LOW}"),
    ],
)
def test_which_limit_is_reached(limits, used, words):
    """Nothing else but its own figure counts for a limit."""
    assert words == reached(limits, used)


def test_chance_only_adds_to_an_age():
    """At the lowest roll nothing, below the full share at the highest; no limit stays none."""
    assert [100.0, 105.0, None] == [with_jitter(100.0, 0.1, 0.0), with_jitter(100.0, 0.1, 0.5), with_jitter(None, 1, 1)]
