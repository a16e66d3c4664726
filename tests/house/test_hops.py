"""One message and one death pass through few modules of the daemon; `python -m benchmarks.hops` prints the walks."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import pytest

from benchmarks.hops import walks

THREADS = {"death": 3, "recovery": 6} if sys.version_info >= (3, 12) else {}  # before, those that run are not seen
BOUNDS = Counter({"ask": 9, "tell": 9, "death": 30, "recovery": 51}) + Counter(THREADS)  # as the docs say
JOINED = {"actors/wire/framing.py"}  # acknowledgements that arrive together are cut apart


@pytest.fixture(scope="module")
def walked():
    return asyncio.run(walks())


@pytest.mark.parametrize("walk", BOUNDS)
def test_a_walk_passes_through_few_modules(walked, walk):
    """As many as there are ideas on its way, and no more."""
    modules = walked[walk].modules
    assert len(modules) <= BOUNDS[walk], modules


def test_many_tells_go_the_way_of_one(walked):
    """A batch passes through no other module."""
    assert set(walked["tells"].modules) <= {*walked["tell"].modules, *JOINED}
