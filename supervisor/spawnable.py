"""Spawnable: what can be passed to a spawned process, and what cannot.

What would fail in the child fails here, in the daemon, before the spawn, in one line with its remedy. That a module is
found is known until the finders, `sys.path` or a directory changes: a suite makes thousands of specs.
"""

from __future__ import annotations

import ast
import contextlib
import multiprocessing.process
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from itertools import pairwise
from types import FrameType, FunctionType, ModuleType
from typing import Any, Final

from actors.actor import Actor
from actors.bounds import shown
from actors.errors import UsageError
from actors.signatures import globals_of
from supervisor.loop_affinity import check_patches
from supervisor.shadowing import shadow_of

_OF_THIS_PROCESS: Final = ("/dev/fd/", "/dev/stdin", "/proc/self/")  # another file, or none, in another process
_BINDS_ANYTHING: Final = {"exec", "eval", "globals", "locals", "vars", "setattr", "__dict__", "modules", "runpy"}
_GUARDS: Final = {"__name__ == '__main__'", "'__main__' == __name__"}  # as ast writes them
_KNOWN: Final[dict[str, tuple[list[str], list[object]]]] = {}  # modules: where else they were looked for, and all else
MAIN: Final = ("__main__", "__mp_main__")  # the main module's name in the program, and in what multiprocessing starts


def check_importable(actor: type[Actor]) -> None:
    """Check that a spawned process finds the class under its name.

    Raises:
        UsageError: it is not an actor class, is defined inside a function, in a `__main__` without a file, or in
            a module that no other process finds.
    """
    if not (isinstance(actor, type) and issubclass(actor, Actor)):
        raise UsageError(
            f"{shown(actor)} is not an Actor class; write class Name(Actor): ... and pass the class itself"
        )
    if "<locals>" in actor.__qualname__:
        function = actor.__qualname__.split(".<locals>")[0]
        raise UsageError(
            f"{actor.__qualname__} is defined inside {function}(), where a spawned process cannot import it; "
            f"move it to the top level of {actor.__module__}"
        )
    _check_names()
    check_module(actor.__module__, actor.__qualname__)
    module = sys.modules.get(actor.__module__)
    found: Any = module
    for name in actor.__qualname__.split("."):
        found = getattr(found, name, None)
    if module is not None and found is not actor and module.__name__ in MAIN and _elsewhere(actor, module):
        raise UsageError(_not_imported(actor.__qualname__))
    if module is not None and found is not actor and not _still_loading(module):
        raise UsageError(
            f"{actor.__module__}.{actor.__qualname__} is not the class of that name any more; a spawned process "
            f"would import another one. Give it a name of its own at the top level of its module"
        )
    _check_bound(actor.__module__, actor.__qualname__)


def check_module(module: str, name: str) -> None:
    """Check that a spawned process can import the module where something is defined.

    Args:
        module: its name.
        name: what is defined there, for the text.

    Raises:
        UsageError: it cannot.
    """
    if module in MAIN:
        _check_main(_main_of(module), name)
    elif not _found(module):
        pytest = ', under pytest pythonpath = ["."] in its configuration' if "pytest" in sys.modules else ""
        raise UsageError(
            f"{name} is defined in {module}, which is loaded here, but no other process could import it: nothing on "
            f"sys.path leads there; put the directory that holds {module.partition('.')[0]} on sys.path{pytest}"
        )


def check_named(value: Callable[..., Any]) -> None:
    """Check that a spawned process finds a class or a function, which is pickled by its name, in its module.

    Raises:
        UsageError: it does not.
    """
    name = value.__qualname__
    check_module(value.__module__, name)
    if value.__module__ in MAIN and "<locals>" not in name:
        main = _main_of(value.__module__)
        found: Any = main
        for part in name.split("."):
            found = getattr(found, part, None)
        lost = found is None and isinstance(value, type)  # it may have no function that tells where it is from
        if found is not value and (lost or _elsewhere(value, main)):
            raise UsageError(_not_imported(name))
    _check_bound(value.__module__, name)


