"""Phases of a tree in which one call of the operating system fails, and what must be true afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Literal

from supervisor import Backoff, ChildExited, ChildSpec, CommandSpec, DeadLetter, FunctionSpec, Intensity, Supervisor
from supervisor.core.rules.states import ChildState
from supervisor.specs import AnySpec
from tests.support.descent import children_of
from tests.support.swept import Count, Counting, Echo, Stubborn, work
from tests.support.waiting import until

WORKS, ERROR, FAILED = "works", "told error", "failed start"
DEADLINE = 60.0  # seconds for everything that must end
LARGE = bytes(600_000)  # more than a channel holds
PACE = 0.02  # seconds between two rounds of a sender
AT_ONCE = Backoff(initial=0.02, cap=0.02, jitter=0.0)
ACTORS = ("a", "b")  # they get messages all the time

Held = tuple[int, int, int]


def held() -> Held:
    """What this process has now, in numbers: threads, descriptors, children."""
    return threading.active_count(), sum(1 for _ in os.scandir("/proc/self/fd")), len(children_of(os.getpid()))


class Sender:
    """Tells and asks one actor, and knows what it told."""

    def __init__(self, name: str, book: Path) -> None:
        self.name = name
        self.book = book
        self.sent: set[int] = set()
        self.dead: set[int] = set()
        self._numbers = count(1)
        self._read = 0
        book.touch()

    async def send(self, root: Supervisor, over: asyncio.Event, errors: list[object]) -> None:
        """Send until it is over; every error is noted, and what it refused counts as not sent."""
        ballast = (b"", b"", LARGE)
        rounds = 0
        while not over.is_set() or rounds < len(ballast):
            for tell in (root[self.name].tell, root[self.name].tell_nowait):
                number = next(self._numbers)
                self.sent.add(number)
                try:
                    told = tell(Count(number, ballast[rounds % len(ballast)]))
                    if told is not None:
                        await told
                except Exception as error:
                    self.sent.discard(number)
                    errors.append(error)
            try:
                await root[self.name].ask(Echo(ballast[rounds % len(ballast)]), timeout=None)
            except Exception as error:
                errors.append(error)
            rounds += 1
            await asyncio.sleep(PACE)

    def judge(self) -> None:
        """Each tell since the last time was handled once, or is a dead letter."""
        with self.book.open() as book:
            book.seek(self._read)
            handled = Counter(int(line) for line in book)
            self._read = book.tell()
        doubled = [number for number, times in handled.items() if times > 1]
        lost = self.sent - handled.keys() - self.dead
        assert not doubled, f"{self.name} has handled twice: {sorted(doubled)[:5]}"
        assert not lost, f"{self.name} has lost {len(lost)} tells: {sorted(lost)[:5]}"
        self.sent.clear()
        self.dead.clear()


class Tree:
    """A tree under messages, in whose phases calls fail.

    Args:
        folder: for the books of its actors.
        extra: a child beside the two: "pool", "stubborn", "function" or "command".
        spares: how many it keeps.
        reading: as in `Supervisor`.
    """

    def __init__(
        self, folder: Path, *, extra: str | None = None, spares: int = 0, reading: Literal["thread", "loop"] = "thread"
    ) -> None:
        self.errors: list[object] = []
        self.unstarted = False
        self._folder = folder
        self._extra = extra
        self._spares = spares
        self.senders = [Sender(name, folder / name) for name in ACTORS]
        for sender in self.senders:
            sender.book.write_text("")
        specs: list[AnySpec] = [self.spec(name) for name in ACTORS]
        if extra == "pool":
            specs.append(self.spec("p", size=1))
        elif extra == "stubborn":
            specs.append(self.spec("s", Stubborn, shutdown=0.05))
        elif extra == "function":
            specs.append(FunctionSpec(work, name="f", backoff=AT_ONCE, start_timeout=20.0))
        elif extra == "command":
            specs.append(CommandSpec(["sleep", "3600"], name="f", backoff=AT_ONCE, start_timeout=20.0))
        self.root = Supervisor(
            *specs, intensity=Intensity.unlimited(), spares=spares, start="parallel", reading=reading
        )
        self._watching = [asyncio.create_task(self._watch()), asyncio.create_task(self._collect())]

    def spec(self, name: str, actor=Counting, **options) -> ChildSpec:
        """The spec of a child."""
        return ChildSpec(
            actor, args=(str(self._folder / name),), name=name, backoff=AT_ONCE, start_timeout=20.0, **options
        )

    async def _watch(self) -> None:
        async for event in self.root.events():
            if isinstance(event, ChildExited):
                kind = event.report.reason.kind.value
                self.unstarted = self.unstarted or kind == "unstarted"
                if "Errno" in event.report.reason.detail or kind == "crashed":
                    self.errors.append(event.report)

    async def _collect(self) -> None:
        by_path = {f"/root/{sender.name}": sender for sender in self.senders}
        async for letter in self.root.dead_letters():
            if isinstance(letter, DeadLetter) and isinstance(letter.message, Count) and letter.actor in by_path:
                by_path[letter.actor].dead.add(letter.message.number)

    def forget(self) -> None:
        """Stop watching."""
        for task in self._watching:
            task.cancel()

    @contextlib.asynccontextmanager
    async def messages(self):
        """Messages go to both actors as long as this is open; all of them end, and none is lost or doubled."""
        over = asyncio.Event()
        sending = [asyncio.create_task(sender.send(self.root, over, self.errors)) for sender in self.senders]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*sending)

    def judge(self) -> None:
        """Every tell has its fate."""
        for sender in self.senders:
            sender.judge()

    def outcome(self) -> str:
        """How the run since the last outcome ended."""
        ended = FAILED if self.unstarted else ERROR if self.errors else WORKS
        self.errors.clear()
        self.unstarted = False
        return ended

    async def in_order(self) -> None:
        """Bring it back to what it was at its start: every child runs and answers."""
        names = {child.name for child in self.root.which_children()}
        if "c" in names:
            await self.root.terminate_child("c")
            if any(child.name == "c" for child in self.root.which_children()):
                await self.root.delete_child("c")
        if self._extra == "pool":
            await self.root.resize("p", 1)
            await self.root["p"].ask(Echo(), timeout=None)
        if self._extra == "stubborn":
            settled = {ChildState.RUNNING, ChildState.STOPPED, ChildState.EXITED}
            await until(lambda: self.state("s") in settled, "the end of a child's change")
            if self.state("s") is not ChildState.RUNNING:
                await self.root.restart_child("s")
            await self.root["s"].ask(Echo(), timeout=None)
        for name in ACTORS:
            await self.root[name].ask(Echo(), timeout=None)
        await until(lambda: all(child.state is ChildState.RUNNING for child in self.root.which_children()), "all run")
        if self._spares:
            await until(lambda: self.root.snapshot().spares == self._spares, "a spare")

    async def holds_no_more_than(self, before: Held) -> None:
        """Nothing is left behind, and the helper process is there again."""

        def as_before() -> bool:
            threads, descriptors, children = held()
            return threads == before[0] and descriptors <= before[1] and children == before[2]

        with contextlib.suppress(AssertionError):
            await until(as_before, "")
            return
        raise AssertionError(f"threads, descriptors, children: {held()}, before: {before}")

    def pid(self, name: str) -> int | None:
        """The process of a child."""
        return next(child.pid for child in self.root.which_children() if child.name == name)

    def state(self, name: str) -> ChildState:
        """The state of a child."""
        return next(child.state for child in self.root.which_children() if child.name == name)


async def restart(tree: Tree) -> None:
    """A process is killed; its next life is started."""
    before = tree.pid("a")
    os.kill(before, signal.SIGKILL)
    await until(lambda: tree.pid("a") not in {None, before}, "a restart")
    await tree.root["a"].ask(Echo(), timeout=None)


async def restart_lone(tree: Tree) -> None:
    """A function's or a command's process is killed; its next life is started."""
    before = tree.pid("f")
    os.kill(before, signal.SIGKILL)
    await until(lambda: tree.pid("f") not in {None, before}, "a restart")
    await until(lambda: tree.state("f") is ChildState.RUNNING, "its readiness")


async def start_child(tree: Tree) -> None:
    """A dynamic child is started."""
    await tree.root.start_child(tree.spec("c"))
    await tree.root["c"].ask(Echo(), timeout=None)


async def resize(tree: Tree) -> None:
    """A pool grows and shrinks."""
    await tree.root.resize("p", 2)
    await tree.root["p"].ask(Echo(), timeout=None)
    await tree.root.resize("p", 1)


async def recycle(tree: Tree) -> None:
    """A process is replaced, and its successor serves."""
    await tree.root.recycle("a")


async def spare(tree: Tree) -> None:
    """A spare dies, another one is made, and a life is started on it."""
    (first,) = tree.root._launcher._spares._spares
    os.kill(first.worker.pid, signal.SIGKILL)
    await until(
        lambda: tree.root.snapshot().spares == 1 and first not in tree.root._launcher._spares._spares, "a spare"
    )
    await restart(tree)


async def forced_kill(tree: Tree) -> None:
    """A child that ignores the request to stop is killed, and started again."""
    await tree.root.terminate_child("s")
    await tree.root.restart_child("s")


async def messages(tree: Tree) -> None:
    """Nothing but messages, small ones and large ones, in both directions."""


LIVING = {
    "messages": (messages, {}),
    "restart": (restart, {}),
    "reading=loop": (restart, {"reading": "loop"}),
    "function": (restart_lone, {"extra": "function"}),
    "command": (restart_lone, {"extra": "command"}),
    "start_child": (start_child, {}),
    "resize": (resize, {"extra": "pool"}),
    "recycle": (recycle, {}),
    "spare refill": (spare, {"spares": 1}),
    "forced kill": (forced_kill, {"extra": "stubborn"}),
}
"""Phases of a running tree, and what it has beside its two actors."""

AROUND = ("first start", "stop")
"""Phases that a tree has once."""
