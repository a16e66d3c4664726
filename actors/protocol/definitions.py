"""Definitions: finds what cannot work in an actor class.

A class is read as written: no property is evaluated, no decorator is trusted.

Runs wherever a class is read: in the daemon when a spec is made, in the actor's process before its first message.
"""

from __future__ import annotations

import types
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    MutableSequence,
    Sequence,
)
from collections.abc import (
    Set as AbstractSet,
)
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_overloads

import msgspec

from actors.errors import UsageError
from actors.exits import with_article
from actors.signatures import (
    MARK,
    Parameter,
    accepts,
    annotations_of,
    choices_of,
    evaluated,
    is_asynchronous,
    is_generator,
    type_name,
)

_UNBOUND: Final[dict[str, str]] = {  # attributes that are not methods of an instance, and where their function is
    "staticmethod": "__func__",
    "classmethod": "__func__",
    "partialmethod": "func",
    "singledispatchmethod": "func",
    "property": "fget",
    "cached_property": "func",
}
_ASYNC: Final = (AsyncIterator, AsyncIterable, AsyncGenerator)
_STREAMS: Final = (AsyncIterator, AsyncIterable, AsyncGenerator, Iterator, Iterable, Generator)
_KINDS: Final[dict[object, str]] = {  # how a type travels; a type that is missing here may travel in any way
    bool: "bool",
    int: "number",
    float: "number",
    str: "text",
    bytes: "bytes",
    bytearray: "bytes",
    types.NoneType: "nil",
    **dict.fromkeys((list, tuple, set, frozenset, Sequence, MutableSequence, AbstractSet), "array"),
    **dict.fromkeys((dict, Mapping, MutableMapping), "map"),
    **dict.fromkeys((Coroutine, Awaitable, types.CoroutineType), "coroutine"),
}


def handlers_in(actor: type, base: type) -> list[tuple[str, Callable[..., Any]]]:
    """Names and functions of the handlers of a class, in the order of their names.

    Raises:
        UsageError: something marked is not a method, or a handler is overridden without the mark.
    """
    found = []
    for name, value in sorted(_members(actor).items()):
        where = f"{actor.__qualname__}.{name}"
        if name == "context" and value is not vars(base).get(name):
            raise UsageError(f"{where} is hidden by self.context; give it another name")
        if not is_marked(value):
            _check_no_override(actor, name, value)
            _check_no_lost_mark(where, name, value)
            continue
        if name in vars(base):
            raise UsageError(f"{where} is a hook that is called without a message; mark another method with @handles")
        if name.startswith("__") and name.endswith("__"):
            raise UsageError(f"{where} is a method that Python itself calls; mark one with a name of your own")
        kind = type(value).__name__
        if kind in _UNBOUND or not hasattr(type(value), "__get__"):
            raise UsageError(
                f"{where} is {with_article(kind)}; a handler is a plain method: def {name}(self, msg: SomeMessage)"
            )
        _check_wrapping(where, value)
        found.append((name, value))
    return found


def check_hooks(actor: type) -> None:
    """Check that the methods called without a message can be called.

    Raises:
        UsageError: the result would be a coroutine or a generator that is never run.
    """
    name = actor.__qualname__
    start: Any = actor.__init__  # type: ignore[misc]  # of the class, for its flags
    if is_asynchronous(start) or is_generator(start):
        raise UsageError(
            f"{name}.__init__ is async or has a yield, and is never awaited; do this in async def on_start"
        )
    _check_wrapping(f"{name}.__init__", start)
    if missing := sorted(getattr(actor, "__abstractmethods__", ())):
        raise UsageError(
            f"{name} is abstract, it lacks {', '.join(missing)}; write them, or pass a subclass that has them"
        )
    for hook, parameters in (("on_start", "self"), ("on_stop", "self, reason"), ("health", "self")):
        value = _members(actor)[hook]
        if type(value).__name__ in _UNBOUND or not callable(value):
            raise UsageError(
                f"{name}.{hook} is {with_article(type(value).__name__)}; write a plain method: def {hook}({parameters})"
            )
        if not accepts(value, parameters.count(",") + 1):
            raise UsageError(
                f"{name}.{hook} takes other arguments than those it is called with; write def {hook}({parameters})"
            )
        if hook == "health" and is_asynchronous(value):
            raise UsageError(f"{name}.health is async; it is called between other steps: write def health(self)")
        if is_generator(value):
            raise UsageError(f"{name}.{hook} has a yield and would never run; write it without, or as async def")


def check_promise(where: str, method: Callable[..., Any], promised: Any, *, declared: str, streams: bool) -> None:
    """Check that the annotated return type of a handler can be the reply type of its message.

    Args:
        where: the handler in words.
        method: the handler.
        promised: the reply type of the message; of a stream, of its items.
        declared: how the message's class says it, with `{}` for the type: `Add(Message[{}])`.
        streams: whether it is a generator.

    Raises:
        UsageError: no value has both types.
    """
    try:
        hint = evaluated(method, "return", annotations_of(method).get("return", Any))
    except Exception:  # it names what is imported for type checkers only: the type is not known
        return
    if streams:
        if get_origin(hint) not in _STREAMS or not get_args(hint):
            return
        hint = get_args(hint)[0]
    if _contradict(hint, promised):
        raise UsageError(
            f"{where} returns {type_name(hint)}, but its message promises {type_name(promised)}; return what class "
            f"{declared.format(type_name(promised))} says, or change it there"
        )


