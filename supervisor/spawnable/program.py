"""Program: whether this program can start processes that do not start it again."""

from __future__ import annotations

import contextlib
import multiprocessing.process
import os
import sys
import threading
from itertools import pairwise
from types import FrameType, ModuleType

from actors.errors import UsageError
from supervisor.spawnable.main_module import imports_main, is_frozen, is_left_alone, is_under_guard, source_of
from supervisor.spawnable.patches import check_patches


def check_program(*, needs_main: bool) -> None:
    """Check that this program can start processes; `needs_main` where one of them imports its main module.

    Raises:
        UsageError: it cannot.
    """
    check_first_start()
    check_patches()
    if needs_main:
        check_main_guard()


def check_first_start() -> None:
    """Check that the user meant this process to start the program.

    Runs in the daemon, or in what would become one.

    Raises:
        UsageError: multiprocessing started it, for an actor or for a helper of its own, and it runs the daemon's code
            all the same: it would start a process for the same purpose, without end.
    """
    if imports_main():
        raise UsageError(
            "this file starts its supervisor when it is imported, and this process is an actor importing it; put "
            'the start under `if __name__ == "__main__":`'
        )
    if is_frozen() and multiprocessing.process.parent_process() is None and meant_for_multiprocessing(sys.argv):
        raise UsageError(
            "this frozen program starts itself again in each process that it starts; call "
            'multiprocessing.freeze_support() first of all under `if __name__ == "__main__":`'
        )


def meant_for_multiprocessing(argv: list[str]) -> bool:
    """Whether a frozen program got a command line that freeze_support would have acted on."""
    return argv[1:2] == ["--multiprocessing-fork"] or any(
        flag == "-c" and code.startswith("from multiprocessing.") for flag, code in pairwise(argv[1:])
    )


def check_main_guard() -> None:
    """Check that a spawned process which imports the main module does not start the daemon again.

    Only processes of actors that are defined there, or whose arguments are, import it.

    The statement that the main thread is executing at the top level of the main module must be under `if __name__ ==
    "__main__":`. Runs in the daemon; reads the main module's source once.

    Raises:
        UsageError: it is not.
    """
    main = sys.modules["__main__"]
    running = _running(main, source_of(main))
    if not running or any(is_under_guard(file, line) for file, line in running):
        return
    file, line = running[0]
    raise UsageError(
        f"{os.path.basename(file)}, line {line}: this starts the supervisor whenever the file is imported, and the "
        f'processes of actors defined in it import it; put it under `if __name__ == "__main__":`, or move the '
        f"actors elsewhere"
    )


def _running(main: ModuleType, path: str | None) -> list[tuple[str, int]]:
    """What the main thread is executing at the top level of the main module: files and lines.

    The last is the main file's own; before it, innermost first, is code that `exec` runs in it. Empty where that is not
    known.
    """
    if path is None or is_left_alone(main):
        return []
    running = []
    frame: FrameType | None = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals is vars(main):
            running.append((frame.f_code.co_filename, frame.f_lineno))
            with contextlib.suppress(OSError):
                if os.path.samefile(frame.f_code.co_filename, path):
                    return running
        frame = frame.f_back
    return []
