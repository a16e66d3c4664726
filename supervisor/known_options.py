"""Known options: what a spec, a supervisor or other settings take, and what is said of an option that they do not take.

Runs on the thread that makes it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from inspect import signature
from typing import Any, Final, TypeVar

from actors.bounds import check_fit, check_options
from actors.errors import UsageError

T = TypeVar("T")

_OF_SUPERVISORS: Final = ("strategy", "intensity", "auto_shutdown", "start", "max_children")


def check_known(taker: str, names: Collection[str], known: Collection[str]) -> None:
    """Check that all options are known, as `check_options` does.

    Raises:
        UsageError: one is not; the text names what is near, or the supervisor that takes it.
    """
    if "children" in names and "strategy" in known:
        raise UsageError(f"{taker} takes no option 'children': specs come first, one by one: {taker}(*specs, name=...)")
    for name in _OF_SUPERVISORS:
        if name in names and name not in known:
            raise UsageError(f"{taker} takes no option {name!r}, its supervisor does: Supervisor(..., {name}=...)")
    check_options(taker, names, known)


def tells_options(settings: type[T]) -> type[T]:
    """Decorate a class of settings: what it does not take is a UsageError that says what it takes."""
    made: Callable[..., None] = settings.__init__
    known = [name for name in signature(made).parameters if name not in {"self", "children"}]

    @functools.wraps(made)
    def made_or_told(self: T, *args: Any, **options: Any) -> None:
        check_known(settings.__name__, options, known)
        try:
            made(self, *args, **options)
        except TypeError:
            check_fit(settings.__name__, made, (self, *args), options)
            raise

    settings.__init__ = made_or_told  # type: ignore[assignment, method-assign]
    return settings
