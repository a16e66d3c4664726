"""The benchmarks run, and print what they promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TITLES = (
    "ask alone, p50, us",
    "ask alone, p99, us",
    "asks, 64 in flight, per second",
    "tells with a barrier, per second",
)


@pytest.mark.processes
@pytest.mark.parametrize("options", [[], ["--pin"]], ids=["free", "pinned"])
def test_a_short_look(options):
    """A table for each figure, each contender with its ratio to the raw pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--repetitions", "1", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=100,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    for title in TITLES:
        assert title in done.stdout
    assert len(TITLES) == len(re.findall(r"^  raw pipe, blocking .* 1\.00$", done.stdout, re.MULTILINE))
    for name in ("multiprocessing.Queue pair", "ours, reading='thread'", "ours, reading='loop'"):
        assert len(TITLES) == len(re.findall(rf"^  {re.escape(name)} .* \d+\.\d\d$", done.stdout, re.MULTILINE))
