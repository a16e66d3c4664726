"""The peers from PyPI, each in an environment of its own."""

from __future__ import annotations

import functools

from benchmarks.measure import Entrant
from benchmarks.peers.environments import python_of


def _peer(
    name: str,
    package: str,
    *options: str,
    least: tuple[int, int] = (3, 11),
    also: tuple[str, ...] = (),
    slow: bool = False,
) -> Entrant:
    python = functools.partial(python_of, package, least, also)
    return Entrant(
        name, f"benchmarks.peers.{package}", options, python, restless=True, slow=slow
    )  # several of them poll


PEERS = (
    _peer("aiomultiprocess", "aiomultiprocess"),
    _peer("aioprocessing", "aioprocessing"),
    _peer("pebble", "pebble"),
    _peer("xoscar", "xoscar", slow=True),
    _peer("gunicorn, dirty arbiter", "gunicorn"),
    _peer("Thespian, queues", "thespian", "multiprocQueueBase"),
    _peer("Thespian, TCP", "thespian", "multiprocTCPBase"),
    _peer("casty", "casty", least=(3, 12)),
    _peer("torchmonarch", "torchmonarch", slow=True),
    _peer("Ray", "ray", also=("numpy",), slow=True),
)
