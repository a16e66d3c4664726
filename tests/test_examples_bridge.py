"""The bridge example does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.processes
def test_bridge_example():
    """It ends by itself, with every item there and back, and says nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "examples/bridge.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "{'id': 50, 'payload': 'tick-50 ', 'transformed': 'tick-50 tick-50 '}" in done.stdout
    assert "200 items there and back, worker exit code 0" in done.stdout
