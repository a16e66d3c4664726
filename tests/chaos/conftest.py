"""Says what the chaos suite measured; a long run (`make chaos`, `make soak`) writes it into the documentation."""

from __future__ import annotations

import os

from tests.support import figures


def pytest_terminal_summary(terminalreporter):
    """The tables, after everything else."""
    made = figures.tables()
    if made and os.environ.get("ACTORS_LONG") == "1":
        for name, table in made.items():
            terminalreporter.section(name)
            terminalreporter.write_line(table)
        if not terminalreporter.stats.get("failed"):
            figures.write()
