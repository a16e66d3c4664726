"""Message: the base of everything a user sends.

Law: a message is a frozen value; its class name is its tag on the wire, its parameter `R` the type of its reply.
May import: errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, dataclass_transform, get_args, get_origin

import msgspec

R_co = TypeVar("R_co", covariant=True)


if TYPE_CHECKING:
    from msgspec import StructMeta

    @dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
    class _FrozenByDefault(StructMeta):
        """Tells type checkers what the class arguments below say: subclasses are frozen without repeating it."""

    class _Base(msgspec.Struct, metaclass=_FrozenByDefault): ...

else:

    class _Base(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
        """Settings of every message; inherited."""


class Message(_Base, Generic[R_co]):
    """Base class of messages; `class Tokenise(Message[int])` says that its reply is an int.

    Fields are declared as in any msgspec Struct. Instances are immutable, cross the process wall as msgpack
    and are checked against their fields' types when they are sent, in the sender's process.

    Class attributes:
        idempotent: whether the message may be delivered again when the actor's process dies while it is being
            handled. False (the default) means at most once.
    """

    idempotent: ClassVar[bool] = False


def reply_type(message: type[Message[Any]]) -> Any:
    """The `R` of a message class: what its handler promises to return; Any when the class names none."""
    for base in message.__mro__:
        for origin in getattr(base, "__orig_bases__", ()):
            if get_origin(origin) is Message:
                (reply,) = get_args(origin)
                return Any if isinstance(reply, TypeVar) else reply
    return Any


def tag_of(message: type[Message[Any]]) -> str:
    """The name under which a message class travels: its class name, unless the class says `tag=...`."""
    return str(message.__struct_config__.tag)


class Terminated(Message[None]):
    """An actor is down for good; what `context.watch` sends, and what `ref.terminated()` returns.

    Attributes:
        path: of the actor that was watched.
        reason: one line, why it will not come back.
    """

    path: str
    reason: str
