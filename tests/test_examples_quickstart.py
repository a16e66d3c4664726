"""The beginner's first program does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.example import run_example

ROOT = Path(__file__).parent.parent
QUICKSTART = ROOT / "examples" / "quickstart.py"


@pytest.mark.processes
def test_quickstart():
    """It ends by itself: an answer, a crash survived, an answer of the next life."""
    done = run_example("quickstart.py")
    assert "the total is 5" in done.stdout
    assert "survived: /root/counter (life 1) ended (killed: SIGABRT" in done.stdout
    assert "a new life counts from zero: 1" in done.stdout


def test_quickstart_is_short():
    """It fits on one screen."""
    assert len(QUICKSTART.read_text().splitlines()) <= 40
