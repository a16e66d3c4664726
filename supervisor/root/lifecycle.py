"""Lifecycle: how a tree is entered, runs, gives up and is left.

Runs on the thread of the event loop that entered it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from actors.errors import UsageError
from actors.exits import ExitReason
from actors.lazy import LazyModule
from supervisor.clock import check_time_is_real
from supervisor.core.rules.spare_count import SpareCount
from supervisor.core.tree import commands as do
from supervisor.core.tree import events as happened
from supervisor.errors import RestartIntensityExceeded
from supervisor.io.thread_reader import ThreadReader
from supervisor.loop_affinity import Home
from supervisor.messaging.tree_context import TreeContext
from supervisor.observe.reports import Reports
from supervisor.process.launcher import ProcessLauncher
from supervisor.process.spawn.lean_spawn import check_interpreter
from supervisor.root.giving_up import GivingUp, exceeded, not_started
from supervisor.root.imported_ahead import import_ahead
from supervisor.root.options import OnGiveUp, Reading, RootSpec, check_options, check_spec
from supervisor.root.outlast import outlast
from supervisor.root.refused import told_if_refused
from supervisor.root.service import starting
from supervisor.spawnable import check_program
from supervisor.spec_validation import check, check_places
from supervisor.specs import AnySpec, SupervisorSpec
from supervisor.system.descriptor_limit import shortage
from supervisor.tree.child_factory import ChildFactory
from supervisor.tree.engine import Engine

if TYPE_CHECKING:
    from supervisor.control import server, socket_path
    from supervisor.durable import durability
    from supervisor.io import loop_reader
    from supervisor.ports.launching import Cluster, Launcher, Machines
    from supervisor.ports.reading import AnyReader
    from supervisor.root import scheduler
    from supervisor.store.port import Store
    from supervisor.tree import health, look
else:
    durability = LazyModule("supervisor.durable.durability")
    health = LazyModule("supervisor.tree.health")
    loop_reader = LazyModule("supervisor.io.loop_reader")
    look = LazyModule("supervisor.tree.look")
    socket_path = LazyModule("supervisor.control.socket_path")
    scheduler = LazyModule("supervisor.root.scheduler")
    server = LazyModule("supervisor.control.server")


class Lifecycle:
    """A tree from its start to its end; arguments as in `Supervisor`."""

    def __init__(
        self,
        *children: AnySpec,
        reading: Reading = "thread",
        stop_timeout: float | None = None,
        spares: SpareCount = 1,
        max_shared_bytes: int | None = None,
        on_give_up: OnGiveUp = "cancel",
        store: Store | None = None,
        control: str | os.PathLike[str] | None = None,
        cluster: Cluster | None = None,
        **spec: Unpack[RootSpec],
    ) -> None:
        check_spec(spec)
        self.spec = SupervisorSpec(*children, **spec)
        self.path = f"/{self.spec.name}"
        check(self.spec, stored=store is not None)
        if cluster is None:
            check_places(self.spec)
        check_options(
            reading=reading,
            stop_timeout=stop_timeout,
            spares=spares,
            max_shared_bytes=max_shared_bytes,
            on_give_up=on_give_up,
            store=store,
            cluster=cluster,
        )
        if control is not None:
            socket_path.check_control(control)
        self._reading = reading
        self._stop_timeout = stop_timeout
        self._spares = spares
        self._max_shared_bytes = max_shared_bytes
        self._store = store
        self._control = control
        self._cluster = cluster
        self._reports = Reports()
        self._giving_up = GivingUp(self.path, on_give_up, self._reports, self._gave_up)
        self._visitors: list[Callable[[TreeContext], None]] = []
        self._engine: Engine | None = None  # once it is entered, as the parts below
        self._durability: durability.Durability | None = None
        self._machines: Machines | None = None
        self._control_server: server.ControlServer | None = None
        self._schedules: scheduler.Scheduler | None = None
        self._end: do.Terminate | None = None
        self._given_up = False  # while it was running
        self._stopped: asyncio.Event | None = None  # there as soon as the tree is left, or its start has failed

    async def __aenter__(self) -> Self:
        """Start the children in order; returns when all of them are ready.

        Raises:
            StartFailed: one did not become ready; those started were stopped again.
            OSError, RuntimeError: the system has no descriptor or no thread left for the tree; nothing was started.
            UsageError: the program would start itself again in every process, or `control` has no place.
            StoreError: the store cannot be used. Nothing was started.
        """
        if self._engine is not None:
            raise UsageError(f"{self.path} was entered before; make a new Supervisor for another run")
        self._check_program()
        self._home = _home_here(self.path)
        if self._store is None:
            await self._enter()
        else:
            await self._enter_with(self._store)
        return self

    async def _enter_with(self, store: Store) -> None:
        """Open the store, then enter; what it kept for mailboxes that the tree has no more is told."""
        reports = self._reports
        self._durability = durability.Durability(
            store, self.path, self._home.loop, reports.store_failed, reports.states_unclaimed
        )
        left = await self._durability.open(self.spec)
        try:
            for summary in left:
                reports.mailbox_unclaimed(summary.mailbox, summary.waiting + summary.delayed, summary.dead_letters)
            await self._enter()
        except BaseException:
            await self._durability.close()
            raise

    async def _enter(self) -> None:
        with told_if_refused(self.path):
            async with contextlib.AsyncExitStack() as undo:  # what was made, where the next part cannot be
                self._engine = self._make_parts(self._home.loop, undo)
                undo.pop_all()
        try:
            await self._start(self._engine)
        except BaseException:
            await self._stop()
            raise
        self._giving_up.enter()

    async def _start(self, engine: Engine) -> None:
        engine.post(happened.Boot())
        import_ahead()  # while children start
        with starting(lambda: health.health_of(look.tree_of(engine))):
            await self._until_running()
        if self._store is not None and (rows := await self._store.schedules()):
            self._scheduler.recover(rows)
        if self._given_up:  # while it was running, and before this task noticed
            raise self._gave_up()

    def _make_parts(self, loop: asyncio.AbstractEventLoop, undo: contextlib.AsyncExitStack) -> Engine:
        """Make what the tree is made of; its engine has started nothing yet."""
        door = None if self._control is None else socket_path.open_door(self._control, self.spec.name)
        if door is not None:
            undo.callback(door.close)
        self._reader: AnyReader = self._make_reader(loop)
        undo.callback(self._reader.close)
        self._launcher: Launcher = self._make_launcher(loop)
        undo.push_async_callback(self._close_launchers)
        if self._cluster is not None:
            self._machines = self._cluster.enter(self.path, loop, self._reader, self._spares, self._reports)
        self._tree = self._make_tree(loop)
        engine = self._make_engine(self._tree)
        if door is not None:
            self._control_server = server.ControlServer(door, engine)
        return engine

    def _make_tree(self, loop: asyncio.AbstractEventLoop) -> TreeContext:
        """What the supervisors of the tree share."""
        tree = TreeContext(loop, self._launcher, self._reports, self._machines, max_shared_bytes=self._max_shared_bytes)
        tree.store, tree.durability = self._store, self._durability
        tree.heartbeats = self._control is not None
        for visit in self._visitors:
            visit(tree)
        return tree

    def _make_engine(self, tree: TreeContext) -> Engine:
        self._was_up = False
        self._up_or_down = asyncio.Event()
        self._terminated = asyncio.Event()
        engine = Engine(
            self.spec,
            self.path,
            tree,
            ChildFactory,
            on_running=self._up_or_down.set,
            on_terminated=self._on_terminated,
            on_gave_up=self._on_gave_up,
        )
        tree.registry.other = lambda path: look.other_than_mailbox(engine, path)
        return engine

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the children in reverse order; returns when nothing of the tree is left, also where it was left before.

        Raises:
            RestartIntensityExceeded: the tree gave up.
            UsageError: it was never entered, or this is another thread or loop.
        """
        if self._engine is None:
            raise self._not_started()
        if self._home.forked:  # the tree is the daemon's
            return
        self._check_home()
        await self._giving_up.leave(kind)
        await self._stop()
        self._giving_up.after_stop(kind, given_up=self._end is not None and self._end.exceeded)

    def with_tree(self, visit: Callable[[TreeContext], None]) -> None:
        """Call `visit` with what the supervisors of this tree share: now, or before its first child starts.

        For what observes a tree: metrics, tracing.
        """
        if self._engine is not None:
            self._check_home()
            visit(self._tree)
        self._visitors.append(visit)

    def request_stop(self) -> None:
        """Begin to stop the tree; returns at once. `wait` returns when it is down."""
        self._engine_now().shut_down(happened.StopRequested(self._stop_timeout))
        self._wind_down()

    def request_kill(self) -> None:
        """Kill everything; returns at once. `wait` returns when it is down."""
        self._engine_now().shut_down(happened.KillRequested())
        self._wind_down()

    def _wind_down(self) -> None:
        self._launcher.wind_down()
        if self._machines is not None:
            self._machines.wind_down()

    async def wait(self) -> ExitReason:
        """Wait until the tree is down, for any reason, and return that reason."""
        self._engine_now()
        await self._terminated.wait()
        assert self._end is not None  # noqa: S101 - set before
        return self._end.reason

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop to which the tree belongs. Callable from any thread."""
        if self._engine is None:
            raise self._not_started()
        return self._home.loop

    @property
    def _scheduler(self) -> scheduler.Scheduler:
        """What sends the messages of the tree's schedules."""
        if self._schedules is None:
            self._schedules = scheduler.Scheduler(self.path, self._tree, self._tree.clock.time)
        return self._schedules

    def _make_reader(self, loop: asyncio.AbstractEventLoop) -> AnyReader:
        return (
            ThreadReader(loop, f"actors-reader-{self.spec.name}")
            if self._reading == "thread"
            else loop_reader.LoopReader(loop)
        )

    def _check_program(self) -> None:
        """Check that processes can be started from this program.

        Raises:
            UsageError: they cannot.
        """
        check_time_is_real()
        check_program(needs_main=self.spec.needs_main)
        check_interpreter()

    def _make_launcher(self, loop: asyncio.AbstractEventLoop) -> Launcher:
        if short := shortage(self.spec.processes + (1 if self._spares == "auto" else self._spares)):
            self._reports.descriptors_short(self.path, *short)
        return ProcessLauncher(
            loop,
            self._reader,
            self._spares,
            lambda why: self._reports.orphan_reaper_lost(self.path, why),
            lambda module, why: self._reports.spare_failed(self.path, module, why),
            boxes=None if self._durability is None else self._durability.boxes,
        )

    def _engine_now(self) -> Engine:
        if self._engine is None:
            raise self._not_started()
        self._check_home()
        return self._engine

    def _check_home(self) -> None:
        """Check that this is the loop of the tree, as long as there is one."""
        if self._engine is not None and not self._terminated.is_set():
            self._home.check(self.path)

    def _not_started(self) -> UsageError:
        return UsageError(f"{self.path} is not started; use it inside `async with Supervisor(...) as root:`")

    async def _until_running(self) -> None:
        await self._up_or_down.wait()
        if not self._was_up and self._end is not None:
            raise not_started(self.path, self._end, self._engine_now().last_failure)

    async def _stop(self) -> None:
        """Stop the tree and release everything, once."""
        if self._stopped is not None:
            await self._stopped.wait()
            return
        self._stopped = asyncio.Event()
        try:
            if self._schedules is not None:
                self._schedules.close()
            await self._release()
        finally:
            self._stopped.set()

    async def _release(self) -> None:
        """Stop the tree and release everything.

        A cancellation meanwhile kills what is left, and is raised at the end, or `KILL_PATIENCE` later. A second Ctrl-C
        raises KeyboardInterrupt in the middle of any step, so that an end may never be reported; what is left then is
        ended by the spawner once the loop is closed.
        """
        self.request_stop()
        cancelled = await outlast(self._terminated.wait, None, self.request_kill)
        self._tree.end()
        try:
            cancelled = await self._close(cancelled)
        finally:
            if self._durability is not None:
                await self._durability.close()
            self._reader.close()
            self._reports.close()
            if self._control_server is not None:
                await self._control_server.close()
        if cancelled is not None:
            raise cancelled

    async def _close(self, cancelled: asyncio.CancelledError | None) -> asyncio.CancelledError | None:
        """Close what starts lives, also through cancellations; returns the last one."""
        closing = asyncio.ensure_future(self._close_launchers())
        cancelled = await outlast(lambda: asyncio.wait((closing,)), cancelled)  # also where it is cancelled itself
        if closing.done() and not closing.cancelled():
            closing.result()
        return cancelled

    async def _close_launchers(self) -> None:
        try:
            await self._launcher.close()
        finally:
            if self._machines is not None:
                await self._machines.close()

    def _on_terminated(self, end: do.Terminate) -> None:
        self._end = end
        self._was_up = self._up_or_down.is_set()
        self._up_or_down.set()
        self._terminated.set()

    def _on_gave_up(self) -> None:
        self._given_up = self._up_or_down.is_set()  # it is not down yet
        self._giving_up.begin(self._home.loop)

    def _gave_up(self) -> RestartIntensityExceeded:
        return exceeded(self.path, self._end, self._engine_now().last_failure)


def _home_here(path: str) -> Home:
    """The loop, thread and process of the caller, for the tree of that path.

    Raises:
        UsageError: no event loop runs.
    """
    try:
        return Home()
    except RuntimeError:
        raise UsageError(
            f"{path} needs a running asyncio event loop: enter it in a coroutine that asyncio.run() runs "
            f"(with anyio, its asyncio backend), or use `with Supervisor.in_thread(...)` where there is none"
        ) from None