def _check_names() -> None:
    if _as_before(""):
        return
    for name in ("actors", "supervisor"):
        taken = shadow_of(name)
        if taken is not None:
            raise UsageError(
                f"a new process would import {taken} in place of this library's package {name}; rename it, or put "
                f"its directory at the end of sys.path"
            )
    _KNOWN[""] = [], _surroundings([])


def _main_of(name: str) -> ModuleType:
    """The main module that has this name; in a process that is just importing it `__main__` is multiprocessing's."""
    return sys.modules.get(name, sys.modules["__main__"])


def _check_main(main: ModuleType, name: str) -> None:
    source = _main_source(main)
    if source is None and not _frozen():
        raise UsageError(f"{name} is defined in {_nowhere(main)}")
    if _left_alone(main):
        raise UsageError(_not_imported(name))


def _check_bound(module: str, name: str) -> None:
    """Check that a part of the main module is there where its file is imported.

    Raises:
        UsageError: it is defined only where the file is the main program.
    """
    source = _main_source(_main_of(module)) if module in MAIN and not _importing_main() else None
    bound = None if source is None else _bound_by_import(source)
    top = name.partition(".")[0]
    if bound is not None and top.isidentifier() and top not in bound:
        raise UsageError(
            f"{name} is not there in a new process, which imports {os.path.basename(source or '')}: it is defined "
            f'under `if __name__ == "__main__":`, or by code that is run there; move it to the top level of that file, '
            f"or into a module of its own"
        )


def _importing_main() -> bool:
    """Whether this process is an actor's, and imports the main module of its daemon."""
    return getattr(multiprocessing.process.current_process(), "_inheriting", False)


def _nowhere(main: ModuleType) -> str:
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


def _elsewhere(value: Callable[..., Any], main: ModuleType) -> bool:
    """Whether a part of the main program is not of the main module: cProfile and trace run a program beside it."""
    functions = [value] if isinstance(value, FunctionType) else vars(value).values()
    return any(
        isinstance(one, FunctionType) and one.__module__ in MAIN and globals_of(one) is not vars(main)
        for one in functions
    )


def _not_imported(name: str) -> str:
    return (
        f"{name} is defined in a main module that new processes do not import: the __main__.py of a package or "
        f"archive, or a program that a profiler or tracer runs; move it to a module of its own"
    )


def _found(module: str) -> bool:
    """Whether the import system of a new process would find it, package by package, whatever is loaded here."""
    if _as_before(module):
        return True
    looked: list[str] = []
    places: list[str] | None = None
    parts = module.split(".")
    for at in range(1, len(parts) + 1):
        name = ".".join(parts[:at])
        try:
            spec = next((spec for finder in sys.meta_path if (spec := finder.find_spec(name, places))), None)
            if spec is None:
                return False
            looked += places or ()
            places = list(spec.submodule_search_locations or ())
            loaded = sys.modules.get(name)
            if spec.origin and spec.origin == getattr(loaded, "__file__", None):  # it may have extended its own path
                places += getattr(loaded, "__path__", ())
        except Exception:  # a finder with rules of its own: the process itself will report
            return True
    _KNOWN[module] = looked, _surroundings(looked)
    return True


def _as_before(module: str) -> bool:
    """Whether a search would find what it found."""
    looked, then = _KNOWN.get(module, ([], None))
    return then == _surroundings(looked)


def _surroundings(packages: list[str]) -> list[object]:
    """What an import depends on: the finders, the path, and the directories as they are now."""
    return [*sys.meta_path, *sys.path, *map(_last_change, [*sys.path, *packages])]


def _last_change(directory: str) -> object:
    """Which directory it is, and when something was made or removed in it, as importlib's FileFinder sees it."""
    with contextlib.suppress(OSError, TypeError, ValueError):
        status = os.stat(directory or ".")
        return status.st_ino, status.st_mtime_ns
    return None


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
    if _importing_main():
        raise UsageError(
            "this file starts its supervisor when it is imported, and this process is an actor importing it; put "
            'the start under `if __name__ == "__main__":`'
        )
    if _frozen() and multiprocessing.process.parent_process() is None and meant_for_multiprocessing(sys.argv):
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
    running = _running(main, _main_source(main))
    if not running or any(_under_guard(file, line) for file, line in running):
        return
    file, line = running[0]
    raise UsageError(
        f"{os.path.basename(file)}, line {line}: this starts the supervisor whenever the file is imported, and the "
        f'processes of actors defined in it import it; put it under `if __name__ == "__main__":`, or move the '
        f"actors elsewhere"
    )


