"""Pytest plugin: the fixtures `tree`, `clock` and `no_leaks`, and the option `--actors=inline|processes`.

pytest loads it wherever the package is installed, so it imports nothing but pytest; a fixture that is used imports the
rest. The fixtures are plain ones that wrap the test function. So they work with pytest-asyncio in both modes, with
anyio, and with every other plugin that runs async tests on asyncio, in the loop and the task of the test.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from supervisor.testing.clock import LoopClock
    from supervisor.testing.fixtures import Trees
    from supervisor.testing.leaks import Leaks

_OURS: Final = sys.stdlib_module_names | {"actors", "supervisor"}

_BEFORE_FIXTURES: pytest.StashKey[Leaks] = pytest.StashKey()  # what there was then
_AFTER_FIXTURES: pytest.StashKey[Leaks] = pytest.StashKey()  # the same, where it is compared when they have ended


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
    """Fail the test when its function leaves processes, threads or descriptors behind.

    Where a fixture of the test runs processes, as a tree of its own, they come and go meanwhile. Then all that its
    fixtures and its function leave behind is an error after the fixtures have ended.
    """
    from supervisor.testing.leaks import Leaks  # noqa: PLC0415 - only tests that use it pay for it

    node = request.node
    runtest = node.runtest
    before_fixtures = node.stash.get(_BEFORE_FIXTURES, None) or Leaks()  # a fixture may ask for this one as it runs

    def watched() -> None:
        leaks = Leaks()
        runtest()
        if leaks.processes > before_fixtures.processes:
            node.stash[_AFTER_FIXTURES] = before_fixtures
        else:
            _fail_on(leaks)

    node.runtest = watched
    yield
    del node.runtest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Of an error that the library raises on purpose, show the test's own lines; --full-trace shows the library's."""
    errors = sys.modules.get("actors.errors")
    raised = call.excinfo
    if errors is None or raised is None or not isinstance(raised.value, errors.ActorsError):
        return
    shown = None if item.config.getoption("fulltrace") else _without_ours(raised.tb)
    if shown is not None:
        raised.traceback = type(raised.traceback)(shown)


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of this library, and of Python's own modules that it runs in."""
    if trace is None:
        return None
    rest = _without_ours(trace.tb_next)
    if str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0] in _OURS:
        return rest
    return TracebackType(rest, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
    """Before the first fixture of a test with `no_leaks`, see what there is."""
    if fixturedef.scope == "function" and "no_leaks" in request.fixturenames:
        from supervisor.testing.leaks import Leaks  # noqa: PLC0415 - only tests that use it pay for it

        if _BEFORE_FIXTURES not in request.node.stash:
            request.node.stash[_BEFORE_FIXTURES] = Leaks()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """After the last fixture of a test has ended, see what it left behind, where the function could not say."""
    leaks = item.stash.get(_AFTER_FIXTURES, None)
    if leaks is not None:
        _fail_on(leaks)


def _fail_on(leaks: Leaks) -> None:
    left = leaks.left()
    if left:
        pytest.fail(f"the test left behind {left}", pytrace=False)


def _wrap(request: pytest.FixtureRequest, around: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
    """Let the async function of a test run inside of a context, in its own task; a sync one stays as it is."""
    node = request.node
    function = node.obj
    if not inspect.iscoroutinefunction(function):
        return

    @functools.wraps(function)
    async def inside(*args: Any, **kwargs: Any) -> Any:
        left = None
        try:
            async with around():
                try:
                    return await function(*args, **kwargs)
                except BaseException as error:
                    left = error.__traceback__
                    raise
        except BaseException as error:
            if left is not None:  # where the test stood, also when its tree gave up
                error.__traceback__ = left
            raise
        finally:
            del left

    node.obj = inside

    def restore() -> None:
        node.obj = function

    request.addfinalizer(restore)
