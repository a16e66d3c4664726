"""Latency: how long asks take, from two readings of the daemon's metrics. Pure.

`actor_ask_latency_seconds` counts the asks of each actor by upper bounds; the difference of two readings is what was
asked between them. A quantile is the upper bound of the bucket in which it lies.
"""

from __future__ import annotations

import re
from typing import Final

Buckets = dict[float, float]
"""Asks that took at most so many seconds, by that bound."""

_SAMPLE: Final = re.compile(
    r'^actor_ask_latency_seconds_bucket\{actor="((?:[^"\\]|\\.)*)",le="([^"]+)"\} (\S+)$', re.MULTILINE
)


def read_buckets(metrics: str) -> dict[str, Buckets]:
    """The buckets of each actor in Prometheus' text."""
    found: dict[str, Buckets] = {}
    for path, bound, count in _SAMPLE.findall(metrics):
        found.setdefault(path, {})[float(bound)] = float(count)
    return found


def quantiles(now: Buckets, before: Buckets) -> tuple[float | None, float | None]:
    """The times in which half of the asks between two readings were answered, and 99 in 100."""
    return quantile(0.5, now, before), quantile(0.99, now, before)


def quantile(share: float, now: Buckets, before: Buckets) -> float | None:
    """The seconds in which that share of the asks between two readings was answered; None when there was none.

    A time above the last bound is said as that bound.
    """
    counts = {bound: count - before.get(bound, 0.0) for bound, count in sorted(now.items())}
    total = max(counts.values(), default=0.0)
    if total <= 0:
        return None
    finite = [bound for bound in counts if bound != float("inf")]
    return next((bound for bound in finite if counts[bound] >= share * total), max(finite, default=None))
