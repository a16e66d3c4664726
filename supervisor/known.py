"""Known options: what a spec, a supervisor or other settings take, and what is said of an option that they do not take.

Runs on the thread that makes it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from actors.errors import UsageError
from actors.lazy import LazyModule

if TYPE_CHECKING:
    import difflib
else:
    difflib = LazyModule("difflib")

T = TypeVar("T")

_OF_SUPERVISORS: Final = ("strategy", "intensity", "auto_shutdown", "start", "max_children")


def check_known(taker: str, names: Collection[str], known: Collection[str]) -> None:
    """Check that all options are known.

    Args:
        taker: what takes them, for the text: `ChildSpec`.
        names: those that were given.
        known: those that it takes.

    Raises:
        UsageError: one is not; the text names what is near.
    """
    for name in names:
        if name not in known:
            if name in _OF_SUPERVISORS:
                raise UsageError(f"{taker} takes no option {name!r}, its supervisor does: Supervisor(..., {name}=...)")
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(sorted(known))}"
            raise UsageError(f"{taker} takes no option {name!r}; {hint}")


def tells_options(settings: type[T]) -> type[T]:
    """Decorate a class of settings: an option that it does not take is a UsageError that names the nearest one."""
    made: Callable[..., None] = settings.__init__
    known = [name for name in signature(made).parameters if name not in {"self", "children"}]

    @functools.wraps(made)
    def told(self: T, *args: Any, **options: Any) -> None:
        check_known(settings.__name__, options, known)
        made(self, *args, **options)

    settings.__init__ = told  # type: ignore[assignment, method-assign]
    return settings


if TYPE_CHECKING:

    class Settings(msgspec.Struct, frozen=True):
        """Tells type checkers that it is a Struct like any other."""

else:

    class _TellsOptions(type(msgspec.Struct)):
        """What `tells_options` does, for a Struct: that has no `__init__` of its own."""

        def __call__(cls, *args: Any, **options: Any) -> Any:
            check_known(cls.__name__, options, cls.__struct_fields__)
            return super().__call__(*args, **options)

    class Settings(msgspec.Struct, frozen=True, metaclass=_TellsOptions):
        """Base of settings that are plain values: an option that they do not take is told as `tells_options` does."""