def check_items(where: str, method: Callable[..., Any], parameter: Parameter, fed: Any, *, asynchronous: bool) -> None:
    """Check that the annotation of a handler's items can be what it gets.

    Args:
        where: the handler in words.
        method: the handler.
        parameter: its second one.
        fed: the type of the items of the message.
        asynchronous: whether it is an `async def`, which gets an AsyncIterator.

    Raises:
        UsageError: they are something else.
    """
    try:
        hint = evaluated(method, parameter.name, parameter.annotation)
    except Exception:  # as in `check_promise`
        return
    kind, args = get_origin(hint) or hint, get_args(hint)
    if kind not in _STREAMS:
        return
    gets = "AsyncIterator" if asynchronous else "Iterator"
    if (kind in _ASYNC) != asynchronous or (args and _contradict(args[0], fed)):
        raise UsageError(
            f"{where} takes {type_name(hint)}, but what follows its message is {gets}[{type_name(fed)}]; write "
            f"{parameter.name}: {gets}[{type_name(fed)}], or change the message"
        )


def _members(actor: type) -> dict[str, Any]:
    """The attributes of the class and its bases, unevaluated."""
    members: dict[str, Any] = {}
    for cls in reversed(actor.__mro__):
        members.update(vars(cls))
    return members


def is_marked(value: object) -> bool:
    """Whether an attribute of a class is marked with `@handles`."""
    inner = getattr(value, _UNBOUND[type(value).__name__], None) if type(value).__name__ in _UNBOUND else None
    return MARK in getattr(value, "__dict__", ()) or (inner is not None and is_marked(inner))


def _check_no_override(actor: type, name: str, value: object) -> None:
    if value is None:  # as with __hash__: None removes the handler
        return
    for cls in actor.__mro__:
        if is_marked(vars(cls).get(name)):
            raise UsageError(
                f"{actor.__qualname__}.{name} overrides a handler of {cls.__qualname__} without @handles; mark it as "
                f"well, or write {name} = None to handle that message no more"
            )


def _check_no_lost_mark(where: str, name: str, value: object) -> None:
    """Refuse a method that hides a marked one of its name: under a decorator, or above it as its overloads."""
    for hidden in _hidden(value):
        if is_marked(hidden) and getattr(hidden, "__name__", None) == name:
            raise UsageError(
                f"{where} is marked below {_decorator(value)}, which hides the mark; use functools.wraps in that "
                f"decorator"
            )
    if not isinstance(value, types.FunctionType):
        return
    if value.__name__ == "_overload_dummy":  # what `typing.overload` leaves of a function
        raise UsageError(f"{where} has overloads, and no method follows them; write it, marked @handles")
    if any(map(is_marked, get_overloads(value))):
        raise UsageError(f"{where} has marked overloads; write @handles above the method that follows them")


def _hidden(value: object) -> Iterator[object]:
    """What a decorator may have kept of the function that it decorates."""
    for cell in getattr(value, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # empty
            continue
    if not isinstance(value, type):
        yield from getattr(value, "__dict__", {}).values()


def _check_wrapping(where: str, function: Any) -> None:
    """Refuse a plain decorator around an async function: what it returns is a coroutine, not a reply.

    That the decorator runs the coroutine itself cannot be seen; one that leaves out `functools.wraps` is not refused.
    """
    inner = function
    while hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    if inner is function or not callable(inner):
        return
    lost = is_asynchronous(inner) and not is_asynchronous(function)
    if lost or (is_generator(inner) and not is_generator(function)):
        what, write = (
            ("yields", "and yield from it") if is_generator(inner) else ("is async", "as async def, and await it")
        )
        raise UsageError(
            f"{where} {what}, but {_decorator(function)} that decorates it does not; write that decorator's function "
            f"{write}"
        )


def _decorator(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return f"the {type(function).__name__}" if code is None else f"the function {code.co_name}()"


def _contradict(hint: Any, promised: Any) -> bool:
    """Whether certainly no value has both types; of lists and dicts, none but an empty one."""
    return all(_apart(one, other) for one in _choices(hint) for other in _choices(promised))


def _choices(hint: Any) -> tuple[Any, ...]:
    choices = choices_of(hint)
    if choices != (hint,):
        return tuple(one for choice in choices for one in _choices(choice))
    origin = get_origin(hint)
    if origin is Annotated:
        return _choices(get_args(hint)[0])
    if origin is Literal:
        return tuple(type(value) for value in get_args(hint))
    return (types.NoneType if hint is None else hint,)


def _apart(one: Any, other: Any) -> bool:
    kinds, others = _kinds(one), _kinds(other)
    if not kinds or not others:
        return False
    if not kinds & others:
        return True
    if _is_struct(one) and _is_struct(other):
        return not (issubclass(one, other) or issubclass(other, one))
    args, other_args = get_args(one), get_args(other)
    same = tuple not in (get_origin(one), get_origin(other)) and len(args) == len(other_args)
    return same and any(_contradict(*pair) for pair in zip(args, other_args, strict=True))


def _kinds(hint: Any) -> frozenset[str]:
    cls = get_origin(hint) or hint
    try:
        if cls in _KINDS:
            return frozenset({_KINDS[cls]})
    except TypeError:  # not hashable, so not a known type
        return frozenset()
    return frozenset({"map", "array"}) if _is_struct(cls) else frozenset()


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and (issubclass(hint, msgspec.Struct) or hasattr(hint, "__dataclass_fields__"))
