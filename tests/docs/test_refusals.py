"""docs/reference/refusals.md: what it quotes is what the code says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import actors

ROOT = Path(__file__).parent.parent.parent
PACKAGES = Path(actors.__file__).parents[1]  # elsewhere, where the suite runs against an installed wheel
LEAST = 8  # characters in a row that a quotation and the source have in common, without a value between them
MOST_ARE_VALUES = 0.4  # share of a text below which it is not that of the source
PYTHONS = "): missing a required argument: "
QUOTED = re.compile(r"``(.+?)``|`(.+?)`")


def plain(text: str) -> str:
    """A text without what Markdown takes away or escapes."""
    return text.replace("`", "").replace("\\|", "|")


def said() -> set[str]:
    """Every text between two values that is written in the source."""
    found = set()
    for package in ("actors", "supervisor"):
        for file in (PACKAGES / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(plain(node.value))
    return found


def quoted() -> Iterator[str]:
    """The texts of the tables."""
    for row in (ROOT / "docs/reference/refusals.md").read_text().splitlines():
        columns = re.split(r"(?<!\\)\|", row)
        if len(columns) == 5 and "Ray's own words" not in columns[2]:
            for quotation in QUOTED.finditer(columns[2]):
                yield plain(quotation[1] or quotation[2])


def runs(text: str) -> Iterator[str]:
    """Each run of LEAST characters."""
    return (text[at : at + LEAST] for at in range(len(text) - LEAST + 1))


def share_of(piece: str, source: set[str]) -> float:
    """Which share of a text stands in the source."""
    covered: set[int] = set()
    for at, run in enumerate(runs(piece)):
        if run in source:
            covered.update(range(at, at + LEAST))
    return len(covered) / len(piece)


def test_each_text_is_in_the_source():
    """Between the values of an example and the dots of what is left out, the words are the source's."""
    source = {run for text in said() for run in runs(text)}
    pieces = [piece.strip() for quotation in quoted() for piece in quotation.split("...")]
    shares = {piece: share_of(piece, source) for piece in pieces if len(piece) >= 2 * LEAST}
    assert len(shares) > 100
    assert [] == [piece for piece, share in shares.items() if share < MOST_ARE_VALUES and PYTHONS not in piece]
