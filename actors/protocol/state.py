"""State: what an actor keeps over the end of its process: its methods `save` and `load`, read from the class.

Read where a class is read: in the daemon when a spec is made, in the actor's process before its first message.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec

from actors.errors import UsageError
from actors.exits import with_article
from actors.signatures import MARK, annotations_of, evaluated, is_asynchronous, is_generator, parameters_of
from actors.wire.codec import decoder_of, encode, unknown_type

_HOW: Final = "write def save(self) -> State and def load(self, state: State) -> None, with State a type msgspec knows"


class StateCodec:
    """Encodes and decodes the state of one actor class.

    Args:
        kept: the type of the state, as `save` and `load` are annotated.
    """

    __slots__ = ("_read", "kept")

    def __init__(self, kept: Any) -> None:
        self.kept = kept
        self._read = decoder_of(kept).decode

    def encode(self, state: object) -> bytes:
        """Encode what `save` returned.

        Raises:
            UsageError: it does not have the type of the annotation.
        """
        try:
            data = encode(state)
            self._read(data)
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            raise UsageError(
                f"save() returned {with_article(type(state).__name__)}, its annotation is {_named(self.kept)} ({error})"
            ) from error
        return data

    def decode(self, data: bytes | msgspec.Raw) -> Any:
        """Decode what `encode` made, perhaps by another version of the class.

        Raises:
            UsageError: it does not have the type of the annotation.
        """
        try:
            return self._read(data)
        except Exception as error:  # a codec of the user may raise anything
            raise UsageError(
                f"the saved state does not decode as {_named(self.kept)}: {error}; give new fields a default, and let "
                f"load() read what older versions have saved"
            ) from error


def state_codec(actor: type) -> StateCodec | None:
    """The codec of an actor's state, None for an actor without `save` and `load`.

    Raises:
        UsageError: one of the two is missing, or they cannot be called, or do not agree on a type that travels.
    """
    found = {name: method for name in ("save", "load") if (method := _hook(actor, name)) is not None}
    if not found:
        return None
    name = actor.__qualname__
    if len(found) == 1:
        has, lacks = ("save", "load") if "save" in found else ("load", "save")
        raise UsageError(
            f"{name} has {has} and no {lacks}: state that is saved must be loaded again; {_HOW}, or rename {has} if it "
            f"is something else"
        )
    for hook, method in found.items():
        if is_asynchronous(method) or is_generator(method):
            raise UsageError(f"{name}.{hook} is async or has a yield; it is called between two messages: {_HOW}")
    saved, loaded = _annotated(actor, "save", found["save"]), _annotated(actor, "load", found["load"])
    if saved != loaded:
        raise UsageError(f"{name}.save returns {_named(saved)} and {name}.load takes {_named(loaded)}; {_HOW}")
    if saved is type(None):
        raise UsageError(f"{name}.save returns None, which is not a state; {_HOW}")
    try:
        unknown = unknown_type(saved)
    except (TypeError, NameError) as error:
        raise UsageError(f"the state of {name}, {_named(saved)}, has no codec: {error}; {_HOW}") from None
    if unknown is not None:
        raise UsageError(
            f"the state of {name}, {_named(saved)}, contains {unknown}, which has no codec; use types that msgspec "
            f"knows, or give the actor class one: codecs = (Codec(...),)"
        )
    return StateCodec(saved)


def _hook(actor: type, name: str) -> Callable[..., Any] | None:
    """A method of the class that is no handler; as written, nothing is evaluated."""
    for cls in actor.__mro__:
        if name in vars(cls):
            value = vars(cls)[name]
            marked = MARK in getattr(value, "__dict__", ())
            return None if value is None or marked else cast("Callable[..., Any]", value)
    return None


def _annotated(actor: type, name: str, method: Callable[..., Any]) -> Any:
    """The type in the annotation of a hook."""
    where = f"{actor.__qualname__}.{name}"
    if not isinstance(method, types.FunctionType):
        raise UsageError(f"{where} is {with_article(type(method).__name__)}, not a plain method; {_HOW}, or rename it")
    parameters = parameters_of(method)[1:]
    wanted = 0 if name == "save" else 1
    if len([one for one in parameters if one.required]) != wanted or any(one.variadic for one in parameters):
        raise UsageError(f"{where} takes other arguments than those it is called with; {_HOW}, or rename it")
    at = "return" if name == "save" else parameters[0].name
    annotations = annotations_of(method)
    if at not in annotations:
        raise UsageError(f"{where} does not say what the state is; {_HOW}")
    try:
        return evaluated(method, at, annotations[at])
    except Exception as error:  # whatever the evaluation of an annotation raises
        raise UsageError(
            f"the annotation of {where} cannot be read: {error}; define the type at the top level of the module, and "
            f"import it outside `if TYPE_CHECKING`"
        ) from None


def _named(kept: Any) -> str:
    return getattr(kept, "__qualname__", None) or str(kept)
