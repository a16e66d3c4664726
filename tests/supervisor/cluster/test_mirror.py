"""Mirror: what its samples say, in times of this machine."""

from __future__ import annotations

from actors.wire.progress import NOTHING_BEGUN, Activity, Work
from supervisor.cluster.clock import RemoteClock
from supervisor.cluster.link.wire import Sample
from supervisor.cluster.mirror import Mirror

S = 10**9


def sample(*since):
    work = tuple(Work(lane, begun, 0, 0) for lane, begun in enumerate(since))
    return Sample(1, 2, 0, Activity(work, 0, 0, False), NOTHING_BEGUN, read=100 * S)


def test_a_call_that_goes_on_has_begun_when_it_had_though_the_clock_is_known_better():
    """Its monitors know it by that: a slow handler is reported once, a hang is the same hang at the next look."""
    mirror, clock = Mirror(lambda: None), RemoteClock()
    clock.heard(0, 60 * S, 2 * S)  # an answer that took long
    mirror.show(sample(90 * S, 91 * S), clock)
    before = mirror.activity().work
    assert [31 * S, 32 * S] == [one.since for one in before]
    assert 41 * S == mirror.read
    clock.heard(0, 60 * S, 1)
    mirror.show(sample(90 * S, 91 * S), clock)
    assert before == mirror.activity().work
    mirror.show(sample(90 * S, 95 * S), clock)
    assert [31 * S, 35 * S] == [one.since for one in mirror.activity().work]
