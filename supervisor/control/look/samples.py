"""Samples: memory and descriptors of each process, queue and handled messages of each actor, every two seconds.

What a rate is made of, and what shows that a queue or a process grows. Only where there is a control socket.

Runs on the loop's thread, in slices.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator, Iterator
from typing import Any, Final

import msgspec

from supervisor.control.look.slices import in_slices
from supervisor.core.rules.states import ChildState
from supervisor.kinds.process_child import ProcessChild
from supervisor.mailbox.mailbox import Mailbox
from supervisor.system.procfs import descriptor_count
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.engine import Engine
from supervisor.tree.subtree import Subtree

Process = ActorChild | ProcessChild[Any]

PERIOD: Final = 2.0  # seconds between two samples of a child
WINDOW: Final = 30  # samples: one minute


class Sample(msgspec.Struct, frozen=True):
    """One child at one moment.

    Attributes:
        at: the loop's time.
        depth: messages that wait or are being handled, in the queue that it takes from; 0 where it has none.
        ended: messages of that queue that have ended; 0 where it has none.
        rss: bytes of resident memory, 0 where that is not known.
        descriptors: that are open, 0 where that is not known.
    """

    at: float
    depth: int
    ended: int
    rss: int
    descriptors: int = 0


class Trend(msgspec.Struct, frozen=True):
    """What the samples of one life say.

    Attributes:
        seconds: between the first and the last sample of the window.
        handled: messages that ended in the window.
        arrived: messages that came in the window.
        rss_began: memory at the first sample of the life.
        rss_before: memory at the first sample of the window.
        rss: memory now.
        life_seconds: since the first sample of the life.
        descriptors_began: as `rss_began`.
        descriptors_before: as `rss_before`.
        descriptors: as `rss`.
    """

    seconds: float
    handled: int
    arrived: int
    rss_began: int
    rss_before: int
    rss: int
    life_seconds: float
    descriptors_began: int = 0
    descriptors_before: int = 0
    descriptors: int = 0


class Samples:
    """Samples the processes of one tree until it is closed."""

    def __init__(self, root: Engine) -> None:
        self._root = root
        self._windows: dict[str, deque[Sample]] = {}  # by path
        self._began: dict[str, tuple[int, Sample]] = {}  # pid and first sample of the current life
        self._task = root.tree.loop.create_task(self._sample())

    def close(self) -> None:
        """Stop sampling."""
        self._task.cancel()

    def trend(self, path: str) -> Trend | None:
        """What the samples of the current life of a child say; None with fewer than two."""
        window, began = self._windows.get(path), self._began.get(path)
        if window is None or len(window) < 2 or began is None:
            return None
        first, last = window[0], window[-1]
        handled = last.ended - first.ended
        return Trend(
            seconds=last.at - first.at,
            handled=handled,
            arrived=handled + last.depth - first.depth,
            rss_began=began[1].rss,
            rss_before=first.rss,
            rss=last.rss,
            life_seconds=last.at - began[1].at,
            descriptors_began=began[1].descriptors,
            descriptors_before=first.descriptors,
            descriptors=last.descriptors,
        )

    async def _sample(self) -> None:
        while True:
            await in_slices(self._look_at_all())
            await asyncio.sleep(PERIOD)

    def _look_at_all(self) -> Generator[None, None, None]:
        """Sample each process, one in each step, and forget those that are gone."""
        seen = set()
        for name, child, runs in tuple(_processes(self._root)):
            seen.add(child.path)
            self._look(name, child, child.pid if runs else None)
            yield
        for path in self._windows.keys() - seen:
            del self._windows[path]
            self._began.pop(path, None)

    def _look(self, name: str, child: Process, pid: int | None) -> None:
        """Sample one process; while it starts it has no samples."""
        if pid is None:
            self._windows[child.path] = deque(maxlen=WINDOW)
            return
        now, depth, ended = self._root.tree.loop.time(), 0, 0
        if isinstance(child, ActorChild):
            depth, ended = _progress(name, child.mailbox)
        there = isinstance(child, ActorChild) and child.node is not None  # on another machine
        sample = Sample(now, depth, ended, child.resident or 0, 0 if there else descriptor_count(pid) or 0)
        began = self._began.get(child.path)
        if began is None or began[0] != pid:
            self._windows[child.path] = deque(maxlen=WINDOW)
            self._began[child.path] = pid, sample
        self._windows[child.path].append(sample)


def _progress(name: str, mailbox: Mailbox) -> tuple[int, int]:
    """How many messages are in the queue of a process, and how many of it have ended."""
    consumers = mailbox.consumers
    if consumers.shared_queue is None and name in consumers.names:  # it has one of its own
        return consumers.queue_of(name).unsettled, consumers.handled(name)
    return mailbox.depth, sum(mailbox.fates.values())


def _processes(engine: Engine) -> Iterator[tuple[str, Process, bool]]:
    """All children below a supervisor that are processes: the name, and whether it runs."""
    for name, child in tuple(engine.children.items()):
        if isinstance(child, ActorChild | ProcessChild):
            yield name, child, engine.machine.state(name) is ChildState.RUNNING
        elif isinstance(child, Subtree):
            yield from _processes(child.engine)
