"""Values of specs: checks of names, words, times and counts.

Each raises InvalidSpec with the place and the remedy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from actors.bounds import LEAST_SECONDS, MOST_PROCESSES, is_count, is_time, words
from supervisor.core.place import ANY, LOCAL, NODE
from supervisor.errors import InvalidSpec

if TYPE_CHECKING:
    from pathlib import Path

_MOST_SHARE: Final = 100
_NAME: Final = re.compile(r"[A-Za-z0-9_.\-]+")


def looks(test: Callable[[], bool]) -> bool:
    """What `Path.is_file` or its like says; False where the look itself fails, as in a directory of another user."""
    try:
        return test()
    except OSError:
        return False


def absent(what: str, place: Path) -> str:
    """Why nothing of that kind is seen at a place."""
    try:
        place.stat()
    except PermissionError:
        return f"this user may not enter the directory that holds this {what}"
    except OSError:
        pass
    return f"there is no such {what}"


def check_member(value: object, words: type[StrEnum], path: str) -> None:
    """Refuse what is no member of the enum."""
    if not isinstance(value, words):
        raise InvalidSpec(path, value, f"expected one of {', '.join(words)}")


def check_word(value: object, words: tuple[str, ...], path: str) -> None:
    """Refuse what is none of these words."""
    if not isinstance(value, str) or value not in words:
        raise InvalidSpec(path, value, f"expected {' or '.join(map(repr, words))}")


def check_seconds(value: object, path: str, otherwise: str = "", *, but: tuple[float, ...] = ()) -> None:
    """Refuse what is not a time; `but` are allowed special values."""
    if not is_time(value, LEAST_SECONDS) and not (type(value) in {int, float} and value in but):
        raise InvalidSpec(path, value, f"expected {words(LEAST_SECONDS)}{otherwise}")


def check_limit(seconds: object, path: str) -> None:
    """Refuse what is neither a time nor None."""
    if seconds is not None:
        check_seconds(seconds, path, ", or None for no limit")


def check_flag(value: object, path: str) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise InvalidSpec(path, value, "expected True or False")


def is_word(value: object) -> bool:
    """Whether it is a text that a process can get as an argument."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def check_share(value: object, path: str) -> None:
    """Refuse what is no share."""
    if not is_time(value) or value > _MOST_SHARE:
        raise InvalidSpec(path, value, f"expected a share from 0 to {_MOST_SHARE}, for instance 0.2")


def check_place(place: object, path: str) -> None:
    """Refuse what is no place."""
    if isinstance(place, str):
        known = place in {LOCAL, ANY} or (place.startswith(NODE) and len(place) > len(NODE))
    else:
        known = isinstance(place, Mapping) and bool(place) and all(map(_is_resource, place.items()))
    if not known:
        why = "expected 'local', 'any', 'node:LABEL', or resources with amounts above 0, as {'gpu': 1}"
        raise InvalidSpec(path, place, why)


def _is_resource(item: tuple[object, object]) -> bool:
    name, amount = item
    return isinstance(name, str) and bool(name) and type(amount) in {int, float} and is_time(amount) and amount > 0


def check_size(size: object, path: str = "size") -> None:
    """Refuse what no pool can have as its size."""
    if not is_count(size, 1, MOST_PROCESSES):
        raise InvalidSpec(path, size, f"expected a whole number of at least 1 and at most {MOST_PROCESSES}")


def is_name(name: object) -> bool:
    """Whether it can be part of a path."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_name(name: object, path: str) -> None:
    """Refuse what cannot be part of a path."""
    if not is_name(name):
        raise InvalidSpec(path, name, "expected a name of letters, digits, '_', '-' and '.'")
