"""Main text: what the text of a main module tells of its import, in a process that does not run it as the program."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

_BINDS_ANYTHING: Final = {"exec", "eval", "globals", "locals", "vars", "setattr", "__dict__", "modules", "runpy"}
_GUARDS: Final = {"__name__ == '__main__'", "'__main__' == __name__"}  # as ast writes them


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
