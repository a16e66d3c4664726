"""Messages: what an operator writes as JSON, checked against the type of the message, and replies as JSON.

Runs on the loop's thread.
"""

from __future__ import annotations

import inspect
import re
from enum import Enum
from functools import cache
from typing import Any, Final, get_args

import msgspec

from actors.errors import UsageError
from actors.exits import with_article
from actors.messages import Message, tag_of
from actors.protocol.protocol import Handler
from actors.wire.codec import from_plain, to_plain
from supervisor.control.look.names import named
from supervisor.mailbox.mailbox import Mailbox
from supervisor.messaging.refs import MailboxRef
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.engine import Engine

_json: Final = msgspec.json.Encoder(enc_hook=to_plain)


async def tell(root: Engine, name: str, message: str, body: str) -> str:
    """Send a message; returns what was done.

    Raises:
        UsageError: the actor does not handle it, or the JSON does not fit.
    """
    mailbox = mailbox_of(root, name)
    await MailboxRef(mailbox).tell(read(mailbox, message, body))
    return f"{mailbox.path} has it"


async def ask(root: Engine, name: str, message: str, body: str, timeout: float) -> str:
    """Send a message and wait; returns the reply as JSON.

    Raises:
        UsageError: as of `tell`.
    """
    mailbox = mailbox_of(root, name)
    reply = await MailboxRef(mailbox).ask(read(mailbox, message, body), timeout=timeout)
    return as_json(reply)


def mailbox_of(root: Engine, name: str) -> Mailbox:
    """The mailbox of an actor or a pool.

    Raises:
        NoSuchChild: there is no child of that name.
        UsageError: it has no mailbox.
    """
    found = named(root, name)
    child = found.engine.children[found.members[0]] if found.members else None
    if not isinstance(child, ActorChild):
        raise UsageError(f"{found.path} takes no messages: it is not an actor")
    if child.mailbox.path != found.path:
        raise UsageError(f"{found.path} is one process of the pool {child.mailbox.path}; send to the pool")
    return child.mailbox


def read(mailbox: Mailbox, message: str, body: str) -> Message[Any]:
    """The message that an operator means.

    Raises:
        UsageError: the actor does not handle it, or the JSON does not fit; the text has what would.
    """
    handlers = list(mailbox.protocol.handlers.values())
    found = [
        one for one in handlers if message in (one.message.__qualname__, one.message.__name__, tag_of(one.message))
    ]
    if len(found) != 1:
        known = ", ".join(signature(one) for one in handlers) or "no message at all"
        raise UsageError(f"{mailbox.path} does not handle {message!r}; it handles {known}")
    cls = found[0].message
    if found[0].flows:
        flow = "is answered with a stream" if found[0].streams else "is followed by items"
        raise UsageError(f"{cls.__qualname__} for {mailbox.path} {flow}, which only a program sends: {_way(found[0])}")
    try:
        fields = msgspec.json.decode(body or "{}", type=_fields_of(cls), dec_hook=from_plain)
        return cls(**{name: getattr(fields, name) for name in fields.__struct_fields__})
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, ValueError) as error:
        how = signature(found[0])
        raise UsageError(f"this is not {with_article(cls.__qualname__)}: {error}; it is {how}{_where(cls)}") from None


def _way(handler: Handler) -> str:
    return "ref.stream(message)" if handler.streams else "ref.feed(message, items)"


def signature(handler: Handler) -> str:
    """A message and its reply in one line: `Tokenise(path: str, depth: int = 3) -> int`."""
    fields = ", ".join(_field(field, field.name) for field in msgspec.structs.fields(handler.message))
    reply = _type_name(handler.reply.promised)
    return f"{handler.message.__qualname__}({fields}) -> {f'stream of {reply}' if handler.streams else reply}"


def _where(message: type[Message[Any]]) -> str:
    """What the structs and enums in its fields are; empty without any."""
    seen: dict[type, str] = {}
    for field in msgspec.structs.fields(message):
        _define(field.type, seen)
    return f", where {', '.join(seen.values())}" if seen else ""


def as_json(value: object) -> str:
    """A value as JSON; what JSON does not know stands as its text."""
    try:
        return _json.encode(value).decode()
    except (TypeError, ValueError, msgspec.MsgspecError):
        return msgspec.json.encode(repr(value)).decode()


def as_object(message: Message[Any]) -> str:
    """A message as the JSON object that `read` reads."""
    return as_json({name: getattr(message, name) for name in message.__struct_fields__})


@cache
def _fields_of(cls: type[Message[Any]]) -> type[msgspec.Struct]:
    """A struct with the same fields that is read from a JSON object; messages travel as arrays."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(cls):
        if field.default is not msgspec.NODEFAULT:
            fields.append((field.name, field.type, field.default))
        elif field.default_factory is not msgspec.NODEFAULT:
            fields.append((field.name, field.type, msgspec.field(default_factory=field.default_factory)))
        else:
            fields.append((field.name, field.type))
    return msgspec.defstruct(cls.__name__, fields, frozen=True, kw_only=True, forbid_unknown_fields=True)


def _field(field: msgspec.structs.FieldInfo, name: str) -> str:
    text = f"{name}: {_type_name(field.type)}"
    if field.default is not msgspec.NODEFAULT:
        return f"{text} = {field.default!r}"
    return text if field.default_factory is msgspec.NODEFAULT else f"{text} = ..."


def _type_name(annotation: Any) -> str:
    if annotation is None or annotation is type(None):
        return "None"
    return _MODULES.sub("", inspect.formatannotation(annotation)).replace("NoneType", "None")


_MODULES: Final = re.compile(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])")


def _define(annotation: Any, seen: dict[type, str]) -> None:
    """Describe the structs and enums in the type of a field, by name, as JSON has them."""
    for inner in get_args(annotation):
        _define(inner, seen)
    if not isinstance(annotation, type) or annotation in seen:
        return
    if issubclass(annotation, Enum):
        values = " or ".join(as_json(member.value) for member in annotation)
        seen[annotation] = f"{annotation.__qualname__} is {values}"
    elif issubclass(annotation, msgspec.Struct):
        seen[annotation] = f"{annotation.__qualname__} is {_struct(annotation)}"
        for field in msgspec.structs.fields(annotation):
            _define(field.type, seen)


def _struct(struct: type[msgspec.Struct]) -> str:
    """The JSON of a struct: `{type: "Circle", radius: float}`, in brackets where it is an array."""
    config, fields = struct.__struct_config__, msgspec.structs.fields(struct)
    if config.array_like:
        tag = [] if config.tag is None else [as_json(config.tag)]
        return f"[{', '.join((*tag, *(_field(field, field.name) for field in fields)))}]"
    tag = [] if config.tag is None else [f"{config.tag_field}: {as_json(config.tag)}"]
    return f"{{{', '.join((*tag, *(_field(field, field.encode_name) for field in fields)))}}}"
