"""Inline: a tree whose actors run in the test's process, on a virtual clock. Everything is real but the processes.

Runs on the thread of the loop that entered it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from types import TracebackType
from typing import Any, Final, NoReturn, Self, Unpack

from actors.actor import Actor
from actors.child.function_main import Call
from actors.errors import UsageError
from actors.ref import ActorRef
from actors.wire.to_child import StartActor
from supervisor.ports.launching import Launcher
from supervisor.ports.life import CommandListener, Inspected, LifeListener
from supervisor.root.options import Options
from supervisor.specs import AnySpec, ChildSpec, CommandSpec, FunctionSpec, SupervisorSpec
from supervisor.supervisor import Supervisor
from supervisor.testing.clock import VirtualClock, virtual_clock
from supervisor.testing.life import InlineLife
from supervisor.testing.processless import Processless

_ONLY_PROCESSES: Final = (
    "runs only as a process; use Supervisor in this test, or the fixture `tree` with --actors=processes"
)

_NOT_INLINE: Final = ("store", "cluster", "control")  # options that need processes, or the system's time


class InlineLauncher(Processless):
    """Starts lives in the test's process.

    Args:
        loop: the test's.
        clock: of that loop.
        on_interrupted: called when the test is interrupted while code of an actor runs.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: VirtualClock, on_interrupted: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._on_interrupted = on_interrupted

    def launch(self, start: StartActor, lanes: int, listener: LifeListener) -> InlineLife:
        """See `Launcher`."""
        return InlineLife(start, lanes, listener, self._loop, self._clock, self._on_interrupted)

    def launch_function(self, start: StartActor, call: Call, listener: LifeListener) -> Inspected:
        """Refused."""
        del call, listener
        _refuse(start.path)

    def launch_command(
        self, start: StartActor, argv: tuple[str, ...], stop_signal: int, listener: CommandListener
    ) -> Inspected:
        """Refused."""
        del argv, stop_signal, listener
        _refuse(start.path)


class InlineSupervisor(Supervisor):
    """A supervisor whose actors run in the test's process, on a virtual clock. Arguments as in Supervisor.

    What only a process has is missing: its options (env, cwd, nice, cpu_affinity, rlimits), the capture of what it
    prints, its signals, its memory and its pid. A handler that ends the process (`os._exit`, a fault in C) ends the
    test's.

    Raises:
        UsageError: a child is a function or a command, which run only as processes; or `store`, `cluster` or `control`
            is given.
    """

    def __init__(self, *children: AnySpec, **options: Unpack[Options]) -> None:
        for name in _NOT_INLINE:
            if options.get(name) is not None:
                raise UsageError(f"an inline tree takes no {name}=; use Supervisor in this test, or leave it out")
        options["reading"] = "loop"
        super().__init__(*children, **options)
        _check_specs(self.spec)
        self._undo = ExitStack()

    async def __aenter__(self) -> Self:
        """See `Supervisor`; the loop's clock is virtual from now on."""
        clock = virtual_clock()
        clock.begin()
        try:
            await super().__aenter__()
        except BaseException:
            clock.end()
            raise
        self._undo.callback(clock.end)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See `Supervisor`; the loop's clock is the former one afterwards."""
        with self._undo:
            await super().__aexit__(kind, error, trace)

    async def start_child(self, spec: AnySpec, *, under: str = "") -> str:
        """See `Supervisor`.

        Raises:
            UsageError: as well, it is a function or a command.
        """
        _check_specs(spec)
        return await super().start_child(spec, under=under)

    def _make_launcher(self, loop: asyncio.AbstractEventLoop) -> Launcher:
        return InlineLauncher(loop, virtual_clock(), self.request_kill)

    def _check_program(self) -> None:
        """It starts no process, so any program may run it."""

    async def _close(self, cancelled: asyncio.CancelledError | None) -> asyncio.CancelledError | None:
        """It started no process, so there is nothing to close."""
        return cancelled


def inline(actor: type[Actor] | ChildSpec, *args: Any, **kwargs: Any) -> AbstractAsyncContextManager[ActorRef]:
    """Run one actor in the process of the test, supervised.

        async with inline(Counter, 10) as ref:
            assert await ref.ask(Add(5)) == 15

    It is supervised as with `Supervisor(ChildSpec(...))`: what ends its life is reported, and the next life follows by
    its policy. The clock is virtual, see `VirtualClock`.

    Args:
        actor: the class, or a ChildSpec.
        args: positional arguments of its `__init__`, if it is a class.
        kwargs: keyword arguments of its `__init__`, if it is a class.

    Raises:
        UsageError: arguments beside a ChildSpec, which has its own; or the event loop is not asyncio's own.
        StartFailed: the actor did not start.
        RestartIntensityExceeded: it ended too often; out of the `async with`.
    """
    if isinstance(actor, ChildSpec):
        if args or kwargs:
            raise UsageError(
                "inline(ChildSpec(...)) takes no arguments beside it; put them into args= of the ChildSpec"
            )
        spec = actor
    else:
        spec = ChildSpec(actor, args=args, kwargs=kwargs)
    return _Alone(spec)


class _Alone:
    """One actor in a tree of its own."""

    def __init__(self, spec: ChildSpec) -> None:
        self._name = spec.name
        self._root = InlineSupervisor(spec)

    async def __aenter__(self) -> ActorRef:
        root = await self._root.__aenter__()
        return root[self._name]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._root.__aexit__(kind, error, trace)


def _check_specs(spec: AnySpec) -> None:
    """Check that nothing in it runs only as a process.

    Raises:
        UsageError: something does.
    """
    if isinstance(spec, FunctionSpec | CommandSpec):
        _refuse(spec.name)
    for child in spec.children if isinstance(spec, SupervisorSpec) else ():
        _check_specs(child)


def _refuse(name: str) -> NoReturn:
    raise UsageError(f"{name} {_ONLY_PROCESSES}")
