"""A tree is left once, and nothing of it is left: also where a part cannot be made, or it is left again."""

from __future__ import annotations

import asyncio

import pytest

from actors import UsageError
from supervisor import ChildSpec, Supervisor
from tests.support.actors import Puppet

pytestmark = pytest.mark.processes


class NoCluster:
    """A cluster that cannot be reached."""

    def enter(self, *_: object) -> None:
        raise ConnectionError("no machine answers")


async def test_a_cluster_that_is_not_there(tmp_path):
    """Threads, descriptors and the control socket are gone again; `nothing_left_behind` looks."""
    path = tmp_path / "control"
    root = Supervisor(ChildSpec(Puppet, name="a"), cluster=NoCluster(), control=str(path))
    with pytest.raises(ConnectionError, match="no machine answers"):
        await root.__aenter__()
    assert not path.exists()


async def test_an_observer_that_raises():
    """What was to observe the tree cannot: the tree does not start."""
    root = Supervisor(ChildSpec(Puppet, name="a"))
    root.with_tree(lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await root.__aenter__()


async def test_left_again():
    """By an exit stack and by hand, one after the other or at once: each returns when the tree is down."""
    root = Supervisor(ChildSpec(Puppet, name="a"))
    with pytest.raises(UsageError, match="/root is not started"):
        await root.__aexit__(None, None, None)
    await root.__aenter__()
    await asyncio.gather(*(root.__aexit__(None, None, None) for _ in range(3)))
    await root.__aexit__(None, None, None)
    assert root.snapshot().children[0].pid is None


async def test_a_stop_whose_every_task_is_cancelled_ends():
    """As `asyncio.run` does after a second Ctrl-C: also the task that it waits for; it went round without a pause."""
    async with asyncio.timeout(60):
        root = Supervisor(ChildSpec(Puppet, name="a"))
        await root.__aenter__()
        leaving = asyncio.create_task(root.__aexit__(None, None, None))
        closing = None
        while closing is None:
            await asyncio.sleep(0)
            closing = next((one for one in asyncio.all_tasks() if "_close_launchers" in repr(one)), None)
        leaving.cancel()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await root._close_launchers()  # what the spawner's thread does once the loop is closed
