"""Cells: texts in columns of a terminal, where a Chinese letter takes two cells and an accent none. Pure.

What actors, messages and errors say may have characters in it that move the cursor or colour the screen; they are shown
as Python writes them.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_NONE: Final = frozenset({"Mn", "Me", "Cf"})  # categories of characters that stand on the one before
_DOTS: Final = "..."
_CONTROL: Final = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def harmless(text: str) -> str:
    """A text without control characters but the ends of its lines and tabs."""
    return text.translate(_CONTROL)


def one_line(text: str) -> str:
    """A text of one line, its inner spaces kept."""
    return harmless(text.replace("\n", " ").replace("\t", " "))


def cells(text: str) -> int:
    """How many cells a text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def fitted(text: str, width: int) -> str:
    """The same text, its end cut where it takes more cells than that; its inner spaces stay."""
    return text if cells(text) <= width else _first(text, width - len(_DOTS)) + _DOTS


def fitted_end(text: str, width: int) -> str:
    """The same text, its beginning cut where it takes more cells than that: of a path the end says most."""
    return text if cells(text) <= width else _DOTS + _first(text[::-1], width - len(_DOTS))[::-1]


def to_left(text: str, width: int) -> str:
    """A text that takes at least so many cells, aligned on the left."""
    return text + " " * (width - cells(text))


def to_right(text: str, width: int) -> str:
    """A text that takes at least so many cells, aligned on the right."""
    return " " * (width - cells(text)) + text


def _first(text: str, width: int) -> str:
    """As many of its first characters as fit."""
    taken = 0
    for at, character in enumerate(text):
        taken += _cells(character)
        if taken > width:
            return text[:at]
    return text


def _cells(character: str) -> int:
    if unicodedata.category(character) in _NONE:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
