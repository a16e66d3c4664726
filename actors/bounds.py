"""Bounds: which numbers are a time, and which a count; settings that say what they take.

Numbers that a person writes are checked before they are used: NaN compares to nothing, and an infinite or tiny time
makes a timer that never or always fires.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard, TypeVar, cast

import msgspec

from actors.errors import UsageError
from actors.exits import exception_name, with_article

C = TypeVar("C", bound=Callable[..., Any])

LEAST_SECONDS: Final = 0.001  # the resolution of a timer
MOST_SECONDS: Final = 1e9  # thirty years: fits the clocks and the cells of a black box
MOST_PROCESSES: Final = 10_000  # of one pool, and of spares
MAX_SOCKET_PATH: Final = 107  # bytes of the path of a Unix socket (sun_path of Linux, with its final zero)
MOST_SHOWN: Final = 1000  # characters of a value in a text
_NUMBERS: Final = (int, float)
MOST_COUNT: Final = 2**63 - 1  # what can be shown: no larger number leaves the daemon


def is_time(value: object, least: float = 0.0) -> TypeGuard[float]:
    """Whether it is a number of seconds from `least` to MOST_SECONDS."""
    return type(value) is not bool and isinstance(value, _NUMBERS) and least <= value <= MOST_SECONDS


def is_count(value: object, least: int = 0, most: int = MOST_COUNT) -> TypeGuard[int]:
    """Whether it is a whole number within bounds."""
    return type(value) is not bool and isinstance(value, int) and least <= value <= most


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
    """A value that a caller gave, for a text; its `repr` may raise, and be long."""
    try:
        text = repr(value)
    except Exception as error:  # an int of thousands of digits has none
        return f"{with_article(type(value).__qualname__)} whose repr raised {exception_name(type(error))}"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}... ({len(text)} characters)"


def words(least: float = 0.0) -> str:
    """The range that `is_time` accepts, for a text."""
    return f"seconds from {least:g} to {MOST_SECONDS:g}"


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
            import difflib  # noqa: PLC0415 - only a mistake pays for it

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
    import inspect  # noqa: PLC0415 - as above

    signature = inspect.signature(made)
    try:
        signature.bind(*args, **options)
    except TypeError as misfit:
        takes = ", ".join(name for name in signature.parameters if name != "self")
        raise UsageError(f"{taker} cannot be made: {misfit}; it takes {takes}") from None


def without_brackets(instead: str) -> Callable[[C], C]:
    """Make a decorator refuse what it does not take, brackets with nothing in them included.

    Args:
        instead: what to write, for the text.
    """

    def checked(decorator: C) -> C:
        @functools.wraps(decorator)
        def decorate(*args: Any, **options: Any) -> Any:
            if len(args) == 1 and not options:
                return decorator(*args)
            given = [shown(value) for value in args] + [f"{name}={shown(value)}" for name, value in options.items()]
            was = f"it was given {', '.join(given)}" if given else "and no brackets"
            raise UsageError(f"@{decorator.__name__} takes no arguments, {was}; {instead}")

        return cast("C", decorate)

    return checked


if TYPE_CHECKING:

    class Settings(msgspec.Struct, frozen=True):
        """Tells type checkers that it is a Struct like any other."""

else:

    class _TellsOptions(type(msgspec.Struct)):
        """Says what does not fit in words of ours: a Struct has no `__init__` of its own to do it in."""

        def __call__(cls, *args: Any, **options: Any) -> Any:
            try:
                return super().__call__(*args, **options)
            except TypeError:
                check_options(cls.__name__, options, cls.__struct_fields__)
                check_fit(cls.__name__, cls, args, options)
                raise

    class Settings(msgspec.Struct, frozen=True, metaclass=_TellsOptions):
        """Base of settings that are plain values: what they do not take is a UsageError that says what they take."""
