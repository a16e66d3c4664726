"""Main module: what spawned processes import of the program that the user has started."""

from __future__ import annotations

import multiprocessing.process
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

MAIN: Final = ("__main__", "__mp_main__")  # the main module's name in the program, and in what multiprocessing starts

_OF_THIS_PROCESS: Final = ("/dev/fd/", "/dev/stdin", "/proc/self/")  # another file, or none, in another process


def main_of(name: str) -> ModuleType:
    """The main module that has this name; in a process that is just importing it `__main__` is multiprocessing's."""
    return sys.modules.get(name, sys.modules["__main__"])


def source_of(main: ModuleType) -> str | None:
    """The file that a spawned process will import as its main module, or None when it will import none."""
    spec: ModuleSpec | None = getattr(main, "__spec__", None)
    if spec is not None and (spec.name == "__main__" or spec.name.endswith(".__main__")):
        return spec.origin
    file: str | None = getattr(main, "__file__", None)
    if not file or file.startswith(_OF_THIS_PROCESS):
        return None
    return file if os.path.isfile(file) else None  # None also where a changed user may not look any more


def is_left_alone(main: ModuleType) -> bool:
    """Whether spawned processes do not import the main module: `python -m package`, `python directory`."""
    spec = getattr(main, "__spec__", None)
    return spec is not None and str(spec.name).rpartition(".")[2] == "__main__"


def imports_main() -> bool:
    """Whether this process is an actor's, and imports the main module of its daemon."""
    return getattr(multiprocessing.process.current_process(), "_inheriting", False)


def is_frozen() -> bool:
    """Whether the program is its own interpreter: its processes run its main module up to freeze_support."""
    return bool(getattr(sys, "frozen", False))


def why_nowhere(main: ModuleType) -> str:
    """Where a main module is that no spawned process imports, why it does not, and what to do."""
    file: str | None = getattr(main, "__file__", None)
    if not file or file.startswith("<"):  # as <stdin>
        return "an interactive session or a -c command, which a spawned process cannot import; put it into a file"
    if file.startswith(_OF_THIS_PROCESS):
        return f"{file}, which is another file, or none, in a spawned process; put it into a file with a name"
    return (
        f"{file}, which a spawned process would import, and which is not there any more, or not for this user; put it "
        f"back, or move the definition into a module"
    )
