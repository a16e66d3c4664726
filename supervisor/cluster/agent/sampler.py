"""Sampler: sends the daemon what lives are doing, as long as that changes. Runs on the agent's loop.

A life is looked at after each news for or from it, until two samples in a row are the same. All lives and their
processes are looked at more seldom, busy or idle: memory may grow, a signal may stop a process, and one that got no
processor begins a message late.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec

from supervisor.cluster.agent.relay import RelayListener
from supervisor.cluster.link import wire
from supervisor.cluster.link.link import Link

PACE: Final = 0.02  # seconds between two looks at a life that is busy
SURVEY: Final = 0.5  # seconds between two looks at all processes
TEXT_TIME: Final = 1.5  # seconds for which the text of a life is sent after it was asked for


class Sampler:
    """Looks at the lives of one agent."""

    def __init__(self, loop: asyncio.AbstractEventLoop, link: Link) -> None:
        self._loop = loop
        self._link = link
        self._lives: dict[int, RelayListener] = {}
        self._restless: dict[int, RelayListener] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._survey_timer: asyncio.TimerHandle | None = None

    def begin(self, one: RelayListener) -> None:
        """A life has begun."""
        self._lives[one.number] = one
        if self._survey_timer is None:
            self._survey_timer = self._loop.call_later(SURVEY, self._survey)
        self.stir(one)

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
        self._lives.pop(number, None)
        self._restless.pop(number, None)

    def _look(self) -> None:
        for one in tuple(self._restless.values()):
            if not self._look_at(one):
                del self._restless[one.number]
        self._timer = self._loop.call_later(PACE, self._look) if self._restless else None

    def _look_at(self, one: RelayListener) -> bool:
        """Send what a life does if that has changed; whether it is to be looked at again soon."""
        life = one.life
        activity = life.activity()  # before the progress: a handler that begins between is in both, or in the latter
        sample = wire.Sample(one.number, life.pid, one.rings, activity, life.progress())
        before, one.last = one.last, sample
        if texts := one.text_until > self._loop.time():
            self._send(_with_process(sample, one, text=life.text()))
        elif sample != before:
            self._send(sample)
        return texts or sample != before or bool(activity.work) or life.pid is None

    def _send(self, sample: wire.Sample) -> None:
        self._link.send(msgspec.structs.replace(sample, read=time.monotonic_ns()))

    def _survey(self) -> None:
        """Look at all processes; send what has changed."""
        for one in self._lives.values():
            life = one.life
            sample = wire.Sample(one.number, life.pid, one.rings, life.activity(), life.progress())
            full = _with_process(sample, one, text=None)
            if full != one.surveyed:
                one.surveyed = full
                self._send(full)
            if sample != one.last:
                self.stir(one)
        self._survey_timer = self._loop.call_later(SURVEY, self._survey) if self._lives else None


def _with_process(sample: wire.Sample, one: RelayListener, text: str | None) -> wire.Sample:
    """The same, with what the kernel says of the process."""
    life = one.life
    return msgspec.structs.replace(
        sample, condition=life.condition(), resident=life.resident_bytes(), text=text, counts=life.counts()
    )
