"""Says what the chaos suite measured; a long run (`make chaos`, `make soak`) writes it into the documentation."""

from __future__ import annotations

import os

from tests.support import figures


def pytest_terminal_summary(terminalreporter):
    """The tables, after everything else."""
    if os.environ.get("ACTORS_LONG") == "1":
        figures.show(terminalreporter, "faults", "soak")
