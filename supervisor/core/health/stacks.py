"""Stacks: which of the stacks that a process has written are the actor's, and where it waits. Pure."""

from __future__ import annotations

import re
from typing import Final

_FRAME: Final = re.compile(r'^  File "(.*)", line (\d+),? in (.*)$', re.MULTILINE)
_HEARTBEAT: Final = "actors/process/heartbeat.py"
_OWN: Final = "/actors/child/"  # folder of the code that calls hooks and handlers
_BELOW: Final = re.compile(
    r"/actors/(?:child|jobs)/|/(?:multiprocessing|asyncio)/\w+\.py$|^<string>$"
)  # what calls _OWN
_INSTALLED: Final = re.compile(r"/(?:site|dist)-packages/")
_DEBUGGER: Final = re.compile(r"(?:^|/)(?:bdb|pdb|_?pydevd?[\w-]*)(?:\.py|/)|/(?:debugpy|IPython/core/debugger\.py)")


def of_the_actor(stacks: str) -> str:
    """The stacks without that of the heartbeat thread."""
    return "\n\n".join(stack for stack in stacks.split("\n\n") if _HEARTBEAT not in stack)


def of_the_fault(stacks: str) -> str:
    """What was written at a fatal fault without the heartbeat thread, unless the fault is in that."""
    parts = stacks.split("\n\n")
    return "\n\n".join(part for part in parts if _HEARTBEAT not in part or not part.startswith("Thread "))


def without_their_start(stacks: str) -> str:
    """The stacks without the frames that every actor has: how its process was started, and what called the handler."""
    return "\n\n".join(map(_without_its_start, stacks.split("\n\n")))


def _without_its_start(stack: str) -> str:
    """One stack; as it is where all of it is the library's, since a fault is in the library then."""
    lines = stack.split("\n")
    frames = [(at, found[1]) for at, line in enumerate(lines) if (found := _FRAME.match(line))]
    kept = len(frames)
    while kept and _BELOW.search(frames[kept - 1][1]):
        kept -= 1
    cut = frames[kept:]
    if not (kept and any(_OWN in file for _, file in cut)):
        return stack
    rest = [line for line in lines[cut[0][0] :] if not line.startswith("  ")]
    count = "1 frame" if len(cut) == 1 else f"{len(cut)} frames"
    return "\n".join([*lines[: cut[0][0]], f"  ... {count} of the library that called it", *rest])


def _far(file: str, libraries: str) -> int:
    """How far a file is from the actor's own code: what is installed may be that, too; what has no file is not."""
    if file.startswith("<"):  # as `<frozen importlib._bootstrap>`
        return 3
    if file.startswith(libraries) or _OWN in file:
        return 2
    return 1 if _INSTALLED.search(file) else 0


def in_debugger(stacks: str) -> bool:
    """Whether the thread that calls handlers stands in a debugger of Python's, such as pdb and debugpy.

    A debugger below that code only started the process.
    """
    threads = [part for part in of_the_actor(stacks).strip().split("\n\n") if not part.lstrip().startswith("Task ")]
    inner, own, _ = threads[-1].partition(_OWN) if threads else ("", "", "")
    return bool(own) and any(_DEBUGGER.search(file) for file, _, _ in _FRAME.findall(inner))


def waiting_place(stacks: str, libraries: str) -> str:
    """Where it waits, `connect (shop/db.py:12)`: as near to its own code as there is; empty without stacks.

    Args:
        stacks: of threads, the main thread last, and of tasks, the most important first; the inner frames first.
        libraries: the folder of the standard library and of what is installed.
    """
    sections = of_the_actor(stacks).strip().split("\n\n")
    tasks = [section for section in sections if section.startswith("Task ")]
    threads = [section for section in sections if section not in tasks]
    frames = [frame for section in (*tasks, *threads[::-1]) for frame in _FRAME.findall(section)]
    rank = {frame: _far(frame[0], libraries) for frame in frames}
    file, line, function = min(rank, key=rank.__getitem__, default=("", "", ""))
    return f"{function} ({'/'.join(file.split('/')[-2:])}:{line})" if file else ""
