"""Sampler: sends the daemon what lives are doing, as long as that changes. Runs on the agent's loop.

A life is looked at after each news for or from it, until two samples in a row are the same; where none is, nothing
wakes up.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from supervisor.cluster.agent.relay import RelayListener
from supervisor.cluster.link import wire
from supervisor.cluster.link.link import Link

PACE: Final = 0.02  # seconds between two looks at a life that is busy
SLOW: Final = 25  # looks at a life between two looks at its process in /proc
TEXT_TIME: Final = 1.5  # seconds for which the text of a life is sent after it was asked for


class Sampler:
    """Looks at the lives of one agent."""

    def __init__(self, loop: asyncio.AbstractEventLoop, link: Link) -> None:
        self._loop = loop
        self._link = link
        self._restless: dict[int, RelayListener] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._looks = 0

    def stir(self, one: RelayListener) -> None:
        """Something has happened to a life."""
        self._restless[one.number] = one
        if self._timer is None:
            self._timer = self._loop.call_later(PACE, self._look)

    def expect_text(self, one: RelayListener) -> None:
        """A life was asked for its stacks, or for a heartbeat, which brings them."""
        one.text_until = self._loop.time() + TEXT_TIME
        self.stir(one)

    def forget(self, number: int) -> None:
        """A life has ended."""
        self._restless.pop(number, None)

    def _look(self) -> None:
        self._looks += 1
        for one in tuple(self._restless.values()):
            self._look_at(one)
        self._timer = self._loop.call_later(PACE, self._look) if self._restless else None

    def _look_at(self, one: RelayListener) -> None:
        life = one.life
        texts = one.text_until > self._loop.time()
        looks = one.last is None or texts or self._looks % SLOW == one.number % SLOW
        activity = (
            life.activity()
        )  # before the progress: a handler that begins between is seen by both or by the latter
        sample = wire.Sample(
            one.number,
            life.pid,
            one.rings,
            activity,
            life.progress(),
            life.condition() if looks else None,
            life.resident_bytes() if looks else None,
            life.text() if texts else None,
            life.counts() if looks else {},
        )
        core = msgspec.structs.replace(sample, condition=None, resident=None, text=None, counts={})
        if core != one.last or looks:
            self._link.send(sample)
        if core == one.last and not texts and not activity.work and life.pid is not None and not looks:
            self._restless.pop(one.number, None)
        one.last = core
