"""Task stacks: where the asyncio tasks of this process wait, in the form in which faulthandler shows threads.

A thread's stack shows of an event loop only that it waits. Where each task does is in the coroutines that it awaits.

Without the interpreter's lock (a free-threaded Python) the interpreter may end when a coroutine is looked at that runs
at that moment in another thread. So there the loop writes the stacks itself. One that does not come to it is held up by
one task, while the others stand still.

Runs in the actor's process: in its heartbeat thread, or in its main thread when a signal asks for the stacks.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from _thread import get_ident  # once for all: a module of the actor's may have gevent replace it later
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

from actors.process.diagnostics import has_lock, show_also

PATIENCE: Final = 0.08  # seconds that a loop has to write the stacks itself
_MOST_FRAMES: Final = 100  # of one task
_MOST_TASKS: Final = 100
_WRAPPERS: Final = ("async_generator_asend", "async_generator_athrow", "coroutine_wrapper")

_loops: Final[list[tuple[Any, int]]] = []  # the event loop that serves the actor, once there is one, and its thread


def show_tasks_of(loop: object) -> None:
    """From now on the stacks of this process show the tasks of this event loop, which runs in this thread."""
    _loops[:] = [(loop, get_ident())]
    show_also(write_task_stacks)


def write_task_stacks(fd: int) -> None:
    """Write the stacks of all tasks, handlers and hooks first; what does not fit is left out."""
    for loop, thread in _loops:
        if thread == get_ident() or has_lock() or not _written_there(loop, fd):
            _write(loop, fd)


def _written_there(loop: Any, fd: int) -> bool:
    """Let the loop write the stacks in its own thread; False where it does not come to it."""
    written = threading.Event()

    def write() -> None:
        _write(loop, fd)
        written.set()

    try:
        turn = loop.call_soon_threadsafe(write)
    except RuntimeError:  # it is closed
        return False
    if written.wait(PATIENCE):
        return True
    turn.cancel()
    return False


def _write(loop: Any, fd: int) -> None:
    with contextlib.suppress(Exception):  # the text is full; tasks change all the time, and may be of any class
        for text in stacks_of_tasks(loop):
            os.write(fd, text.encode("utf-8", "backslashreplace"))  # a file name may be no UTF-8


def stacks_of_tasks(loop: object) -> Iterator[str]:
    """The stack of each task of an event loop, handlers and hooks first."""
    tasks = sorted(sys.modules["asyncio"].all_tasks(loop), key=_rank)
    for task in tasks[:_MOST_TASKS]:
        lines = [frame_line(frame) for frame in awaited_frames(task.get_coro())]
        yield "\n".join(["", f"Task {task.get_name()} (most recent call first):", *lines[::-1], ""])


def awaited_frames(awaited: object) -> Iterator[FrameType]:
    """The frames of a suspended coroutine and of what it awaits in turn, outermost first."""
    for _ in range(_MOST_FRAMES):
        frame = _first(awaited, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None:
            yield frame
        if type(awaited).__name__ in _WRAPPERS:  # they do not show what they wrap
            awaited = next((one for one in gc.get_referents(awaited) if _first(one, "cr_code", "ag_code")), None)
        else:
            awaited = _first(awaited, "cr_await", "gi_yieldfrom", "ag_await")
        if awaited is None:
            return


def _first(thing: object, *names: str) -> Any:
    return next((value for name in names if (value := getattr(thing, name, None)) is not None), None)


def _rank(task: Any) -> tuple[bool, str]:
    """The library's own tasks run handlers and hooks."""
    code = getattr(task.get_coro(), "cr_code", None)
    ours = code is not None and f"actors{os.sep}child{os.sep}" in code.co_filename
    return not ours, task.get_name()


def frame_line(frame: FrameType) -> str:
    """A frame as faulthandler shows it."""
    code = frame.f_code
    return f'  File "{code.co_filename}", line {frame.f_lineno} in {code.co_name}'
