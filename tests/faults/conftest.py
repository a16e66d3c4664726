"""Says how the sweep ended; a long run (`make sweep`) writes it into the documentation."""

from __future__ import annotations

import os

from tests.support import figures


def pytest_terminal_summary(terminalreporter):
    """The table, after everything else."""
    if os.environ.get("ACTORS_LONG") == "1":
        figures.show(terminalreporter, "sweep")
