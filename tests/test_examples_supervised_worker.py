"""The example of a supervised worker does what it says."""

from __future__ import annotations

import pytest

from tests.support.example import run_example


@pytest.mark.processes
def test_supervised_worker_example():
    """Two deaths cost two items, and the worker ends in its third life."""
    done = run_example("supervised_worker.py")
    assert "SIGABRT" in done.stderr
    assert "worker (function)" in done.stdout
    assert "198 of 200 items there and back" in done.stdout
