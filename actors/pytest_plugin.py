"""Pytest plugin: the fixtures `tree`, `clock` and `no_leaks`, and the option `--actors=inline|processes`.

pytest loads it wherever the package is installed, so it imports nothing but pytest; a fixture that is used imports the
rest. The fixtures are plain ones that wrap the test function. So they work with pytest-asyncio in both modes, with
anyio, and with every other plugin that runs async tests on asyncio, in the loop and the task of the test.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from supervisor.testing.clock import LoopClock
    from supervisor.testing.fixtures import Trees


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--actors`."""
    group = parser.getgroup("actors", "actor-supervisor")
    group.addoption(
        "--actors",
        choices=("inline", "processes"),
        default="inline",
        help="where the fixture `tree` runs actors: inline, in the test's process on a virtual clock (the default), or "
        "in processes of their own",
    )


@pytest.fixture
def tree(request: pytest.FixtureRequest) -> Trees:
    """Start trees that are stopped when the test function ends.

    `root = await tree(ChildSpec(Counter), ...)`; see `Trees`.
    """
    from supervisor.testing.fixtures import Trees  # noqa: PLC0415 - only tests that use it pay for it

    trees = Trees(inline=request.config.getoption("--actors") == "inline")
    _wrap(request, lambda: trees)
    return trees


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> LoopClock:
    """The clock of the test, as in `await clock.advance(seconds)`; with --actors=processes it is the real one."""
    from supervisor.testing.clock import LoopClock  # noqa: PLC0415 - only tests that use it pay for it
    from supervisor.testing.fixtures import virtual_time  # noqa: PLC0415 - the same

    if request.config.getoption("--actors") == "inline":
        _wrap(request, virtual_time)
    return LoopClock()


@pytest.fixture
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test when its function leaves processes, threads or descriptors behind."""
    from supervisor.testing.leaks import Leaks  # noqa: PLC0415 - only tests that use it pay for it

    node = request.node
    runtest = node.runtest

    def watched() -> None:
        leaks = Leaks()
        runtest()
        left = leaks.left()
        if left:
            pytest.fail(f"the test left behind {left}", pytrace=False)

    node.runtest = watched
    yield
    del node.runtest


def _wrap(request: pytest.FixtureRequest, around: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
    """Let the async function of a test run inside of a context, in its own task; a sync one stays as it is."""
    node = request.node
    function = node.obj
    if not inspect.iscoroutinefunction(function):
        return

    @functools.wraps(function)
    async def inside(*args: Any, **kwargs: Any) -> Any:
        async with around():
            return await function(*args, **kwargs)

    node.obj = inside

    def restore() -> None:
        node.obj = function

    request.addfinalizer(restore)
