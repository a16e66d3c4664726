"""Quantiles of two readings of Prometheus' text."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from supervisor.ctl.web.latency import quantile, quantiles, read_buckets

INF = float("inf")


def test_what_the_client_of_prometheus_writes():
    registry = CollectorRegistry()
    asks = Histogram("actor_ask_latency_seconds", "", ["actor"], buckets=(0.001, 0.1), registry=registry)
    for seconds in (0.0001, 0.05, 7.0):
        asks.labels('/root/a"b\\c').observe(seconds)
    assert {'/root/a\\"b\\\\c': {0.001: 1.0, 0.1: 2.0, INF: 3.0}} == read_buckets(generate_latest(registry).decode())


@pytest.mark.parametrize(
    ("now", "before", "found"),
    [
        ({}, {}, (None, None)),
        ({0.001: 5.0, INF: 5.0}, {0.001: 5.0, INF: 5.0}, (None, None)),
        ({0.001: 98.0, 0.1: 99.0, INF: 100.0}, {}, (0.001, 0.1)),
        ({0.001: 98.0, 0.1: 99.0, INF: 100.0}, {0.001: 98.0, 0.1: 98.0, INF: 98.0}, (0.1, 0.1)),
        ({0.1: 0.0, INF: 3.0}, {}, (0.1, 0.1)),
    ],
)
def test_quantiles(now, before, found):
    assert found == quantiles(now, before)


def test_one_quantile():
    assert 0.1 == quantile(0.5, {0.001: 1.0, 0.1: 2.0, INF: 2.0}, {0.001: 1.0})
