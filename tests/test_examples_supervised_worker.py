"""The example of a supervised worker does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.processes
def test_supervised_worker_example():
    """Two deaths cost two items, and the worker ends in its third life."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "examples/supervised_worker.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "SIGABRT" in done.stderr
    assert "worker (function)" in done.stdout
    assert "198 of 200 items there and back" in done.stdout
