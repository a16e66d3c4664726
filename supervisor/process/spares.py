"""Spares: processes that have done everything but learn which actor they run.

Spares are an optimisation. One is made when nothing else is starting, no life ever waits for one, and a failure of
one affects no actor: a module that a spare could not import is left out of the next.

Runs on the loop's thread. A spare has imported the modules of the actors started so far. It has marks, a channel, a
black box and events of its own, like every process, and the life that gets it is the first to use them. It is used
only while a fresh process would be the same: what it has inherited, and the source files it has read, are compared
with the daemon's at that moment; a stale one is replaced. While it imports, its black box says which module, so that
one that hangs or dies in an import needs to report nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

import msgspec

from actors.errors import WireError
from actors.event import close_fd
from actors.wire.codec import encode
from actors.wire.frames import CrashReport, Preload, ProcessOptions, StartActor
from actors.wire.framing import Framer, header
from supervisor.process.spawn.surroundings import Stamp, source_files, surroundings, unchanged
from supervisor.process.spawn.worker_process import WorkerProcess

CALM: Final = 0.02  # seconds without a start before a spare is made: starts in a row come first
PAUSE: Final = 0.5  # seconds before another is made when one died unused, doubled each time
PATIENCE: Final = 30.0  # seconds a spare may take to be ready
MAX_PAUSE: Final = 60.0  # seconds between two attempts when spares die unused repeatedly
MAX_CRASH_REPORT_BYTES: Final = 1024 * 1024  # bytes of a crash report that are read

Make = Callable[[str, int], WorkerProcess]
OnSpareFailed = Callable[[str | None, str], None]  # called with the module it was importing, and what happened

_LAST_WORDS: Final = msgspec.msgpack.Decoder(CrashReport)


class Spare:
    """One process that waits for its StartActor, or is about to."""

    def __init__(self, make: Callable[[], WorkerProcess]) -> None:
        self.knows: tuple[str, ...] = ()
        self.ready = False
        self.stale = False  # it differs from a fresh process, and was asked to end
        self.surroundings = surroundings()  # taken before its start: any later change makes it stale
        self.files: dict[str, Stamp] = {}  # as they were before it read them
        self.patience: asyncio.TimerHandle | None = None
        self.rejected = ""  # why the life that took it uses another process
        self.worker = make()

    @property
    def importing(self) -> str | None:
        """The module it is importing, or died importing; None when it imports nothing."""
        at = max(self.worker.box.progress().active, default=0)
        return self.knows[at - 1] if 0 < at <= len(self.knows) else None


class Spares:
    """Keeps spares ready.

    Args:
        count: how many.
        loop: of the tree.
        make: starts a process, given its name and the lanes of its black box.
        on_lost: called with the reason why a spare failed.
    """

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop, make: Make, on_lost: OnSpareFailed) -> None:
        self._count = count
        self._loop = loop
        self._make = make
        self._on_lost = on_lost
        self._spares: list[Spare] = []
        self._modules: dict[str, None] = {}  # in the order in which they were first needed
        self._unfit: set[str] = set()
        self._main: dict[str, str] = {}
        self._lanes = 1
        self._misfortunes = 0  # spares in a row that died unused
        self._timer: asyncio.TimerHandle | None = None
        self._dismissed = False
        self._all_gone = asyncio.Event()

    @property
    def ready(self) -> int:
        """How many spares wait."""
        return 0 if self._dismissed else sum(spare.ready for spare in self._spares)

    def learn(self, module: str, main: dict[str, str]) -> bool:
        """A module will be needed, and the main module if `main` says how it is imported; whether one is new."""
        known = len(self._modules)
        if main:
            self._main = main
            self._modules["__main__"] = None
        self._modules[module] = None
        return len(self._modules) > known

    def take(self, part: StartActor, lanes: int) -> WorkerProcess | None:
        """A spare that can run this actor at once; None when there is none."""
        self._cancel_refill()
        if not part.captured or part.conditions != ProcessOptions():  # must hold during imports, too
            return None
        self.learn(part.module, part.main)
        self._lanes = max(self._lanes, lanes)
        self._retire_stale()
        for spare in self._spares:
            if spare.ready and spare.worker.box.lanes >= lanes and not spare.worker.dead:
                self._spares.remove(spare)
                self._misfortunes = 0
                return spare.worker
        return None

    def reject(self, worker: WorkerProcess, why: str) -> None:
        """A spare that was taken does not run: end it, and count that as its own failure."""
        spare = Spare(lambda: worker)
        spare.rejected = why
        self._spares.append(spare)
        worker.on_gone = lambda: self._gone(spare)
        if worker.gone:
            self._loop.call_soon(self._gone, spare)
        else:
            worker.kill()

    def refill_soon(self) -> None:
        """No life is starting now: make the missing spares, if it stays calm."""
        if self._count and self._timer is None and not self._dismissed:
            pause = min(MAX_PAUSE, PAUSE * 2**self._misfortunes) if self._misfortunes else CALM
            self._timer = self._loop.call_later(pause, self._refill)

    def dismiss(self) -> None:
        """No life will need a spare any more."""
        self._dismissed = True
        self._cancel_refill()
        for spare in self._spares:
            spare.worker.kill()

    async def close(self) -> None:
        """Dismiss them, and wait until they have ended."""
        self.dismiss()
        if self._spares:
            await self._all_gone.wait()

    def abandon(self) -> None:
        """Kill and reap them, without the loop. Runs in the spawner's thread."""
        for spare in self._spares:
            spare.worker.abandon()
            close_fd(spare.worker.output)

    def _cancel_refill(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _retire_stale(self) -> None:
        """End those that started otherwise than a process that starts now, or have read files that changed since."""
        if not any(spare.ready for spare in self._spares):
            return
        now = surroundings()
        for spare in self._spares:
            if spare.ready and not (spare.surroundings == now and unchanged(spare.files)):
                spare.ready, spare.stale = False, True
                spare.worker.kill()

    def _refill(self) -> None:
        """Start one missing spare; its readiness triggers the next step."""
        self._timer = None
        self._retire_stale()
        wanted = tuple(module for module in self._modules if module not in self._unfit)
        if not all(spare.ready for spare in self._spares):
            return
        behind = next((spare for spare in self._spares if not set(wanted) <= set(spare.knows)), None)
        if behind is not None:
            self._preload(behind, wanted)
        elif wanted and len(self._spares) < self._count:  # without actors there is nothing to wait for
            try:
                spare = Spare(lambda: self._make("spare", self._lanes))
            except OSError as error:
                self._misfortune(None, f"it could not be started: {error}")
                return
            self._spares.append(spare)
            spare.worker.on_gone = lambda: self._gone(spare)
            self._preload(spare, wanted)

    def _preload(self, spare: Spare, modules: tuple[str, ...]) -> None:
        spare.ready = False
        spare.knows = modules
        spare.files = {**source_files(modules), **spare.files}
        frame = encode(Preload(list(modules), self._main))
        spare.patience = self._loop.call_later(PATIENCE, spare.worker.kill)
        spare.worker.reader.once(spare.worker.ready.fileno(), lambda: self._became_ready(spare))
        try:
            spare.worker.duplex.send(header(len(frame)) + frame)  # small, into an empty channel: it fits
        except OSError:  # it is dead, or cannot be told
            spare.worker.kill()

    def _became_ready(self, spare: Spare) -> None:
        try:
            spare.worker.ready.clear()
        except OSError:  # a later readiness could not be told from this one
            spare.worker.kill()
            return
        spare.ready = not spare.worker.gone
        self._lose_patience(spare)
        self.refill_soon()

    def _gone(self, spare: Spare) -> None:
        """It ended: asked to, or by itself."""
        worker = spare.worker
        self._spares.remove(spare)
        self._lose_patience(spare)
        module = None if spare.ready or spare.stale else spare.importing
        why = self._why(spare, _crash_report(worker), worker.remains().exit_code)
        worker.discard()
        if self._dismissed:
            if not self._spares:
                self._all_gone.set()
            return
        if spare.stale:
            self.refill_soon()
            return
        self._misfortune(module, why)

    def _misfortune(self, module: str | None, why: str) -> None:
        self._misfortunes += 1
        if module is not None:
            self._unfit.add(module)
        if module is not None or self._misfortunes == 1:
            self._on_lost(module, why)
        self.refill_soon()

    @staticmethod
    def _why(spare: Spare, words: CrashReport | None, exit_code: int | None) -> str:
        worker = spare.worker
        if spare.rejected:
            return spare.rejected
        if worker.error is not None:
            return f"it could not be started: {worker.error}"
        if words is not None:
            return f"{words.failure.type_name}: {words.failure.message}"
        if worker.kill_asked:
            return f"it was not ready after {PATIENCE:g} s"
        return f"it ended with exit code {exit_code}"

    @staticmethod
    def _lose_patience(spare: Spare) -> None:
        if spare.patience is not None:
            spare.patience.cancel()


def _crash_report(worker: WorkerProcess) -> CrashReport | None:
    """The crash report of a dead spare, within the bound."""
    try:
        frames = Framer().feed(worker.duplex.recv(MAX_CRASH_REPORT_BYTES))
        return _LAST_WORDS.decode(cast("bytes", frames[0])) if frames else None
    except (OSError, WireError, msgspec.MsgspecError, RecursionError, TypeError):
        return None
