"""The peers from PyPI, each in an environment of its own."""

from __future__ import annotations

import functools

from benchmarks.measure import Entrant
from benchmarks.peers.environments import python_of


def _peer(name: str, package: str, *options: str) -> Entrant:
    python = functools.partial(python_of, package)
    return Entrant(name, f"benchmarks.peers.{package}", options, python, restless=True)  # several of them poll


PEERS = (
    _peer("aiomultiprocess", "aiomultiprocess"),
    _peer("aioprocessing", "aioprocessing"),
    _peer("pebble", "pebble"),
    _peer("xoscar", "xoscar"),
    _peer("gunicorn, dirty arbiter", "gunicorn"),
    _peer("Thespian, queues", "thespian", "multiprocQueueBase"),
    _peer("Thespian, TCP", "thespian", "multiprocTCPBase"),
    _peer("Ray", "ray"),
)
