"""docs/reference/refusals.md has every refusal of the source, in its words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import actors

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = Path(actors.__file__).parents[1]  # elsewhere, where the suite runs against an installed wheel
REFUSALS = {"UsageError", "InvalidSpec", "CallCycle"}
ENOUGH = 4  # words in a row, by which a text is known again

# What no program of a user's can meet: a process that sends what it must not.
NOT_FOR_USERS = {
    "no descriptors pass in this tree",
    "a descriptor that came is not shared memory",
    "a descriptor that came has",
}


def words(text: str) -> str:
    """Its words, with one space between: without marks of Markdown and of sentences."""
    return " ".join(filter(None, (word.strip("`\\,;:.|()'\"") for word in text.split())))


PAGE = f" {words((ROOT / 'docs/reference/refusals.md').read_text())} "


def refusals(module: Path) -> Iterator[tuple[int, list[str]]]:
    """The line of each refusal in a module, and the pieces of its text that are always the same."""
    text = module.read_text()
    for node in ast.walk(ast.parse(text)) if any(name in text for name in REFUSALS) else ():
        made = node.exc if isinstance(node, ast.Raise) else node.value if isinstance(node, ast.Return) else None
        if isinstance(made, ast.Call) and isinstance(made.func, ast.Name) and made.func.id in REFUSALS:
            pieces = [each.value for each in ast.walk(made) if isinstance(each, ast.Constant)]
            yield made.lineno, [words(each) for each in pieces if isinstance(each, str)]


def is_there(pieces: list[str]) -> bool:
    """Whether some words in a row of it are on the page; of a text that is made elsewhere nothing is looked for."""
    long = [each.split() for each in pieces if len(each.split()) >= ENOUGH]
    if not long or any(words(known) in " ".join(pieces) for known in NOT_FOR_USERS):
        return True
    runs = (piece[at : at + ENOUGH] for piece in long for at in range(len(piece) - ENOUGH + 1))
    return any(f" {' '.join(run)} " in PAGE for run in runs)


MODULES = sorted(path for package in ("actors", "supervisor") for path in (PACKAGES / package).rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGES)))
def test_each_refusal_is_on_its_page(module: Path) -> None:
    """A refusal without a row is one that nobody can look up."""
    missing = [
        f"{module.name}:{line}: {' ... '.join(pieces)}" for line, pieces in refusals(module) if not is_there(pieces)
    ]
    assert not missing, "write a row into docs/reference/refusals.md:\n" + "\n".join(missing)
