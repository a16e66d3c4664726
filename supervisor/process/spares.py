"""Spares: processes that have done everything but learn which actor they run.

    life begins ─▶ one spawned ahead for it (`ahead`), else take ─▶ one that is ready, else one that imports its module
                                                                now, else none (a fresh process)
    taken, ready, over ─▶ refill_soon ─▶ spawn at low priority ─▶ Preload ─▶ ready

Spares are an optimisation: a failure of one affects no actor, and a module that a spare could not import is left out of
the next.

Runs on the loop's thread. A spare has imported the modules of the actors started so far, the one started last first. It
has marks, a channel, a black box and events of its own, like every process, and the life that gets it is the first to
use them. It is used only while a fresh process would be the same: what it has inherited, and the source files it has
read, are compared with the daemon's at that moment; a stale one is replaced. While it imports, its black box says which
module, so that one that hangs or dies in an import needs to report nothing.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Final

from actors.event import close_fd
from actors.wire.codec import encode
from actors.wire.framing import header
from actors.wire.to_child import Preload, ProcessOptions, StartActor
from supervisor.core.health.patience import Patience
from supervisor.core.rules.spare_count import KEEP, SpareSize
from supervisor.process.spawn.sources import Sources
from supervisor.process.spawn.surroundings import surroundings
from supervisor.process.spawn.worker_process import WorkerProcess
from supervisor.system.procfs import condition, resident_bytes

CALM: Final = 0.02  # seconds before a spare is made: the life that has just begun comes first
HELD: Final = 0.25  # seconds to the next look while several starts come first
POLITE: Final = 1.0  # seconds that one may take at low priority; then it runs as others do
PAUSE: Final = 0.5  # seconds before another is made when one died unused, doubled each time
PATIENCE: Final = 30.0  # seconds a spare may take to be ready
MAX_PAUSE: Final = 60.0  # seconds between two attempts when spares die unused repeatedly

Make = Callable[[str, int], WorkerProcess]
OnSpareFailed = Callable[[str | None, str], None]  # with the module that it was importing, None without one, and why


class Spare:
    """One process that waits for its StartActor, or imports before that."""

    def __init__(self, worker: Callable[[], WorkerProcess]) -> None:
        self.knows: tuple[str, ...] = ()
        self.ready = False
        self.stale = False  # it differs from a fresh process, or is one too many, and was asked to end
        self.surroundings = surroundings()  # taken before its start: any later change makes it stale
        self.sources = Sources()  # as they were before it read them
        self.timers: list[asyncio.TimerHandle] = []  # while it imports
        self.rejected = ""  # why the life that took it uses another process
        self.worker = worker()

    @property
    def importing(self) -> str | None:
        """The module it is importing, or died importing; None when it imports nothing."""
        at = self.worker.box.importing
        return self.knows[at - 1] if 0 < at <= len(self.knows) else None

    def will_have(self, module: str) -> bool:
        """Whether it has imported a module, or imports no other before that one."""
        if module not in self.knows:
            return False
        return self.ready or self.knows.index(module) <= max(0, self.worker.box.importing - 1)

    def fresh(self) -> bool:
        """Whether a process that starts now would be the same."""
        return self.surroundings == surroundings() and self.sources.unchanged

    def rest(self) -> None:
        """It imports no more, or not for this tree's spares."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()


