"""What happens in the daemon passes through few of its modules; `python -m benchmarks.hops` prints the walks."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter

import pytest

from benchmarks.hops import walks

SEEN = sys.version_info >= (3, 12)  # threads that run already; before, they are not
THREADS = {"recovery": 5, "start": 4, "stop": 2, "durable": 5} if SEEN else {}
HERE = {"recovery": 52, "start": 83, "stop": 45, "job": 35, "durable": 17}
# by what is seen first of a process (its pidfd, its channel, its output, its memory), and what arrives together
EITHER = {"start": 1, "stop": 5, "job": 1}
MOST = {"ask": 9, "tell": 7, "tells": 7, "death": 30}  # on every Python, threads included
BOUNDS = Counter(MOST) + Counter(HERE) + Counter(THREADS) + Counter(EITHER)  # as the docs say
JOINED = {"actors/wire/framing.py"}  # acknowledgements that arrive together are cut apart


@pytest.fixture(scope="module")
def walked():
    gc.collect()  # what other tests have left: its finalizers would be part of a walk
    gc.disable()
    try:
        return asyncio.run(walks())
    finally:
        gc.enable()


@pytest.mark.parametrize("walk", BOUNDS)
def test_a_walk_passes_through_few_modules(walked, walk):
    """As many as there are ideas on its way, and no more."""
    modules = walked[walk].modules
    assert len(modules) <= BOUNDS[walk], "\n".join(modules)


def test_many_tells_go_the_way_of_one(walked):
    """A batch passes through no other module."""
    assert set(walked["tells"].modules) <= {*walked["tell"].modules, *JOINED}