def _frozen() -> bool:
    """Whether the program is its own interpreter: its processes run its main module up to freeze_support."""
    return bool(getattr(sys, "frozen", False))


def _main_source(main: ModuleType) -> str | None:
    """The file that a spawned process will import as its main module, or None when it will import none."""
    spec: ModuleSpec | None = getattr(main, "__spec__", None)
    if spec is not None and (spec.name == "__main__" or spec.name.endswith(".__main__")):
        return spec.origin
    file: str | None = getattr(main, "__file__", None)
    if not file or file.startswith(_OF_THIS_PROCESS):
        return None
    return file if os.path.isfile(file) else None  # None also where a changed user may not look any more


def _left_alone(main: ModuleType) -> bool:
    """Whether spawned processes do not import the main module: `python -m package`, `python directory`."""
    spec = getattr(main, "__spec__", None)
    return spec is not None and str(spec.name).rpartition(".")[2] == "__main__"


def _running(main: ModuleType, path: str | None) -> list[tuple[str, int]]:
    """What the main thread is executing at the top level of the main module: files and lines.

    The last is the main file's own; before it, innermost first, is code that `exec` runs in it. Empty where that is not
    known.
    """
    if path is None or _left_alone(main):
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


def _parsed(path: str) -> ast.Module | None:
    """A Python file; None where it cannot be read, also because another thread parses, too (SystemError of 3.11)."""
    with contextlib.suppress(OSError, SyntaxError, ValueError, SystemError), open(path, "rb") as source:
        return ast.parse(source.read())
    return None


def _under_guard(path: str, line: int) -> bool:
    """Whether a line is reached only where the file is the main program; True where the file does not tell."""
    parsed = _parsed(path)
    statements = [] if parsed is None else parsed.body
    statement = next((node for node in statements if node.lineno <= line <= (node.end_lineno or line)), None)
    return statement is None or _guarded(statement, line)


@cache
def _bound_by_import(path: str) -> frozenset[str] | None:
    """Names that a file may define where it is imported, and is not the main program; None where it does not tell."""
    parsed = _parsed(path)
    names: set[str] = set()
    for node in () if parsed is None else _imported_part(parsed.body):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _BINDS_ANYTHING:
                return None
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.alias(name=name, asname=other):
                names.add(other or name.partition(".")[0])
    return None if parsed is None or "*" in names else frozenset(names)


def _imported_part(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """All nodes of a file but those under a main guard at its top level."""
    for statement in body:
        if isinstance(statement, ast.If) and _is_guard(statement.test):
            yield from _imported_part(statement.orelse)
        else:
            yield from ast.walk(statement)


def _is_guard(test: ast.expr) -> bool:
    """Whether a condition holds only for the main program."""
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
    return any(ast.unparse(part) in _GUARDS for part in parts)


def _guarded(statement: ast.stmt, line: int) -> bool:
    """Whether a test of `__name__` holds this line: an `if`, `... if ... else ...` or `... and ...`, at any depth."""
    tests = [
        node if isinstance(node, ast.BoolOp) else node.test
        for node in ast.walk(statement)
        if isinstance(node, ast.If | ast.IfExp | ast.BoolOp) and node.lineno <= line <= (node.end_lineno or line)
    ]
    return any(isinstance(node, ast.Name) and node.id == "__name__" for test in tests for node in ast.walk(test))


def _still_loading(module: ModuleType) -> bool:
    """Whether the module is being imported right now: a class may be used at its own module's top level."""
    spec = getattr(module, "__spec__", None)
    return module.__name__ in MAIN or bool(getattr(spec, "_initializing", False))
