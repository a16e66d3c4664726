"""Handled: which messages a handler takes, as its annotation says.

Read where a class is read: in the daemon when a spec is made, in the actor's process before its first message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, get_origin

from actors.actor import Actor
from actors.errors import UsageError
from actors.messages import Fed, Message, fed_type
from actors.protocol.definitions import is_marked
from actors.signatures import choices_of, evaluated, parameters_of

_BASES: Final = (Message, Fed)


def check_hides_none(actor: type[Actor], name: str, method: Callable[..., Any]) -> None:
    """Refuse a handler that hides one of the same name in a class that it knows nothing of: two mixins by accident."""
    own, *others = (cls for cls in actor.__mro__ if name in vars(cls))
    taken = set(messages_of(actor, name, method))
    for other in others:
        hidden = vars(other)[name]
        if issubclass(own, other) or not is_marked(hidden):
            continue
        lost = sorted(one.__qualname__ for one in set(messages_of(actor, name, hidden)) - taken)
        if lost:
            raise UsageError(
                f"{actor.__qualname__}.{name} is that of {own.__qualname__}, and hides {other.__qualname__}.{name}, "
                f"which handles {', '.join(lost)}; give one of them another name"
            )


def messages_of(actor: type[Actor], name: str, method: Callable[..., Any]) -> tuple[type[Message[Any]], ...]:
    """The message classes in the annotation of a handler's one parameter."""
    where = f"{actor.__qualname__}.{name}"
    parameters = parameters_of(method)[1:]
    if not parameters or any(one.keyword_only or one.variadic for one in parameters):
        raise UsageError(f"{where} must take exactly one message: def {name}(self, msg: SomeMessage)")
    parameter = parameters[0]
    if parameter.annotation is None:
        raise UsageError(
            f"{where} does not say which message it handles; annotate it: def {name}(self, {parameter.name}: "
            f"SomeMessage)"
        )
    try:
        hint = evaluated(method, parameter.name, parameter.annotation)
    except Exception as error:  # whatever the evaluation of an annotation raises
        raise UsageError(
            f"the annotation of {where} cannot be read: {error}; define the message class at the top level of the "
            f"module, and import it outside `if TYPE_CHECKING`"
        ) from None
    members = tuple(dict.fromkeys(choices_of(hint)))
    for member in members:
        _check_message(where, member)
    lacking = next((one for one in members if issubclass(one, Fed) and fed_type(one) is None), None)
    if lacking is not None:
        raise UsageError(
            f"{lacking.__qualname__} does not say which items follow it; write class {lacking.__qualname__}"
            f"(Fed[ReplyType, ItemType])"
        )
    wanted = 2 if any(fed_type(member) is not None for member in members) else 1
    if len(parameters) != wanted:
        what = "one message and its items" if wanted == 2 else "exactly one message"
        items = ", items: AsyncIterator[ItemType]" if wanted == 2 else ""
        raise UsageError(f"{where} must take {what}: def {name}(self, msg: SomeMessage{items})")
    return members


def _check_message(where: str, member: Any) -> None:
    """Check that a handler's annotation names a message class, with the form on the wire that all messages have."""
    if (get_origin(member) or member) in _BASES:
        raise UsageError(
            f"{where} handles {getattr(member, '__qualname__', member)}, the base of all messages; annotate the "
            f"classes that it handles: A | B"
        )
    if _is_message(get_origin(member)):
        generic = get_origin(member).__qualname__
        raise UsageError(
            f"{where} handles {generic}[...], and what stands in the brackets does not travel; annotate {generic} "
            f"itself, or make a class of it: class Some{generic}({generic}[...]): pass"
        )
    if not _is_message(member):
        if getattr(member, "__module__", "builtins") == "builtins":  # int, None, list[Ping]
            raise UsageError(
                f"{where} handles {getattr(member, '__qualname__', member)}, which is not a message; annotate "
                f"message classes alone, each a class It(Message[ReplyType]): ..."
            )
        if not isinstance(member, type) or member is Any:  # a TypeVar, a NewType
            raise UsageError(
                f"{where} handles {getattr(member, '__name__', member)}, which is not a class; annotate the message "
                f"classes that it handles: A | B"
            )
        raise UsageError(
            f"{where} handles {getattr(member, '__qualname__', member)}, which is not a subclass of Message; "
            f"write class {getattr(member, '__name__', 'It')}(Message[ReplyType]): ..."
        )
    settings = member.__struct_config__
    for setting, holds in (("array_like", settings.array_like), ("tag", settings.tag is not None)):
        if not holds:
            raise UsageError(
                f"{where} handles {member.__qualname__}, whose class says {setting}=False: without it no message can "
                f"be told on the wire; leave {setting} out"
            )


def _is_message(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Message) and annotation is not Message
