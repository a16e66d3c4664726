"""Lines: what lives on other machines have written, on its way to the log. Runs on the loop's thread.

As with the output of this machine, the loop logs a little at a time, and of each life a bounded number of lines waits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

from actors.wire.codec import encode
from supervisor.cluster.link import wire
from supervisor.cluster.remote_life import RemoteLife
from supervisor.io.output_reader import LAST_SLICE, SLICE, Paced

MOST: Final = 10_000  # lines of one life that wait; what comes then is dropped and counted


class Lines:
    """The lines of one tree's lives on other machines."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._paced = Paced(loop, self._pass_on)
        self._waiting: Counter[RemoteLife] = Counter()
        self._dropped: dict[RemoteLife, wire.Dropped] = {}

    def add(self, life: RemoteLife, said: wire.Wrote | wire.Dropped) -> None:
        """A life wrote a line, or lost some."""
        if self._waiting[life] >= MOST:
            self._drop(life, said)
            return
        self._waiting[life] += 1
        self._paced.waiting.append((life, said))
        if not self._paced.scheduled:
            self._paced.schedule()

    def before_an_end(self) -> None:
        """A life is about to end: its last lines come before, unless they are many."""
        self._paced.write_down(SLICE)

    def close(self) -> None:
        """Log what waits, within LAST_SLICE."""
        self._paced.write_down(LAST_SLICE)
        for life, said in self._paced.waiting:
            self._drop(life, said)
        self._paced.waiting.clear()
        for life, dropped in self._dropped.items():
            life.pass_on(dropped)

    def _drop(self, life: RemoteLife, said: wire.Wrote | wire.Dropped) -> None:
        lines, size = (said.lines, said.size) if isinstance(said, wire.Dropped) else (1, len(encode(said.record)))
        before = self._dropped.get(life)
        if before is not None:
            lines, size = lines + before.lines, size + before.size
        self._dropped[life] = wire.Dropped(said.number, said.life, lines, size)

    def _pass_on(self, item: tuple[RemoteLife, wire.Wrote | wire.Dropped]) -> None:
        life, said = item
        life.pass_on(said)
        self._waiting[life] -= 1
        if not self._waiting[life]:
            del self._waiting[life]
            if (dropped := self._dropped.pop(life, None)) is not None:
                life.pass_on(dropped)
