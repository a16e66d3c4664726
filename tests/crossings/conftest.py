"""Crossings need packages that no extra for tests brings: `make crossings` brings them, and writes the table of counts.

`@pytest.mark.crossing("gunicorn", "uvicorn-worker")` names them; the first is the tool that the table lists.
"""

from __future__ import annotations

import os

import pytest

from tests.support import figures
from tests.support.crossings import missing, version

HEAD = ("beside", "version", "passed", "failed")


def pytest_collection_modifyitems(items):
    for item in items:
        mark = item.get_closest_marker("crossing")
        if mark is None:
            continue
        item.user_properties.append(("crossing", mark.args[0]))
        lacking = missing(*mark.args)
        if lacking:
            item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(lacking)}; `make crossings` brings it"))


def pytest_terminal_summary(terminalreporter):
    if os.environ.get("ACTORS_CROSSINGS"):
        rows = [HEAD, ("---",) * len(HEAD), *counted(terminalreporter.stats)]
        figures.write({"crossings": "\n".join(f"| {' | '.join(row)} |" for row in rows)}, figures.PLACES)


def counted(stats):
    """A row for each tool: its version here, how many tests passed and how many did not."""
    passed, failed = (tools(stats.get("passed", ())), [*tools(stats.get("failed", ())), *tools(stats.get("error", ()))])
    for name in sorted({*passed, *failed}, key=str.lower):
        yield name, version(name), str(passed.count(name)), str(failed.count(name))


def tools(reports):
    return [value for report in reports for key, value in report.user_properties if key == "crossing"]