class Spares:
    """Keeps spares ready.

    Args:
        size: how many.
        loop: of the tree.
        make: starts a process at low priority, given its name and the lanes of its black box.
        held: whether starts come first now.
        on_lost: called with the module that a spare was importing, None without one, and why the spare failed.
    """

    def __init__(
        self,
        size: SpareSize,
        loop: asyncio.AbstractEventLoop,
        make: Make,
        held: Callable[[], bool],
        on_lost: OnSpareFailed,
    ) -> None:
        self._size = size
        self._loop = loop
        self._make = make
        self._held = held
        self._on_lost = on_lost
        self._spares: list[Spare] = []
        self._modules: dict[str, None] = {}  # the one started last first
        self._unfit: set[str] = set()
        self._main: dict[str, bytes] = {}
        self._lanes = 1
        self._misfortunes = 0  # spares in a row that died unused
        self._timer: asyncio.TimerHandle | None = None
        self._fewer: asyncio.TimerHandle | None = None
        self._dismissed = False
        self._all_gone = asyncio.Event()

    @property
    def ready(self) -> int:
        """How many spares wait."""
        return 0 if self._dismissed else sum(spare.ready for spare in self._spares)

    def learn(self, module: str, main: dict[str, bytes]) -> bool:
        """A module will be needed, and the main module if `main` says how it is imported; whether one is new."""
        known = len(self._modules)
        first = dict.fromkeys([module])
        if main:
            self._main = main
            first = dict.fromkeys(["__main__", module])
        self._modules = {**first, **self._modules}
        return len(self._modules) > known

    def take(self, start: StartActor, lanes: int) -> Spare | None:
        """A spare that can run this actor, which may still import its module; None when there is none."""
        if not start.captured or start.conditions != ProcessOptions():  # must hold during imports, too
            return None
        self.learn(start.module, start.main)
        self._lanes = max(self._lanes, lanes)
        if start.life > 1:
            self._needed()
        self._retire_stale()
        fit = [spare for spare in self._spares if self._fits(spare, start, lanes)]
        spare = next((spare for spare in fit if spare.ready), fit[0] if fit else None)
        if spare is not None:
            self._spares.remove(spare)
            self._misfortunes = 0
            if not spare.ready:
                spare.rest()
                spare.worker.reader.forget(spare.worker.ready.fileno())
                spare.worker.step_forward()
        return spare

    def reject(self, spare: Spare, why: str) -> None:
        """A spare that was taken does not run: end it, and count that as its own failure."""
        worker = spare.worker
        spare.rejected = why
        self._spares.append(spare)
        worker.on_gone = lambda: self._gone(spare)
        if worker.gone:
            self._loop.call_soon(self._gone, spare)
        else:
            worker.kill()

    def refill_soon(self) -> None:
        """Make the missing spares in a moment."""
        if self._timer is None and not self._dismissed:
            pause = min(MAX_PAUSE, PAUSE * 2**self._misfortunes) if self._misfortunes else CALM
            self._timer = self._loop.call_later(pause, self._refill)

    def dismiss(self) -> None:
        """No life will need a spare any more."""
        self._dismissed = True
        for timer in (self._timer, self._fewer):
            if timer is not None:
                timer.cancel()
        self._timer = self._fewer = None
        for spare in self._spares:
            spare.rest()
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

    @staticmethod
    def _fits(spare: Spare, start: StartActor, lanes: int) -> bool:
        box = spare.worker.box
        if spare.stale or spare.rejected or box.lanes < lanes or spare.worker.dead:
            return False
        if start.durable and not (box.file is not None and box.file.made):
            return False
        return spare.ready or spare.will_have(start.module)

    def _needed(self) -> None:
        """A restart; there may be fewer spares again when it is long ago."""
        self._size.used(self._loop.time())
        if self._fewer is None:
            self._fewer = self._loop.call_later(KEEP + 1.0, self._forget)

    def _forget(self) -> None:
        self._fewer = None
        self.refill_soon()

    def _retire_stale(self) -> None:
        """End those that started otherwise than a process that starts now, or have read files that changed since."""
        for spare in self._spares:
            if not (spare.stale or spare.rejected or spare.fresh()):
                self._end(spare)

    def _end(self, spare: Spare) -> None:
        """It is not needed any more."""
        spare.ready, spare.stale = False, True
        spare.rest()
        spare.worker.kill()

    def _refill(self) -> None:
        """Start one missing spare; its readiness triggers the next step."""
        self._timer = None
        wanted = tuple(module for module in self._modules if module not in self._unfit)
        if not wanted or self._dismissed:  # without actors there is nothing to wait for
            return
        if self._held():
            self._timer = self._loop.call_later(HELD, self._refill)
            return
        self._retire_stale()
        if not all(spare.ready for spare in self._spares):
            return
        count = self._size.wanted(self._loop.time())
        for spare in self._spares[count:]:
            self._end(spare)
        behind = next((spare for spare in self._spares[:count] if not set(wanted) <= set(spare.knows)), None)
        if behind is not None:
            self._preload(behind, wanted)
        elif len(self._spares) < count:
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
        sources = Sources(modules)
        sources.keep(spare.sources)
        spare.sources = sources
        frame = encode(Preload(list(modules), self._main))
        begun = self._loop.time()
        patience = Patience(PATIENCE, begun, condition(spare.worker.pid))
        spare.timers = [
            self._loop.call_later(POLITE, spare.worker.step_forward),
            self._loop.call_later(PATIENCE, self._look, spare, patience),
        ]
        spare.worker.reader.once(spare.worker.ready.fileno(), lambda: self._became_ready(spare, begun))
        spare.worker.preloads += 1
        try:
            spare.worker.duplex.send(header(len(frame)) + frame)  # small, into an empty channel: it fits
        except OSError:  # it is dead, or cannot be told
            spare.worker.kill()

    def _look(self, spare: Spare, patience: Patience) -> None:
        """It is not ready yet: wait on, or end it."""
        wait = patience.look(self._loop.time(), condition(spare.worker.pid))
        if wait:
            spare.timers.append(self._loop.call_later(wait, self._look, spare, patience))
        else:
            spare.worker.kill()

    def _became_ready(self, spare: Spare, begun: float) -> None:
        try:
            spare.worker.was_set()
        except OSError:  # a later readiness could not be told from this one
            spare.worker.kill()
            return
        spare.rest()
        spare.worker.step_forward()
        if spare.stale or spare.rejected:
            return
        spare.ready = not spare.worker.gone
        self._size.made(
            self._loop.time() - begun, None if spare.worker.pid is None else resident_bytes(spare.worker.pid)
        )
        self.refill_soon()

    def _gone(self, spare: Spare) -> None:
        """It ended: asked to, or by itself."""
        worker = spare.worker
        self._spares.remove(spare)
        spare.rest()
        exit_code = worker.exit_status().exit_code
        killed = exit_code == -signal.SIGKILL and (spare.rejected or not worker.kill_asked)  # no fault of the import
        module = None if spare.ready or spare.stale or killed else spare.importing
        why = self._why(spare, worker.box.text(), exit_code)
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
    def _why(spare: Spare, words: str, exit_code: int | None) -> str:
        worker = spare.worker
        if worker.error is not None:
            return f"it could not be started: {worker.error}"
        if spare.importing and words and exit_code is not None and exit_code >= 0:  # not what faulthandler has written
            return words
        if spare.rejected:
            return spare.rejected
        if worker.kill_asked:
            return f"it was not ready after {PATIENCE:g} s"
        return f"it ended with exit code {exit_code}"
