"""The example of all kinds in one tree does what it says; a minute of it with ACTORS_LONG=1."""

from __future__ import annotations

import os
import re

import pytest

from tests.support.example import run_example


@pytest.mark.processes
def test_all_kinds_example():
    """Everything that was struck is up again at the end, and works."""
    seconds = "60" if os.environ.get("ACTORS_LONG") == "1" else "3"
    done = run_example("all_kinds.py", seconds)
    assert "a job: 144" in done.stdout
    for child in ("server (command)", "tally", "jobs/0", "jobs/1", "function (function)", "ticker (task)"):
        assert f"{child} running" in done.stdout
    struck = re.search(r"struck: \{(.*)\}", done.stdout)
    assert struck is not None
    assert struck.group(1), done.stdout
