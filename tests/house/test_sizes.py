"""A file has one idea and at most 400 lines, a folder at most 13 modules, a class at most 30 methods."""

from __future__ import annotations

import ast
from pathlib import Path

import actors

PACKAGES = Path(actors.__file__).resolve().parents[1]
MODULES = sorted(path for package in ("actors", "supervisor") for path in (PACKAGES / package).rglob("*.py"))
LINES, SIBLINGS, METHODS = 400, 13, 30
METHOD = (ast.FunctionDef, ast.AsyncFunctionDef)


def named(path: Path) -> str:
    return str(path.relative_to(PACKAGES))


def test_modules_are_small():
    """One that grows beyond that has a second idea."""
    sizes = {named(module): len(module.read_text(encoding="utf-8").splitlines()) for module in MODULES}
    assert {} == {name: size for name, size in sizes.items() if size > LINES}


def test_classes_are_small():
    """The same."""
    sizes = {
        f"{named(module)}: {node.name}": sum(isinstance(one, METHOD) for one in node.body)
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    assert {} == {name: size for name, size in sizes.items() if size > METHODS}


def test_folders_are_small():
    """Their `__init__` included."""
    sizes = {named(folder): len([*folder.glob("*.py")]) for folder in {module.parent for module in MODULES}}
    assert {} == {name: size for name, size in sizes.items() if size > SIBLINGS}
