"""One message passes through few modules of the daemon; `python -m benchmarks.hops` prints the walks."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.hops import walks

BOUNDS = {"ask": 9, "tell": 7, "tells": 7}


@pytest.fixture(scope="module")
def walked():
    return asyncio.run(walks())


@pytest.mark.parametrize("walk", BOUNDS)
def test_a_message_passes_through_few_modules(walked, walk):
    """As many as there are ideas on its way, and no more."""
    modules = walked[walk].modules
    assert len(modules) <= BOUNDS[walk], modules
