"""ProcessLauncher: starts lives as operating system processes, one launcher for a whole tree.

A life gets a process that was spawned ahead for it, or a spare, if one fits, else a fresh one; all behave alike. One
that was there and does not read its StartActor is replaced by a fresh process.

Made and used on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakSet

from msgspec.structs import replace

from actors.lazy import LazyModule
from actors.wire.to_child import StartActor
from supervisor.clock import REAL
from supervisor.core.rules.spare_count import SpareCount, spare_size
from supervisor.io.output_reader import OutputReader
from supervisor.ports.launching import Expected
from supervisor.ports.life import CommandListener, LifeListener
from supervisor.ports.reading import AnyReader
from supervisor.process.ahead import Ahead
from supervisor.process.descriptors import DescriptorListener
from supervisor.process.life import LifeServices, ProcessLife
from supervisor.process.spares import OnSpareFailed, Spare, Spares
from supervisor.process.spawn.spawner import Spawner
from supervisor.process.spawn.worker_process import ACTOR, Program, WorkerProcess
from supervisor.spawnable import check_main_guard
from supervisor.system import broken_pipes
from supervisor.system.memory_limit import memory_limit
from supervisor.system.orphans import OnLost, OrphanReaper
from supervisor.system.post_mortem import oom_witness

if TYPE_CHECKING:
    from actors.child.function_main import Call
    from actors.ipc import box_file
    from supervisor.process import command_life, function_life
    from supervisor.process.boxes import Boxes
else:
    box_file = LazyModule("actors.ipc.box_file")
    command_life = LazyModule("supervisor.process.command_life")
    function_life = LazyModule("supervisor.process.function_life")

L = TypeVar("L", bound=ProcessLife)

SPARE_PATIENCE: Final = 0.5  # seconds that a spare has to read its StartActor
AHEAD_PATIENCE: Final = 2.0  # the same of a process spawned ahead, whose interpreter may still start
STARTING: Final = 2.0  # seconds for which a life that starts holds spares back


class ProcessLauncher:
    """Starts lives as spawned processes.

    Args:
        loop: of the tree.
        reader: waits for what the processes send, and for their ends.
        spares: how many spares to keep; "auto" for as many as are needed.
        on_reaper_lost: called with the reason why there is no orphan reaper.
        on_spare_failed: called with the reason why a spare failed.
        boxes: where black boxes outlive the daemon, None in a tree without a store.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reader: AnyReader,
        spares: SpareCount,
        on_reaper_lost: OnLost,
        on_spare_failed: OnSpareFailed,
        *,
        boxes: Boxes | None = None,
    ) -> None:
        self._loop = loop
        self._reader = reader
        self._boxes = boxes
        self._alive: set[ProcessLife] = set()
        self._starting: dict[ProcessLife, float] = {}  # and since when
        with contextlib.ExitStack() as undo:
            descriptors = DescriptorListener(loop, reader)
            undo.callback(descriptors.close)
            self._services = LifeServices(oom_witness(), OutputReader(loop), descriptors, self._ready, self._over)
            undo.callback(self._services.output_reader.close)
            self._spawner = Spawner(loop, self._abandon)
            undo.pop_all()
        self._orphan_reaper = OrphanReaper(loop, reader, self._spawner.do, on_reaper_lost)
        self._ahead = Ahead(self._begin)
        self._keeps_spares = spares != 0
        REAL.setdefault(loop, WeakSet()).add(self)
        broken_pipes.survive(self)
        size = spare_size(spares, memory_limit())
        self._spares = Spares(size, loop, self._begin_spare, self._starts_first, on_spare_failed)

    @property
    def spares(self) -> int:
        """How many spares wait."""
        return self._spares.ready

    _life: type[ProcessLife] = ProcessLife
    _passes_descriptors = True  # between this process and those it starts

    def launch(self, start: StartActor, lanes: int, listener: LifeListener) -> ProcessLife:
        """Start a life; `listener` gets its events, never before this returns.

        Raises:
            OSError: the system has no descriptor or no memory left for it. Nothing was started.
        """
        self._services.oom.look()
        start = replace(start, descriptors=self._services.descriptors.name if self._passes_descriptors else "")
        ahead = self._ahead.take(start, lanes)
        if ahead is not None:
            life = self._life_ahead(ahead, start, listener)
            self._replace_untaken(life, AHEAD_PATIENCE, start, lanes, lambda _: self._ahead.reject(ahead))
            return self._begun(life)
        spare = self._spares.take(start, lanes) if self._keeps_spares else None
        if spare is None:
            return self._fresh(self._life, start, lanes, listener)
        life = self._life_on(spare, start, listener)
        self._replace_untaken(life, SPARE_PATIENCE, start, lanes, lambda why: self._spares.reject(spare, why))
        self._spares.refill_soon()
        return self._begun(life)

    def launch_function(self, start: StartActor, call: Call, listener: LifeListener) -> function_life.FunctionLife:
        """Start a function; a spare was spawned before and cannot get its arguments.

        Raises:
            OSError: the system has no descriptor or no memory left for it. Nothing was started.
        """
        self._services.oom.look()
        return self._fresh(
            function_life.FunctionLife, start, 1, listener, Program("actors.child.function_main", (call,))
        )

    def check_main(self) -> None:
        """Check that a process which imports the main module does not start the daemon again."""
        check_main_guard()

    def launch_command(
        self, start: StartActor, argv: tuple[str, ...], stop_signal: int, listener: CommandListener
    ) -> command_life.CommandLife:
        """Start a process that executes a program, and is asked to stop by that signal.

        Raises:
            OSError: the system has no descriptor or no memory left for it. Nothing was started.
        """
        self._services.oom.look()
        program = Program("actors.child.command_main", (argv,))
        life = self._fresh(command_life.CommandLife, start, 1, listener, program)
        life.stop_signal = stop_signal
        life.await_line(listener.awaits_line)
        return life

    def _fresh(
        self, cls: type[L], start: StartActor, lanes: int, listener: LifeListener, program: Program = ACTOR
    ) -> L:
        worker = self._make(start.path, lanes, program)
        try:
            self._keep_box(worker, start)
            life = cls(worker, start, listener, self._services)
        except BaseException:
            worker.discard()
            raise
        self._spawner.begin(worker)
        return self._begun(life)

    def _begun(self, life: L) -> L:
        self._alive.add(life)
        self._starting[life] = self._loop.time()
        return life

    def _life_on(self, spare: Spare, start: StartActor, listener: LifeListener) -> ProcessLife:
        try:
            return self._life(self._keep_box(spare.worker, start), start, listener, self._services)
        except BaseException as error:
            self._spares.reject(spare, f"it could not be told which actor to run: {error}")
            raise

    def _life_ahead(self, worker: WorkerProcess, start: StartActor, listener: LifeListener) -> ProcessLife:
        """A life on a process that was spawned for it."""
        self._spares.learn(start.module, start.main)
        try:
            return self._life(self._keep_box(worker, start), start, listener, self._services)
        except BaseException:
            self._ahead.reject(worker)
            raise

    def _replace_untaken(
        self, life: ProcessLife, patience: float, start: StartActor, lanes: int, reject: Callable[[str], None]
    ) -> None:
        """Where its process, which was there before, does not run, start a life on a fresh one instead.

        Args:
            life: the life.
            patience: seconds that its process has to read its StartActor.
            start: that StartActor.
            lanes: of the black box.
            reject: ends the process that is not used; called with the reason.
        """

        def replace(why: str) -> None:
            if self._replaced(life, start, lanes):
                reject(why)

        life.await_taken(patience, replace)

    def _replaced(self, life: ProcessLife, start: StartActor, lanes: int) -> bool:
        """Whether a fresh process takes over."""
        name = start.path
        try:
            worker = self._keep_box(self._make(name, lanes), start)
        except Exception as error:  # keep it; if it does not run either, the life does not become ready
            self._not_replaced(name, error)
            return False
        try:
            life.begin_again(worker)
        except Exception as error:
            worker.discard()
            self._not_replaced(name, error)
            return False
        self._spawner.begin(worker)
        return True

    def expect(self, supervisor: str, lives: Sequence[Expected]) -> None:
        """See `Launcher`."""
        self._ahead.expect(supervisor, lives)

    def preload(self, module: str, main: dict[str, bytes]) -> None:
        """See `Launcher`."""
        if self._spares.learn(module, main):
            self._refill_spares()

    def _not_replaced(self, name: str, error: Exception) -> None:
        """Say so, unless the system is short of something."""
        if not isinstance(error, OSError):
            what = f"{name} keeps a process that does not run: no other one could be started for it"
            self._loop.call_exception_handler({"message": what, "exception": error})

    def wind_down(self) -> None:
        """No more lives are expected: end the spares."""
        self._spares.dismiss()
        self._ahead.dismiss()

    async def close(self) -> None:
        """End the spares, the orphan reaper, and the threads that spawn and read output. All lives must have ended."""
        REAL[self._loop].discard(self)
        await self._spares.close()
        await self._ahead.close()
        await self._orphan_reaper.close()
        self._spawner.close()
        self._services.output_reader.close()
        self._services.descriptors.close()
        broken_pipes.end(self)

    def _abandon(self) -> None:
        """The loop was closed first: kill and reap every process. Runs in the spawner's thread."""
        for life in self._alive:
            life.abandon()
        self._spares.abandon()
        self._ahead.abandon()
        self._services.output_reader.abandon()
        self._services.descriptors.abandon()
        self._orphan_reaper.abandon()
        broken_pipes.end(self)

    def _begin_spare(self, name: str, lanes: int) -> WorkerProcess:
        worker = self._begin(name, lanes)
        self._spawner.do(worker.step_back)
        return worker

    def _begin(self, name: str, lanes: int) -> WorkerProcess:
        worker = self._make(name, lanes)
        self._spawner.begin(worker)
        return worker

    def _make(self, name: str, lanes: int, program: Program = ACTOR) -> WorkerProcess:
        box = None
        if self._boxes is not None and program is ACTOR:  # of a spare, too: any of them may become a durable actor
            box = box_file.BoxFile(self._boxes.unkept())
        return WorkerProcess(self._loop, self._reader, self._orphan_reaper, name, lanes, program=program, box=box)

    def _keep_box(self, worker: WorkerProcess, start: StartActor) -> WorkerProcess:
        """The black box of a durable actor stays when the daemon dies."""
        if start.durable and self._boxes is not None and worker.box.file is not None:
            worker.box.file.keep(self._boxes.of(start.address, start.path, start.life))
        return worker

    def _ready(self, life: ProcessLife) -> None:
        self._starting.pop(life, None)
        self._refill_spares()

    def _over(self, life: ProcessLife) -> None:
        self._starting.pop(life, None)
        self._alive.discard(life)
        self._refill_spares()

    def _refill_spares(self) -> None:
        if self._keeps_spares:
            self._spares.refill_soon()

    def _starts_first(self) -> bool:
        """Whether several lives start, or more are expected: they come before spares."""
        lately = self._loop.time() - STARTING
        return self._ahead.expects or sum(since > lately for since in self._starting.values()) > 1
