"""Runs a program of `examples/` as a reader would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST = 110  # seconds


def run_example(name: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end; what it warns of is an error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", f"examples/{name}", *args],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=MOST,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done
