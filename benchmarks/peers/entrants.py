"""The peers from PyPI, each in an environment of its own."""

from __future__ import annotations

from benchmarks.measure import Entrant

PEERS: tuple[Entrant, ...] = ()
