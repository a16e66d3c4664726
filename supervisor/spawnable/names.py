"""Names: whether a spawned process finds a class or a function, which is pickled by its name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from actors.actor import Actor
from actors.bounds import shown
from actors.errors import UsageError
from actors.signatures import globals_of
from supervisor.spawnable.main_module import (
    MAIN,
    bound_by_import,
    imports_main,
    is_frozen,
    is_left_alone,
    main_of,
    source_of,
    why_nowhere,
)
from supervisor.spawnable.search import Known, check_packages, is_found, known_now


def check_importable(actor: type[Actor]) -> None:
    """Check that a spawned process finds the class under its name.

    Raises:
        UsageError: it is not an actor class, is defined inside a function, in a `__main__` without a file, or in
            a module that no other process finds.
    """
    if isinstance(actor, Actor):
        name = type(actor).__name__
        raise UsageError(
            f"{shown(actor)} is an actor already; it is made in its process, from the class and its arguments: "
            f"{name}, args=(...)"
        )
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
    known = known_now()
    check_packages(known)
    _check_module(actor.__module__, actor.__qualname__, known)
    module = sys.modules.get(actor.__module__)
    found: Any = module
    for name in actor.__qualname__.split("."):
        found = getattr(found, name, None)
    if module is not None and found is not actor and module.__name__ in MAIN and _elsewhere(actor, module):
        raise UsageError(_not_imported(actor.__qualname__))
    if module is not None and found is not actor and not _is_loading(module):
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
    _check_module(module, name, known_now())


def _check_module(module: str, name: str, known: Known) -> None:
    if module in MAIN:
        _check_main(main_of(module), name)
    elif not is_found(module, known):
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
        main = main_of(value.__module__)
        found: Any = main
        for part in name.split("."):
            found = getattr(found, part, None)
        lost = found is None and isinstance(value, type)  # it may have no function that tells where it is from
        if found is not value and (lost or _elsewhere(value, main)):
            raise UsageError(_not_imported(name))
    _check_bound(value.__module__, name)


def _check_main(main: ModuleType, name: str) -> None:
    source = source_of(main)
    if source is None and not is_frozen():
        raise UsageError(f"{name} is defined in {why_nowhere(main)}")
    if is_left_alone(main):
        raise UsageError(_not_imported(name))


def _check_bound(module: str, name: str) -> None:
    """Check that a part of the main module is there where its file is imported.

    Raises:
        UsageError: it is defined only where the file is the main program.
    """
    source = source_of(main_of(module)) if module in MAIN and not imports_main() else None
    bound = None if source is None else bound_by_import(source)
    top = name.partition(".")[0]
    if bound is not None and top.isidentifier() and top not in bound:
        raise UsageError(
            f"{name} is not there in a new process, which imports {os.path.basename(source or '')}: it is defined "
            f'under `if __name__ == "__main__":`, or by code that is run there; move it to the top level of that file, '
            f"or into a module of its own"
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


def _is_loading(module: ModuleType) -> bool:
    """Whether the module is being imported right now: a class may be used at its own module's top level."""
    spec = getattr(module, "__spec__", None)
    return module.__name__ in MAIN or bool(getattr(spec, "_initializing", False))
