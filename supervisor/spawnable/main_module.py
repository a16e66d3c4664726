"""Main module: what processes import of the program that the user has started, and what its text tells of that."""

from __future__ import annotations

import ast
import contextlib
import multiprocessing.process
import os
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

MAIN: Final = ("__main__", "__mp_main__")  # the main module's name in the program, and in what multiprocessing starts

_OF_THIS_PROCESS: Final = ("/dev/fd/", "/dev/stdin", "/proc/self/")  # another file, or none, in another process
_BINDS_ANYTHING: Final = {"exec", "eval", "globals", "locals", "vars", "setattr", "__dict__", "modules", "runpy"}
_GUARDS: Final = {"__name__ == '__main__'", "'__main__' == __name__"}  # as ast writes them


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


def is_under_guard(path: str, line: int) -> bool:
    """Whether a line is reached only where the file is the main program; True where the file does not tell."""
    parsed = _parsed(path)
    statements = [] if parsed is None else parsed.body
    statement = next((node for node in statements if node.lineno <= line <= (node.end_lineno or line)), None)
    return statement is None or _guarded(statement, line)


@cache
def bound_by_import(path: str) -> frozenset[str] | None:
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


def _parsed(path: str) -> ast.Module | None:
    """A Python file; None where it cannot be read, also because another thread parses, too (SystemError of 3.11)."""
    with contextlib.suppress(OSError, SyntaxError, ValueError, SystemError), open(path, "rb") as source:
        return ast.parse(source.read())
    return None


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
