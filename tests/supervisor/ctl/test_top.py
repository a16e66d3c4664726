"""`actorctl top` against a real daemon whose actors are killed."""

from __future__ import annotations

import os
import signal

import pytest
from textual.widgets import DataTable

from supervisor import ChildSpec, Supervisor
from supervisor.ctl.top import Confirm, Page, Top
from tests.support.control import short_folder
from tests.support.operated import Worker
from tests.support.waiting import until

pytestmark = pytest.mark.processes


def text(app):
    table = app.screen_stack[0].query_one(DataTable)
    return "\n".join(str(table.get_row_at(at)[0]) for at in range(table.row_count))


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_top(size):
    """It shows a death and the next life, asks before a stop, and says that the daemon is lost."""
    with short_folder() as folder:
        path = folder / "top.sock"
        app = Top(path)
        async with app.run_test(size=size) as pilot:
            async with Supervisor(ChildSpec(Worker, name="worker"), control=path) as root:
                await until(lambda: "running" in text(app))
                assert all(len(row) <= size[0] for row in text(app).splitlines())
                os.kill(root.snapshot().children[0].pid, signal.SIGKILL)
                await until(lambda: "killed" in text(app))
                await until(lambda: root.snapshot().children[0].pid is not None)
                await pilot.press("down", "w")
                await until(lambda: isinstance(app.screen, Page))
                assert "SIGKILL" in app.screen.text
                await pilot.press("escape", "x")
                await until(lambda: isinstance(app.screen, Confirm))
                await pilot.press("y")
                await until(lambda: isinstance(app.screen, Page))
                assert "down until it is started" in app.screen.text
                await pilot.press("escape", "o")
            await until(lambda: app.said.startswith("LOST"))
