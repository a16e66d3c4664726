"""A file has one idea and at most 400 lines, a folder at most 13 modules, a class at most 30 methods."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import actors

PACKAGES = Path(actors.__file__).resolve().parents[1]
MODULES = sorted(path for package in ("actors", "supervisor") for path in (PACKAGES / package).rglob("*.py"))
LINES, SIBLINGS, METHODS = 400, 13, 30


def named(path: Path) -> str:
    return str(path.relative_to(PACKAGES))


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_a_module_is_small(module):
    """One that grows beyond that has a second idea, and so have its classes."""
    text = module.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            methods = [one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
            assert len(methods) <= METHODS, (node.name, methods)


@pytest.mark.parametrize("folder", sorted({module.parent for module in MODULES}), ids=named)
def test_a_folder_is_small(folder):
    """Its `__init__` included."""
    assert len([*folder.glob("*.py")]) <= SIBLINGS
