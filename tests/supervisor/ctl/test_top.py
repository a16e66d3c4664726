"""`actorctl top` against a real daemon whose actors are killed."""

from __future__ import annotations

import os
import signal

import pytest
from textual import events
from textual.widgets import DataTable, Input

from supervisor import ChildSpec, Supervisor, SupervisorSpec
from supervisor.ctl.top import Confirm, Page, Top
from supervisor.ctl.top_lines import foot, heading
from tests.support.control import short_folder
from tests.support.operated import Worker
from tests.support.waiting import until

pytestmark = pytest.mark.processes


def text(app):
    table = app.screen_stack[0].query_one(DataTable)
    return "\n".join(str(table.get_row_at(at)[0]) for at in range(table.row_count))


def shown(app):
    """The names in the table."""
    return [line.split()[0] for line in text(app).splitlines()]


async def page(app, pilot, *keys):
    """The text that keys open over the table; it is closed again."""
    await pilot.press(*keys)
    await until(lambda: isinstance(app.screen, Page))
    found = app.screen.text
    await pilot.press("escape")
    await until(lambda: not isinstance(app.screen, Page))
    return found


async def test_keys():
    """Filter, help, why, stacks, order, restart, and a stop that is not done.

    With a filter that nothing fits there is nothing to act on.
    """
    with short_folder() as folder:
        path = folder / "top.sock"
        async with Supervisor(
            ChildSpec(Worker, name="worker"), SupervisorSpec(ChildSpec(Worker, name="inner"), name="sub"), control=path
        ):
            app = Top(path)
            async with app.run_test(size=(80, 24)) as pilot:
                await until(lambda: ["root", "worker", "sub", "inner"] == shown(app))
                assert "r  restart, asked first" in await page(app, pilot, "?")
                await pilot.press("slash", *"INNER")
                await until(lambda: ["inner"] == shown(app))
                await pilot.press("enter")
                assert "/root/sub/inner is well" in await page(app, pilot, "w")
                assert "Thread 0x" in await page(app, pilot, "s")
                await pilot.press("r")
                await until(lambda: isinstance(app.screen, Confirm))
                assert "restart /root/sub/inner?" == app.screen.question
                assert "has a new process" in await page(app, pilot, "y")
                await pilot.press("x")
                await until(lambda: isinstance(app.screen, Confirm))
                await pilot.press("n")
                await until(lambda: not isinstance(app.screen, Confirm))
                assert "has run" in (said := await page(app, pilot, "w")) or "is well" in said
                await pilot.press("slash", "z")
                await until(lambda: [] == shown(app))
                await pilot.press("enter", "x", "r", "w", "s")
                assert not isinstance(app.screen, Confirm | Page)
                await pilot.press("escape")
                await until(lambda: 4 == len(shown(app)))
                await pilot.press("o")
                await until(lambda: "/root/sub/inner" in shown(app))
                while app.order != "tree":
                    await pilot.press("o")
                await until(lambda: ["root", "worker", "sub", "inner"] == shown(app))
                await pilot.press("up", "up", "up", "x")
                await until(lambda: isinstance(app.screen, Confirm))
                assert "stop /root?" == app.screen.question
                assert "/root is the whole tree, and ends with its daemon" in await page(app, pilot, "y")
                assert 4 == len(shown(app))


async def test_a_filter_that_is_typed_at_once():
    """Keys that arrive together, as from afar, are all for the filter: `r` and `y` of a name restart nothing."""
    with short_folder() as folder:
        path = folder / "top.sock"
        async with Supervisor(
            ChildSpec(Worker, name="proxy"), ChildSpec(Worker, name="other"), control=path, spares=0
        ) as root:
            app = Top(path)
            async with app.run_test(size=(80, 24)):
                await until(lambda: "proxy" in shown(app))
                for key in ("slash", *"proxy"):
                    app.post_message(events.Key(key, "/" if key == "slash" else key))
                await until(lambda: ["proxy"] == shown(app))
                assert "proxy" == app.query_one(Input).value
                assert "by tree, with proxy" in str(app.query_one("#foot").content)
            assert [1, 1] == [one.life for one in root.snapshot().children]


@pytest.mark.parametrize("width", [78, 198])
def test_headings_and_rows_fit(width):
    head = heading(width)
    assert ["NAME", "STATE", "LIFE", "QUEUE", "RATE", "CPU", "MEM", "DOING", "LAST", "EXIT"] == head.split()
    assert len(head) <= width


def test_the_foot_shows_the_filter_in_a_narrow_terminal():
    """Fewer keys are named then; a long filter is cut, and does not push out the order."""
    assert foot("tree", "", 78).startswith("s stacks w why")
    assert "? help q quit  by memory, with parser" == foot("memory", "parser", 78)
    assert foot("memory", "parser", 198).startswith("s stacks w why")
    assert (found := foot("tree", "x" * 200, 78)).startswith("? help q quit  by tree, with xxx")
    assert len(found) == 78


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_top(size):
    """It shows a death and the next life, asks before a stop, and says that the daemon is lost."""
    with short_folder() as folder:
        path = folder / "top.sock"
        app = Top(path)
        async with app.run_test(size=size) as pilot:
            async with Supervisor(ChildSpec(Worker, name="worker"), control=path, spares=0) as root:
                await until(lambda: "running" in text(app))
                assert all(len(row) <= size[0] for row in text(app).splitlines())
                os.kill(root.snapshot().children[0].pid, signal.SIGKILL)
                await until(lambda: "SIGKILL" in text(app))
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
            await until(lambda: "waits for one" in app.said)
            await until(lambda: app.query_one("#head").size.height * size[0] >= len(app.said))  # all of it is seen
