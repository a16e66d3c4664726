"""What the docs name exists: each path of a file or folder, and each dotted name of the two packages."""

from __future__ import annotations

import importlib
import re
from functools import reduce
from pathlib import Path

import pytest

import actors

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = Path(actors.__file__).parents[1]  # elsewhere, where the suite runs against an installed wheel
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FOLDERS = ("actors", "supervisor", "tests", "benchmarks", "examples", "docs", "findings")
A_PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)(?:::\w+)?`")
A_NAME = re.compile(r"`((?:actors|supervisor)(?:\.\w+)+)`")
A_ROOM = re.compile(r"(?<![\w/.])[a-z_]+(?:/[a-z_]+)+(?![\w/])")  # below one of the packages
ELSEWHERE = {"supervisor.erl", "supervisor.gave_up", "supervisor.actor", "supervisor.actor.root.parser.0"}
"""A file of OTP, an event of the log, loggers."""


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


def is_there(path: str) -> bool:
    """Whether there is such a folder or file, or a module of that name."""
    return any((root / name).exists() for root in (ROOT, PACKAGES) for name in (path, f"{path}.py"))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_paths_in_a_page(page):
    """A file that was moved is named where it is now."""
    assert [] == [path for path in A_PATH.findall(prose(page)) if not is_there(path)]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_dotted_names_in_a_page(page):
    """So is a module, a class or a function."""
    assert [] == [name for name in A_NAME.findall(prose(page)) if not there(name) and name not in ELSEWHERE]


def test_the_modules_on_the_walks():
    """The drawings and tables of one ask, one tell and one death name modules as they are below the packages."""
    page = (ROOT / "docs/explanation/design.md").read_text(encoding="utf-8")
    drawings = re.findall(r"^```\n.*?^```", page, flags=re.DOTALL | re.MULTILINE)
    rooms = {
        room
        for part in (*drawings, *re.findall(r"`([^`\n]+)`", prose(ROOT / "docs/explanation/design.md")))
        for room in A_ROOM.findall(part)
    }
    assert {"mailbox/settlement", "tree/engine"} <= rooms
    assert [] == sorted(
        room for room in rooms if not any(is_there(f"{root}{room}") for root in ("", "actors/", "supervisor/"))
    )


def test_each_folder_is_in_the_table():
    """CONTRIBUTING says of each folder what is in it."""
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folders = {
        str(module.parent.relative_to(PACKAGES))
        for package in ("actors", "supervisor")
        for module in (PACKAGES / package).rglob("*.py")
    }
    assert set() == {folder for folder in folders if f"`{folder}/`" not in table}
