"""The laws of the house that no linter knows: what the mind may not import, and where imports stand."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HANDS = {
    "asyncio",
    "logging",
    "multiprocessing",
    "os",
    "random",
    "select",
    "selectors",
    "signal",
    "socket",
    "structlog",
    "subprocess",
    "threading",
    "time",
}
MIND = [
    *(ROOT / "supervisor/core").glob("*.py"),
    *(ROOT / "actors" / f"{room}.py" for room in ("codec", "framing", "lines")),
]
ROOMS = sorted([*(ROOT / "actors").rglob("*.py"), *(ROOT / "supervisor").rglob("*.py")])


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module is not None:
        return {node.module.partition(".")[0]}
    return set()


@pytest.mark.parametrize("room", MIND, ids=named)
def test_the_mind_has_no_hands(room: Path) -> None:
    """The pure rooms import nothing through which time, chance or the world could come in."""
    tree = ast.parse(room.read_text())
    assert set() == HANDS & {name for node in ast.walk(tree) for name in imported(node)}


@pytest.mark.parametrize("room", ROOMS, ids=named)
def test_imports_stand_at_the_top_unless_they_say_why(room: Path) -> None:
    """An import inside a function carries its reason on its line."""
    text = room.read_text()
    late = [
        node
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    silent = [node.lineno for node in late if "PLC0415 - " not in text.splitlines()[node.lineno - 1]]
    assert [] == silent


@pytest.mark.parametrize("room", ROOMS, ids=named)
def test_the_first_screen_says_what_the_law_is(room: Path) -> None:
    """Every room but the front doors opens with one sentence, its law, and what it may import."""
    doc = ast.get_docstring(ast.parse(room.read_text())) or ""
    assert doc
    if room.name != "__init__.py":
        assert "Law" in doc
        assert "May import" in doc


def test_importing_actors_is_cheap() -> None:
    """A child that imports `actors` gets neither asyncio nor structlog nor the other house."""
    code = "import sys, actors; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    roots = {name.partition(".")[0] for name in loaded.stdout.split()}
    assert set() == roots & {"asyncio", "structlog", "supervisor", "concurrent", "logging", "ctypes"}
