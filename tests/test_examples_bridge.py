"""The bridge example does what it says."""

from __future__ import annotations

import pytest

from tests.support.example import run_example


@pytest.mark.processes
def test_bridge_example():
    """It ends by itself, with every item there and back, and says nothing on stderr."""
    done = run_example("bridge.py")
    assert done.stderr == ""
    assert "{'id': 50, 'payload': 'tick-50 ', 'transformed': 'tick-50 tick-50 '}" in done.stdout
    assert "200 items there and back, worker exit code 0" in done.stdout
