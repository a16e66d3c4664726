"""Hops: the modules and calls in the daemon that a message, a death, a start and a stop pass through.

python -m benchmarks.hops

Calls of Python functions of `actors` and `supervisor`, counted with `sys.setprofile` in all threads of the daemon, with
`reading="loop"`. A walk begins with the call (of a death: with SIGKILL) and ends when the daemon has settled it: of a
death, when its report is delivered and the launcher gets the command to start the next life. A recovery goes on from
there: the process is started, the ask that waited for it is sent, and its reply is there. A start and a stop last as
long as `start_child` and `terminate_child`, a job as long as `run`, a durable tell until its actor has settled it. A
durable actor has a tree of its own, since a store changes how every process of its tree is started.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec

import supervisor
from actors import Actor, ActorRef, Jobs, Message, handles, job
from supervisor import ChildSnapshot, ChildSpec, Intensity, Supervisor
from supervisor.store import SQLiteStore

ROOT = Path(supervisor.__file__).parents[1]  # where both packages are, installed or not
PACKAGES = tuple(f"{ROOT / package}{os.sep}" for package in ("actors", "supervisor"))
WARM = 50  # asks before the first walk
TELLS = 100
LAUNCH = ROOT / "supervisor/process/launcher.py", "launch"
TIMEOUT = 60.0  # seconds; longer than all walks together, so that no timer is part of one


class Ask(Message[int]):
    n: int


class Tell(Message[None]):
    n: int


class Walker(Actor):
    def __init__(self) -> None:
        self._told = 0

    @handles
    def answer(self, message: Ask) -> int:
        return message.n

    @handles
    def note(self, message: Tell) -> None:
        self._told += message.n


class Ledger(Walker):
    def save(self) -> int:
        return self._told

    def load(self, state: int) -> None:
        self._told = state


@job
def double(number: int) -> int:
    return 2 * number


class Walk(msgspec.Struct, frozen=True):
    """What one walk passed through.

    Attributes:
        what: which walk.
        modules: of the daemon, in the order in which it came to them.
        calls: of Python functions in these modules.
        moves: calls that came from another module than the call before.
    """

    what: str
    modules: tuple[str, ...]
    calls: int
    moves: int


async def walks() -> dict[str, Walk]:
    """One of each, on an actor that is idle."""
    with tempfile.TemporaryDirectory() as folder:
        return await _plain() | await _durable(Path(folder))


async def _plain() -> dict[str, Walk]:
    """An ask, a tell, a batch of tells, a death, a recovery, a start, a stop and a job."""
    found = {}
    spec = ChildSpec(Walker, name="walker")
    async with Supervisor(spec, intensity=Intensity(3, 5.0), reading="loop", spares=0) as root:
        walker = root["walker"]
        for number in range(WARM):
            await walker.ask(Ask(number), timeout=TIMEOUT)
        with _counting() as counted:
            await walker.ask(Ask(1), timeout=TIMEOUT)
        found["ask"] = counted.walk("one ask")
        with _counting() as counted:
            await walker.tell(Tell(1))
            await _settled(root, WARM + 2)
        found["tell"] = counted.walk("one tell")
        with _counting() as counted:
            for number in range(TELLS):
                await walker.tell(Tell(number))
            await _settled(root, WARM + 2 + TELLS)
        found["tells"] = counted.walk(f"{TELLS} tells in a row")
        found["recovery"], found["death"] = await _death(root, walker)
        with _counting() as counted:
            await root.start_child(ChildSpec(Walker, name="late"))
        found["start"] = counted.walk("one start")
        with _counting() as counted:
            await root.terminate_child("late")
        found["stop"] = counted.walk("one stop")
        await root.start_child(ChildSpec(Jobs, name="pool"))
        pool = root["pool"]
        for number in range(WARM):
            await pool.run(double, number, timeout=TIMEOUT)
        with _counting() as counted:
            await pool.run(double, 1, timeout=TIMEOUT)
        found["job"] = counted.walk("one job")
    return found


async def _durable(folder: Path) -> dict[str, Walk]:
    """A tell to an actor whose messages and state are stored."""
    spec = ChildSpec(Ledger, name="walker", durable=True)
    async with Supervisor(spec, store=SQLiteStore(folder / "hops.db"), reading="loop", spares=0) as root:
        walker = root["walker"]
        for number in range(WARM):
            await walker.ask(Ask(number), timeout=TIMEOUT)
        with _counting() as counted:
            await walker.tell(Tell(1))
            await _settled(root, WARM + 1)
    return {"durable": counted.walk("one durable tell")}


async def _death(root: Supervisor, walker: ActorRef) -> tuple[Walk, Walk]:
    pid = _walker(root).pid
    assert pid is not None
    with _counting() as counted:
        os.kill(pid, signal.SIGKILL)
        await walker.ask(Ask(1), timeout=TIMEOUT)
    recovery = counted.walk("one recovery")
    pid = _walker(root).pid
    assert pid is not None
    with _counting(until=LAUNCH) as counted:
        os.kill(pid, signal.SIGKILL)
        while not counted.over:  # noqa: ASYNC110 - an event would be part of the walk
            await asyncio.sleep(0.001)
    return recovery, counted.walk("one death")


async def _settled(root: Supervisor, count: int) -> None:
    """Wait until so many messages are handled; looking is not part of the walk."""
    profile = sys.getprofile()
    while True:
        sys.setprofile(None)
        handled = _walker(root).fates.get("handled", 0)
        sys.setprofile(profile)
        if handled >= count:
            return
        await asyncio.sleep(0.001)


def _walker(root: Supervisor) -> ChildSnapshot:
    child = next(child for child in root.snapshot().children if child.path == f"{root.path}/walker")
    assert isinstance(child, ChildSnapshot)
    return child


class _Counted:
    def __init__(self, until: tuple[Path, str] | None) -> None:
        self.calls: Counter[str] = Counter()  # by module, in the order of their first calls
        self.moves = 0
        self.over = False
        self._last = ""
        self._until = None if until is None else (str(until[0]), until[1])

    def walk(self, what: str) -> Walk:
        return Walk(what, tuple(self.calls), self.calls.total(), self.moves)

    def profile(self, frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(PACKAGES) and not self.over:
            self.over = (path, frame.f_code.co_name) == self._until
            module = Path(path).relative_to(ROOT).as_posix()
            self.calls[module] += 1
            self.moves += module != self._last
            self._last = module


@contextmanager
def _counting(until: tuple[Path, str] | None = None) -> Iterator[_Counted]:
    counted = _Counted(until)
    of_all = getattr(threading, "setprofile_all_threads", threading.setprofile)  # 3.11 counts new threads only
    of_all(counted.profile)
    sys.setprofile(counted.profile)
    try:
        yield counted
    finally:
        sys.setprofile(None)
        of_all(None)


def main() -> None:
    logging.disable()
    print("| | modules | calls | moves |\n|---|---|---|---|")
    found = asyncio.run(walks())
    for walk in found.values():
        print(f"| {walk.what} | {len(walk.modules)} | {walk.calls} | {walk.moves} |")
    for walk in found.values():
        print(f"\n{walk.what}: {', '.join(walk.modules)}")


if __name__ == "__main__":
    main()
