"""Task stacks: where the tasks of an event loop wait, as text."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from actors.process import task_stacks


@pytest.fixture
def stacks(monkeypatch) -> Callable[[], str]:
    """Gives the stacks of this test's loop."""
    monkeypatch.setattr(task_stacks, "_loops", [])

    def written() -> str:
        task_stacks.show_tasks_of(asyncio.get_running_loop())
        reading, writing = os.pipe()
        task_stacks.write_task_stacks(writing)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as pipe:
            return pipe.read()

    return written


def waiter(file: str) -> Coroutine[Any, Any, None]:
    """A coroutine of a function that is defined in this file."""
    names: dict[str, Any] = {}
    exec(compile("async def wait(event):\n    await event.wait()\n", file, "exec"), names)
    return names["wait"](asyncio.Event())


@pytest.mark.parametrize("name", ["shop.py", "\udcff.py"])
async def test_a_file_name_of_any_bytes(stacks, name):
    """A name that is no UTF-8 is quoted: the thread that writes the stacks goes on."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(waiter(name))
        await asyncio.sleep(0)
        shown = name.encode("utf-8", "backslashreplace").decode()
        assert f'File "{shown}", line 2 in wait' in stacks()
        task.cancel()


async def test_tasks_that_cannot_be_looked_at(stacks):
    """A task of a class that lacks what tasks have is no reason for the thread that answers heartbeats to end."""

    class Bare(asyncio.Task):
        def get_name(self):
            raise AttributeError("no name")

    bare = Bare(asyncio.sleep(3600), loop=asyncio.get_running_loop())
    assert isinstance(stacks(), str)
    bare.cancel()
