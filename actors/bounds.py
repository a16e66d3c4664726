"""Bounds: which numbers are a time, and which a count.

Numbers that a person writes are checked before they are used: NaN compares to nothing, and an infinite or tiny time
makes a timer that never or always fires.
"""

from __future__ import annotations

from typing import Final, TypeGuard

from actors.errors import UsageError

LEAST_SECONDS: Final = 0.001  # the resolution of a timer
MOST_SECONDS: Final = 1e9  # thirty years: fits the clocks and the cells of a black box
MOST_PROCESSES: Final = 10_000  # of one pool, and of spares
MAX_SOCKET_PATH: Final = 107  # bytes of the path of a Unix socket (sun_path of Linux, with its final zero)
MOST_COUNT: Final = 2**63 - 1  # what can be shown: no larger number leaves the daemon


def is_time(value: object, least: float = 0.0) -> TypeGuard[float]:
    """Whether it is a number of seconds from `least` to MOST_SECONDS."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= MOST_SECONDS


def is_count(value: object, least: int = 0, most: int = MOST_COUNT) -> TypeGuard[int]:
    """Whether it is a whole number within bounds."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and least <= value <= most  # type: ignore[operator]  # it is an int


def check_time(what: str, value: object, least: float = 0.0, otherwise: str = "") -> None:
    """Check that it is a number of seconds.

    Args:
        what: the name of this time in the text: `timeout of ask`.
        value: what was given.
        least: the fewest seconds it may have.
        otherwise: other allowed values, for the text: `, or None to wait for ever`.

    Raises:
        UsageError: it is not.
    """
    if not is_time(value, least):
        raise UsageError(f"{what} must be {words(least)}{otherwise}; it is {shown(value)}. Nothing was done")


def shown(value: object) -> str:
    """A value that a caller gave, for a text; its `repr` may raise."""
    try:
        return repr(value)
    except Exception as error:  # an int of thousands of digits has none
        return f"a {type(value).__qualname__} whose repr raised {type(error).__name__}"


def words(least: float = 0.0) -> str:
    """The range that `is_time` accepts, for a text."""
    return f"seconds from {least:g} to {MOST_SECONDS:g}"
