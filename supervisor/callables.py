"""Callables: whether a function can be called as a spec says, checked before anything starts.

Runs in the daemon, when a spec is made. No text shows the value of an argument.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any, Final

from actors.actor import Actor
from actors.bounds import shown
from actors.errors import UsageError
from actors.exits import with_article
from actors.signatures import signature_of

READY: Final = "ready"  # the keyword-only parameter that gets the callable with which a function says it is ready


def name_of(function: object) -> str:
    """The name of a function, also below a `functools.partial`; of another callable, that of its class."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def is_async(function: object) -> bool:
    """Whether a call gives a coroutine: an `async def` without a `yield`, or an object whose `__call__` is one."""
    if inspect.iscoroutinefunction(function):
        return True
    return not isinstance(function, type) and inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def check_async(function: object) -> None:
    """Check that it is a coroutine function.

    Raises:
        UsageError: it is something else.
    """
    if inspect.iscoroutine(function):
        function.close()  # or Python warns that it was never awaited
        raise UsageError(
            f"TaskSpec takes a coroutine function, not the coroutine that {function.__qualname__}(...) returns; pass "
            f"{function.__qualname__} itself and its arguments as args=(...), since each life calls it anew"
        )
    if inspect.isasyncgenfunction(function):
        raise UsageError(
            f"{name_of(function)} has a yield, so that a call of it runs nothing; TaskSpec takes an async def"
        )
    if not is_async(function):
        what = name_of(function) if callable(function) else shown(function)
        raise UsageError(
            f"TaskSpec takes an async def, {what} is none: on the loop it would block the daemon; use FunctionSpec "
            f"for a plain function, which gets a process"
        )


def check_plain(function: object) -> None:
    """Check that it is a function that runs when it is called.

    Raises:
        UsageError: it is something else.
    """
    name = name_of(function)
    if not callable(function):
        raise UsageError(f"FunctionSpec takes a function, {shown(function)} is none; pass it without calling it")
    if isinstance(function, type) and issubclass(function, Actor):
        raise UsageError(f"{name} is an actor class, of which FunctionSpec would only make an object; use ChildSpec")
    if is_async(function):
        raise UsageError(
            f"{name} is async: a call of it runs nothing. TaskSpec runs it in the daemon's loop; for a process of its "
            f"own pass a plain function that calls asyncio.run({name}(...))"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(f"{name} has a yield, so that a call of it runs nothing; FunctionSpec takes a plain function")


def check_fits(function: Any, args: object, kwargs: object) -> bool:
    """Check that a function takes these arguments; returns whether it wants `ready` besides.

    Raises:
        UsageError: it does not, or they are no tuple and no mapping by name.
    """
    name = name_of(function)
    if not isinstance(args, tuple | list):
        kind = with_article(type(args).__qualname__)
        raise UsageError(f"args of {name} must be a tuple, (value,) for one; it is {kind}")
    if not isinstance(kwargs, Mapping) or not all(isinstance(key, str) for key in kwargs):
        raise UsageError(f"kwargs of {name} must be a mapping of names to values")
    try:
        signature = signature_of(function)
    except (TypeError, ValueError):  # the signature of a C function is not known
        return False
    wants = _wants_ready(function, signature, kwargs)
    given = {**kwargs, READY: None} if wants else kwargs
    try:
        signature.bind(*args, **given)
    except TypeError as error:
        raise UsageError(f"args and kwargs do not fit {name}{without_values(signature)}: {error}") from None
    return wants


def without_values(signature: inspect.Signature) -> inspect.Signature:
    """A signature without annotations, and without the values of defaults, which may be secrets."""
    return signature.replace(
        parameters=[
            one.replace(annotation=one.empty, default=one.default if one.default is one.empty else _HIDDEN)
            for one in signature.parameters.values()
        ],
        return_annotation=signature.empty,
    )


def _wants_ready(function: object, signature: inspect.Signature, kwargs: Mapping[str, object]) -> bool:
    parameter = signature.parameters.get(READY)
    if parameter is None or parameter.kind is not parameter.KEYWORD_ONLY or READY in kwargs:
        return False
    return not (isinstance(function, functools.partial) and READY in function.keywords)


class _Hidden:
    """Stands for a default, which may be a secret."""

    def __repr__(self) -> str:
        return "..."


_HIDDEN: Final = _Hidden()
