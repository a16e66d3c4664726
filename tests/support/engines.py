"""The engines: actors in processes, and actors inline in the test's process. What messages do is the same on both."""

from __future__ import annotations

import pytest


def either_way(test):
    """Run a test once with processes and once inline: its module's `Supervisor` is the one or the other."""
    engines = [pytest.param("processes", marks=pytest.mark.processes), "inline"]
    return pytest.mark.usefixtures("engine")(pytest.mark.parametrize("engine", engines, indirect=True)(test))
