"""Known options: what settings take, and what is said of an option, or of a number of values, that they do not take.

Runs on the thread that makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from actors.errors import UsageError
from actors.lazy import LazyModule

if TYPE_CHECKING:
    import difflib
    import inspect
else:
    difflib = LazyModule("difflib")
    inspect = LazyModule("inspect")


def check_options(taker: str, names: Collection[str], known: Collection[str]) -> None:
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
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(sorted(known))}"
            raise UsageError(f"{taker} takes no option {name!r}; {hint}")


def check_fit(taker: str, made: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """Check that values fit the parameters of a call that has raised a TypeError.

    Args:
        taker: what takes them, for the text.
        made: what was called.
        args: positional values.
        options: by name.

    Raises:
        UsageError: they do not; the text names the parameters.
    """
    signature = inspect.signature(made)
    try:
        signature.bind(*args, **options)
    except TypeError as misfit:
        takes = ", ".join(name for name in signature.parameters if name != "self")
        raise UsageError(f"{taker} cannot be made: {misfit}; it takes {takes}") from None


if TYPE_CHECKING:

    class Settings(msgspec.Struct, frozen=True):
        """Tells type checkers that it is a Struct like any other."""

else:

    class _TellsOptions(type(msgspec.Struct)):
        """Says in the words of this module what does not fit: a Struct has no `__init__` of its own to do it in."""

        def __call__(cls, *args: Any, **options: Any) -> Any:
            check_options(cls.__name__, options, cls.__struct_fields__)
            try:
                return super().__call__(*args, **options)
            except TypeError:
                check_fit(cls.__name__, cls, args, options)
                raise

    class Settings(msgspec.Struct, frozen=True, metaclass=_TellsOptions):
        """Base of settings that are plain values: what they do not take is a UsageError that says what they take."""
