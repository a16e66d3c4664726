"""What the docs name exists: each path of a file or folder, and each dotted name of the two packages."""

from __future__ import annotations

import importlib
import re
from functools import reduce
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FOLDERS = ("actors", "supervisor", "tests", "benchmarks", "examples", "docs", "findings")
A_PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)(?:::\w+)?`")
A_NAME = re.compile(r"`((?:actors|supervisor)(?:\.\w+)+)`")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(page: Path) -> str:
    """A page without its blocks of code, which the tests of the docs run."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def there(name: str) -> bool:
    """Whether a dotted name is a module, or what can be reached from one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        try:
            reduce(getattr, parts[length:], module)
        except AttributeError:
            return False
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_paths_in_a_page(page):
    """A file that was moved is named where it is now."""
    assert [] == [path for path in A_PATH.findall(prose(page)) if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_dotted_names_in_a_page(page):
    """So is a module, a class or a function."""
    assert [] == [name for name in A_NAME.findall(prose(page)) if not there(name)]
