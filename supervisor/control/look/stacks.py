"""Stacks: where the code of a child is now, without stopping or disturbing it.

The process of an actor or function has a thread of its own that answers (`actors.process.heartbeat`). While Python code
runs there, it writes the stacks of all threads and tasks, under the interpreter's lock. Where C code holds that lock,
faulthandler writes them in the same thread. No other thread gets a signal, so no system call of the actor's is cut
short.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from supervisor.control.frames import ProcessStacks
from supervisor.control.look.words import seconds
from supervisor.core.rules.states import ChildState
from supervisor.errors import SupervisorBusy
from supervisor.kinds.function import FunctionChild
from supervisor.kinds.task import TaskChild
from supervisor.monitors.examination import Examination
from supervisor.ports.life import Inspection
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.child import Child
from supervisor.tree.subtree import Subtree

HEARTBEAT_TIME: Final = 1.0  # seconds in which the interpreter answers, also on a busy machine; then C code is asked
PATIENCE: Final = 3.0  # seconds in all
_SILENT: Final = (
    f"it wrote no stacks within {PATIENCE:g} s: its process is stopped, waits in the kernel (state D), or gets no "
    f"processor"
)


class StackTaker:
    """Takes the stacks of processes, each once at a time: those who ask together get the same."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._under_way: dict[Inspection, asyncio.Future[str]] = {}

    async def take(self, path: str, child: Child, state: ChildState) -> ProcessStacks:
        """The stacks of one child, which is in that state.

        Raises:
            SupervisorBusy: it has none: it does not run, or it is no Python code of this tree.
        """
        match child:
            case TaskChild():
                return ProcessStacks(path, None, child.stacks_now() or _none(path))
            case ActorChild() if child.pid is not None and child.life is not None:
                stacks = await self._of(child.life) or _SILENT
                return ProcessStacks(path, child.pid, stacks, child.node, self._doing(child, state))
            case FunctionChild() if child.pid is not None and child.life is not None:
                return ProcessStacks(path, child.pid, await self._of(child.life) or _SILENT)
            case ActorChild() | FunctionChild():
                return ProcessStacks(path, None, _none(path))
            case Subtree():
                raise SupervisorBusy(f"{path} is a supervisor; name one of its children", answer="refused")
            case _:
                why = f"{path} is a program, and only its own tools know its stacks; its pid is {child_pid(child)}"
                raise SupervisorBusy(why, answer="refused")

    @staticmethod
    def _doing(child: ActorChild, state: ChildState) -> str:
        message, since = child.handling()
        if state is ChildState.STOPPING and message is None:
            return "stops"
        if not child.serves:
            return "takes no messages yet"
        if message is None or since is None:
            return "waits for messages"
        return f"handles {message} for {seconds(max(0.0, (time.monotonic_ns() - since) / 1e9))}"

    async def _of(self, life: Inspection) -> str:
        found = self._under_way.get(life)
        if found is None:
            found = self._under_way[life] = self._loop.create_future()
            self._examine(life, found)
        return await asyncio.shield(found)

    def _examine(self, life: Inspection, found: asyncio.Future[str]) -> None:
        def then() -> None:
            del self._under_way[life]
            if not found.done():
                found.set_result(examination.stacks or "")

        examination = Examination(
            life, self._loop, heartbeat=True, then=then, heartbeat_time=HEARTBEAT_TIME, patience=PATIENCE
        )


def child_pid(child: Child) -> int | None:
    """The process id of a child, None when it has no process."""
    pid: int | None = getattr(child, "pid", None)
    return pid


def _none(path: str) -> str:
    return f"it does not run now; why: actorctl why {path}"
