"""Blame over the death of the daemon: the black boxes of durable actors are read by the next daemon."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[3]


def run(folder, size):
    command = [sys.executable, "-m", "tests.support.notebook_daemon", str(folder), str(size)]
    return subprocess.run(
        command, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, capture_output=True
    )


@pytest.mark.processes
@pytest.mark.parametrize("size", [1, 3])
def test_what_was_begun_is_known_and_not_begun_twice(tmp_path, size):
    """Without a state: handled, begun and waiting messages each get their fate, in a pool, too."""
    assert -9 == run(tmp_path, size).returncode
    second = run(tmp_path, size)
    assert 0 == second.returncode, second.stderr.decode()
    dead, kept = msgspec.json.decode((tmp_path / "result").read_bytes())
    assert [["crashed_while_handling", f"begun {n}"] for n in range(size)] == dead
    assert ["crashed_while_handling"] * size == kept
    notes = Counter((tmp_path / "notes").read_text().splitlines())
    assert Counter([*(f"done {n}" for n in range(3)), *(f"begun {n}" for n in range(size)), "waits"]) == notes
