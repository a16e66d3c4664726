"""Arguments: pickles what an actor's `__init__` is given.

What would fail in the actor's process fails here, in one line that names the argument and never shows its value.

Runs in the daemon, when a spec is made.
"""

from __future__ import annotations

import asyncio
import io
import pickle
import types
from collections.abc import Mapping
from multiprocessing.context import set_spawning_popen
from multiprocessing.reduction import ForkingPickler
from typing import Any, Final, cast

from actors.actor import Actor
from actors.errors import UsageError
from actors.exits import with_article
from actors.queue.pickling import PROTOCOL
from actors.ref import ActorRef
from actors.signatures import signature_of, surely_accepts
from actors.wire.codec import bound
from supervisor.callables import name_of, without_values
from supervisor.spawnable import MAIN, check_named


def check_containers(actor: type[Actor], args: object, kwargs: object) -> None:
    """Check that the arguments are a tuple and a mapping by name.

    Raises:
        UsageError: they are not.
    """
    if not isinstance(args, tuple | list):
        raise UsageError(f"args of {actor.__qualname__} must be a tuple, (value,) for one; it is {_a(args)}")
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        raise UsageError(f"kwargs of {actor.__qualname__} must be a mapping of names to values")


def check_call(actor: type[Actor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Check that the class can be called with these arguments.

    Raises:
        UsageError: its `__init__` takes others.
    """
    start = actor.__init__
    if start is object.__init__:
        if args or kwargs:
            raise UsageError(f"{actor.__qualname__} takes no arguments, it has no __init__; leave args and kwargs out")
        return
    if not kwargs and surely_accepts(start, 1 + len(args)):
        return
    try:
        signature = signature_of(start, follow_wrapped=False)
    except (TypeError, ValueError):  # the signature of a C function is not known
        return
    try:
        signature.bind(None, *args, **kwargs)
    except TypeError as error:
        raise UsageError(
            f"args and kwargs do not fit {actor.__qualname__}.__init__{without_values(signature)}: {error}"
        ) from None


def pickled(actor: type[Actor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """The arguments as bytes for the child. A ref among them is bound there to its own tree.

    Raises:
        UsageError: one of them cannot be pickled, or cannot be restored in another process; the text names it.
    """
    if not isinstance(args, tuple):
        raise UsageError(f"args of {actor.__qualname__} must be a tuple, for one argument (value,), not {_a(args)}")
    try:
        return _dumps((args, kwargs))
    except Exception as error:
        named = [*((f"args[{index}]", value) for index, value in enumerate(args)), *kwargs.items()]
        for name, value in named:
            try:
                _dumps(value)
            except UsageError as reason:
                raise UsageError(f"{name} of {actor.__qualname__}, {_a(value)}, cannot travel: {reason}") from None
            except Exception as reason:
                raise UsageError(
                    f"{name} of {actor.__qualname__}, {_a(value)}, cannot be pickled for its process: "
                    f"{_line(reason)}. Pass plain values, and functions and classes of a module's top level; open "
                    f"files, sockets and locks in on_start"
                ) from None
        raise UsageError(f"the arguments of {actor.__qualname__} cannot be pickled: {_line(error)}") from None


def check_spawnable(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Check that a function and its arguments reach a spawned process, as those of `multiprocessing.Process` do.

    Returns whether the process must import the daemon's main module for them.

    Raises:
        UsageError: one of them does not; the text names it.
    """
    name = name_of(function)
    seen = b""
    named = [*((f"args[{index}]", value) for index, value in enumerate(args)), *kwargs.items()]
    for what, value in [("", function), *named]:
        kind = f"{what} of {name}, {_a(value)}," if what else f"{name}"
        try:
            seen += _spawned(value)
        except UsageError as reason:
            raise UsageError(f"{kind} cannot travel: {reason}") from None
        except Exception as reason:
            raise UsageError(
                f"{kind} cannot be passed to a spawned process: {_line(reason)}. Pass functions and classes of a "
                f"module's top level, plain values, and multiprocessing's own queues, events and pipes"
            ) from None
    return any(main.encode() in seen for main in MAIN)


_OF_THE_LOOP: Final = (
    asyncio.Queue,
    asyncio.Event,
    asyncio.Lock,
    asyncio.Semaphore,
    asyncio.Condition,
    asyncio.Barrier,
)


def _check_here(value: object) -> None:
    """Refuse what can be pickled and means nothing in another process.

    Raises:
        UsageError: it is such a value.
    """
    if isinstance(value, _OF_THE_LOOP):
        raise UsageError(
            f"an asyncio.{_kind(value)} serves the event loop of this process, and the other one would get a copy of "
            f"its own; send messages, or bridge a multiprocessing one (supervisor.bridge)"
        )
    if isinstance(value, type | types.FunctionType) and isinstance(value.__module__, str):
        check_named(value)


class _SpawnPacker(ForkingPickler):
    """Checks each class and function that is pickled by name, and takes what may travel only during a spawn."""

    def reducer_override(self, value: Any) -> Any:
        """See `pickle.Pickler`."""
        if isinstance(value, ActorRef):
            raise UsageError(f"only actors can use a ref; make it an actor that asks {value.path}, or use a queue")
        _check_here(value)
        return NotImplemented


class _Trial:
    """Stands for the process that is being spawned: no descriptor is duplicated."""

    def duplicate_for_child(self, fd: int) -> int:
        """See `popen_spawn_posix.Popen`."""
        return fd

    DupFd = duplicate_for_child


def _spawned(value: object) -> bytes:
    """The value as it is pickled during a spawn."""
    file = io.BytesIO()
    set_spawning_popen(cast("Any", _Trial()))
    try:
        _SpawnPacker(file, PROTOCOL).dump(value)
    finally:
        set_spawning_popen(None)
    return file.getvalue()


class _Packer(pickle.Pickler):
    """Checks each class and function that is pickled by name, and what is of use in this process alone."""

    def reducer_override(self, value: Any) -> Any:
        """See `pickle.Pickler`."""
        if isinstance(value, ActorRef):
            return bound, (value.path,)
        if type(value).__module__ == "multiprocessing.connection":  # it would import much
            raise UsageError("its descriptor is open in this process alone; open it in on_start, or use a FunctionSpec")
        _check_here(value)
        return NotImplemented


def _dumps(value: object) -> bytes:
    file = io.BytesIO()
    _Packer(file, PROTOCOL).dump(value)
    return file.getvalue()


def _kind(value: object) -> str:
    return type(value).__qualname__


def _a(value: object) -> str:
    return with_article(_kind(value))


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or _kind(error)
