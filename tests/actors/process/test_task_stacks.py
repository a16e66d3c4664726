"""Task stacks: where the tasks of an event loop wait, as text."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
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


class Looked(Coroutine[Any, Any, None]):
    """A coroutine that notes the threads in which it is looked at."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    @property
    def cr_frame(self) -> None:
        self.threads.add(threading.get_ident())

    def send(self, value: object) -> object:
        return asyncio.sleep(3600).send(None)

    def throw(self, *error: Any) -> None:
        raise StopIteration

    def close(self) -> None:
        """It holds nothing."""

    def __await__(self) -> Any:
        return self


@pytest.mark.parametrize("blocks", [False, True])
async def test_without_the_interpreters_lock_the_loop_writes_them(stacks, monkeypatch, blocks):
    """A coroutine must not run while another thread looks at it; those of a loop that one task holds up stand still."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    monkeypatch.setattr(task_stacks, "PATIENCE", 0.1 if blocks else 60.0)
    looked = Looked()
    task = asyncio.get_running_loop().create_task(looked)
    stacks()
    looked.threads.clear()
    reading, writing = os.pipe()
    asking = threading.Thread(target=task_stacks.write_task_stacks, args=(writing,))
    asking.start()
    if blocks:
        asking.join()
    while asking.is_alive():
        await asyncio.sleep(0)
    assert looked.threads == {asking.ident if blocks else threading.get_ident()}
    os.close(reading)
    os.close(writing)
    task.cancel()
