"""ProcessLauncher: begins lives as operating system processes, one launcher for a whole tree.

Law: a life gets a spare process if one fits, else a fresh one; who asked for it can tell which by the clock alone.
     A spare that does not read its part is replaced by a fresh process.
May import: process, spares, spawner, guard, scribe, oom, ports.

Made and used on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from actors.envelope import Part
from supervisor.guard import Guard, OnLost
from supervisor.oom import OomWitness
from supervisor.ports import AnyReader, LifeListener
from supervisor.process import Company, ProcessLife
from supervisor.scribe import Scribe
from supervisor.spares import OnSpareLost, Spares
from supervisor.spawner import Player, Spawner

SPARE_PATIENCE: Final = 0.5  # seconds that a spare has to read its part


class ProcessLauncher:
    """Starts lives as spawned processes.

    Args:
        loop: of the tree.
        reader: waits for what the processes say, and for their ends.
        spares: how many processes to keep that wait for a part.
        on_guardian_lost: told why the guardian is not there.
        on_spare_lost: told why a spare is not there.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reader: AnyReader,
        spares: int,
        on_guardian_lost: OnLost,
        on_spare_lost: OnSpareLost,
    ) -> None:
        self._loop = loop
        self._reader = reader
        self._alive: set[ProcessLife] = set()
        self._starting: set[ProcessLife] = set()
        with contextlib.ExitStack() as undo:
            self._company = Company(OomWitness(), Scribe(loop), self._settled)
            undo.callback(self._company.scribe.close)
            self._spawner = Spawner(loop, self._abandon)
            undo.pop_all()
        self._guard = Guard(loop, reader, self._spawner.do, on_guardian_lost)
        self._spares = Spares(spares, loop, self._begin, on_spare_lost)

    @property
    def spares(self) -> int:
        """How many processes wait for a part."""
        return self._spares.ready

    def launch(self, part: Part, lanes: int, listener: LifeListener) -> ProcessLife:
        """Begin a life; what becomes of it is told to `listener`, never before this returns.

        Raises:
            OSError: the system has no descriptor or no memory left for it. Nothing was begun.
        """
        self._company.oom.look()
        spare = self._spares.take(part, lanes)
        life = self._life_on(spare, part, listener) if spare is not None else self._fresh(part, lanes, listener)
        if spare is not None:
            life.on_untaken = lambda why: self._replace(life, part.path, lanes, why)
            self._loop.call_later(SPARE_PATIENCE, life.look_if_taken)
        self._alive.add(life)
        self._starting.add(life)
        return life

    def _fresh(self, part: Part, lanes: int, listener: LifeListener) -> ProcessLife:
        player = self._make(part.path, lanes)
        try:
            life = ProcessLife(player, part, listener, self._company)
        except BaseException:
            player.discard()
            raise
        self._spawner.begin(player)
        return life

    def _life_on(self, spare: Player, part: Part, listener: LifeListener) -> ProcessLife:
        try:
            return ProcessLife(spare, part, listener, self._company)
        except BaseException as error:
            self._spares.reject(spare, f"it could not be given its part: {error}")
            raise

    def _replace(self, life: ProcessLife, name: str, lanes: int, why: str) -> None:
        """The spare of a life does not run: the life begins with a fresh process instead."""
        try:
            player = self._make(name, lanes)
        except OSError:  # the spare has to do, or the life does not become ready
            return
        self._spares.reject(life.begin_again(player), why)
        self._spawner.begin(player)

    def wind_down(self) -> None:
        """No life is expected to begin any more."""
        self._spares.dismiss()

    async def close(self) -> None:
        """End the spares, the guardian, and the threads that spawn and that read output. Every life must be over."""
        await self._spares.close()
        await self._guard.close()
        self._spawner.close()
        self._company.scribe.close()

    def _abandon(self) -> None:
        """The loop was closed without us: kill and bury everybody. Runs in the spawner's thread."""
        for life in self._alive:
            life.abandon()
        self._spares.abandon()
        self._company.scribe.abandon()
        self._guard.abandon()

    def _begin(self, name: str, lanes: int) -> Player:
        player = self._make(name, lanes)
        self._spawner.begin(player)
        return player

    def _make(self, name: str, lanes: int) -> Player:
        return Player(self._loop, self._reader, self._guard, name, lanes)

    def _settled(self, life: ProcessLife) -> None:
        """A life has become ready, or is over."""
        self._starting.discard(life)
        if life.over:
            self._alive.discard(life)
        if not self._starting:
            self._spares.refill_soon()
