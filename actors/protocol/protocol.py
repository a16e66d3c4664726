"""Protocol: the table of handlers of an actor class, read before any process exists.

`protocol_of` reads a class once and refuses one that cannot work. Runs on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Union
from weakref import WeakKeyDictionary

import msgspec

from actors.actor import Actor, M, _defaults
from actors.bounds import is_count, shown
from actors.errors import UsageError
from actors.exits import exception_name, with_article
from actors.messages import Message, Topic, check_topic, fed_type, item_type, reply_type, tag_of
from actors.protocol.definitions import check_hooks, check_items, check_promise, handlers_in
from actors.protocol.handled import check_hides_none, messages_of
from actors.ref import ActorRef
from actors.signatures import is_asynchronous, is_generator, parameters_of, type_name, uses_name
from actors.wire.attachments import EncodedMessage, pack
from actors.wire.codec import (
    Codec,
    ReplyCodec,
    decoder_of,
    encode,
    from_plain,
    item_codec,
    mentions,
    register,
    reply_codec,
    unknown_type,
)
from actors.wire.framing import LARGE

if TYPE_CHECKING:
    from actors.protocol.state import StateCodec

_SHOWN: Final = 200  # characters of a message in an error


class Handler(msgspec.Struct, frozen=True):
    """One row of an actor's table.

    Attributes:
        index: its index in the table, the same in every process.
        name: the method's name.
        message: the message class.
        asynchronous: whether the method needs an event loop.
        reply: codec of the reply type; of a stream, of its items.
        streams: whether the method is a generator.
        fed: codec of the items that follow the message, None when none do.
        flows: whether items go with the message, one way or the other.
    """

    index: int
    name: str
    message: type[Message[Any]]
    asynchronous: bool
    reply: ReplyCodec
    streams: bool = False
    fed: ReplyCodec | None = None
    flows: bool = False


class ActorProtocol:
    """What an actor class handles, read from the class.

    Attributes:
        actor: the class.
        handlers: message class to handler.
        asynchronous: whether its process needs an event loop.
        says_health: whether the class overrides `Actor.health`.
        flows: whether it streams or is fed.
        talks: whether its code, as far as it is written in its classes, or its messages have to do with other actors.
        state: codec of what its `save` returns and its `load` takes; None without these.
        union: the type of all its messages together, for one typed decoder.
        check: decodes a message, or raises msgspec's error; `decode` calls it. The fast path calls it directly.
    """

    def __init__(self, actor: type[Actor]) -> None:
        self.actor = actor
        if not isinstance(actor.codecs, tuple | list) or not all(isinstance(one, Codec) for one in actor.codecs):
            raise UsageError(f"{actor.__qualname__}.codecs must be a tuple of Codec(...), it is {shown(actor.codecs)}")
        check_hooks(actor)
        for codec in actor.codecs:
            register(codec)
        self.handlers = _read_handlers(actor)
        self.says_health = actor.health is not Actor.health
        self.state = _state_of(actor)
        hooks = (actor.on_start, actor.on_stop)
        self.asynchronous = any(handler.asynchronous for handler in self.handlers.values()) or any(
            is_asynchronous(hook) for hook in hooks
        )
        _check_class(actor, self.handlers)
        self.flows = any(handler.flows for handler in self.handlers.values())
        self.talks = uses_name(actor, "context", below=Actor) or any(
            mentions(message, ActorRef) for message in self.handlers
        )
        self.union = _union(self.handlers)
        self.check: Final = decoder_of(self.union).decode

    def encode(self, message: Message[Any]) -> EncodedMessage:
        """Encode a message this actor handles and check the types of its fields.

        Runs at the sender. Decoding the encoded bytes is the check: msgspec does not check a Struct's fields when it
        is made, and an actor must never get what its annotations exclude.

        Raises:
            UsageError: the actor does not handle it, or a field has the wrong type.
        """
        if type(message) not in self.handlers:
            raise UsageError(self._refusal(message))
        try:
            return checked(message, self.check)
        except Exception as error:  # msgspec's own, or one of the message's `__post_init__`
            raise UsageError(
                f"{type(message).__qualname__} cannot be sent to {self.actor.__qualname__}: {_named(error, message)}; "
                f"the message was {_short(message)}"
            ) from None

    def decode(self, data: bytes | msgspec.Raw) -> Message[Any]:
        """Decode a message that `encode` made."""
        message: Message[Any] = self.check(data)
        return message

    def not_handled(self, name: str, actor: str) -> str:
        """Why messages of that name cannot be sent to an actor of this class, and what to do instead."""
        instead = getattr(self.actor, "_takes_instead", None)
        if instead is not None:
            return f"{name} cannot be sent to {actor}: {instead}"
        return (
            f"{actor} does not handle {name}; it handles {self._known}. "
            f"Add a method marked @handles with a parameter annotated {name}"
        )

    def _refusal(self, message: object) -> str:
        actor = self.actor.__qualname__
        if isinstance(message, Message) or hasattr(self.actor, "_takes_instead"):
            kind = message if isinstance(message, type) else type(message)
            twin = next((cls for cls in self.handlers if cls.__qualname__ == kind.__qualname__), None)
            if twin is not None:
                return f"{actor} handles {not_its_twin(twin, kind)}"
            return self.not_handled(kind.__qualname__, actor)
        return f"{no_message(message)}; {actor} handles {self._known}"

    @property
    def _known(self) -> str:
        return ", ".join(sorted(cls.__qualname__ for cls in self.handlers)) or "no message at all"


def no_message(value: object) -> str:
    """What is wrong with something that was to be sent and is no message, and what to send."""
    if isinstance(value, type) and issubclass(value, Message):
        name = value.__qualname__
        return f"{name} is the class of a message, not a message: send an instance, {name}(...)"
    return f"{with_article(type(value).__qualname__)} is not a message: send instances of Message subclasses"


def not_its_twin(expected: type[Message[Any]], given: type[Message[Any]]) -> str:
    """That one message class was expected and another one of the same name was given, and what to do."""
    text = f"the {expected.__qualname__} of module {expected.__module__}, not that of {given.__module__}"
    if expected.__module__ == given.__module__:
        return f"another {expected.__qualname__} than this: its module was loaded twice"
    if "__main__" in (expected.__module__, given.__module__):
        return f"{text}: {_MAIN_TWICE}"
    return f"{text}; import that one, or name one of them differently"


_MAIN_TWICE: Final = (
    "what the program's own file defines is there a second time where another module imports that file. "
    "Move the message into a module that both import"
)


def checked(message: Message[Any], check: Callable[[bytes], object]) -> EncodedMessage:
    """Encode a message, and check the types of its fields by decoding it.

    Raises:
        Exception: a field has the wrong type: msgspec's own, or one of the message's `__post_init__`.
    """
    packed = pack(message)
    if len(packed.data) < LARGE or not _fits(message):
        check(packed.data)
    return packed


def sent_by_actor(message: Message[Any]) -> EncodedMessage:
    """Encode a message of an actor to another, whose protocol is not known here; its own class is the check.

    Raises:
        UsageError: a field has the wrong type.
    """
    try:
        return checked(message, _check_of(type(message)))
    except Exception as error:  # as in `ActorProtocol.encode`
        wrong = _named(error, message)
        raise UsageError(f"{type(message).__qualname__} cannot be sent: {wrong}; it was {_short(message)}") from None


@cache
def _check_of(message: type[Message[Any]]) -> Callable[[bytes], object]:
    return decoder_of(message).decode


_PROTOCOLS: Final[WeakKeyDictionary[type[Actor], ActorProtocol]] = WeakKeyDictionary()


def protocol_of(actor: type[Actor]) -> ActorProtocol:
    """The table of an actor class; cached per class.

    Raises:
        UsageError: the class cannot work; the text names class, method and remedy.
    """
    protocol = _PROTOCOLS.get(actor)
    if protocol is None:
        protocol = _PROTOCOLS[actor] = ActorProtocol(actor)
    return protocol


class _Nothing(Message[None]):
    """Stands for the messages of an actor that handles none."""


def _read_handlers(actor: type[Actor]) -> dict[type[Message[Any]], Handler]:
    handlers: dict[type[Message[Any]], Handler] = {}
    tags: dict[str, type[Message[Any]]] = {}
    for name, method in handlers_in(actor, Actor):
        for message in messages_of(actor, name, method):
            if message in handlers:
                raise UsageError(
                    f"{actor.__qualname__}.{name} and {actor.__qualname__}.{handlers[message].name} both handle "
                    f"{message.__qualname__}; keep one of them"
                )
            if tag_of(message) in tags:
                raise UsageError(
                    f"{actor.__qualname__} handles two messages named {tag_of(message)!r}: {tags[tag_of(message)]} "
                    f"and {message}; rename one, or give it its own tag: class ...(Message[...], tag='other')"
                )
            tags[tag_of(message)] = message
            handlers[message] = _handler(len(handlers), actor, name, method, message)
        check_hides_none(actor, name, method)
    return handlers


def published(topic: Topic[M], message: M) -> bytes:
    """Encode a message for its topic.

    Raises:
        UsageError: it does not have the topic's type, or the topic is none.
    """
    check_topic(topic)
    if type(message) is not topic.message:
        expected, given = topic.message, type(message)
        if expected.__qualname__ == given.__qualname__:
            raise UsageError(f"topic {topic.name!r} is for {not_its_twin(expected, given)}")
        raise UsageError(f"topic {topic.name!r} is for {expected.__qualname__}, not for {given.__qualname__}")
    try:
        data = encode(message)
        decoder_of(topic.message).decode(data)
    except Exception as error:  # as in `ActorProtocol.encode`
        raise UsageError(f"{message!r} cannot be published: {error}") from None
    return data


def _fits(message: Message[Any]) -> bool:
    """Whether a large message certainly fits its fields' types. Looks at the values, where decoding would copy them."""
    plain = (tag_of(type(message)), *msgspec.structs.astuple(message))
    try:
        msgspec.convert(plain, type(message), builtin_types=(bytes,), dec_hook=from_plain)
    except Exception:  # decoding will say what is wrong
        return False
    return True


def _short(message: Message[Any]) -> str:
    try:
        text = repr(message)
    except Exception as error:  # a value without a valid repr
        text = f"{with_article(type(message).__qualname__)} whose repr raised {exception_name(type(error))}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _state_of(actor: type[Actor]) -> StateCodec | None:
    if not any(name in vars(cls) for cls in actor.__mro__ for name in ("save", "load")):
        return None
    from actors.protocol.state import state_codec  # noqa: PLC0415 - only actors with a state pay for it

    return state_codec(actor)


def _union(messages: Iterable[type[Message[Any]]]) -> Any:
    return Union[tuple(messages) or (_Nothing,)]  # noqa: UP007 - made of values


def _handler(
    index: int, actor: type[Actor], name: str, method: Callable[..., Any], message: type[Message[Any]]
) -> Handler:
    where = f"{actor.__qualname__}.{name}"
    item, fed, reply = item_type(message), fed_type(message), reply_type(message)
    streams = is_generator(method)
    if streams and item is None:
        raise UsageError(
            f"{where} is a generator, but {message.__qualname__} promises one reply; write class "
            f"{message.__qualname__}(Message[AsyncIterator[ItemType]]), or return the reply"
        )
    if item is not None and not streams:
        raise UsageError(
            f"{message.__qualname__} promises a stream, but {where} is not a generator; yield the items, or promise "
            f"one reply: class {message.__qualname__}(Message[ReplyType])"
        )
    unset = [name for name, value in _defaults(message) if value is msgspec.UNSET]
    if unset:
        raise UsageError(
            f"{message.__qualname__}.{unset[0]} may be UNSET, which has no place in a message: its fields travel by "
            f"their order; write {unset[0]}: ... | None = None"
        )
    answer = reply if item is None else item
    for what, annotation in (("message", message), ("reply", answer), ("item", fed)):
        _check_codec(where, what, annotation)
    check_promise(where, method, answer, declared=_declared(message, streams=streams), streams=streams)
    asynchronous = is_asynchronous(method)
    if fed is not None:
        check_items(where, method, parameters_of(method)[2], fed, asynchronous=asynchronous)
    codec = item_codec(answer) if streams else reply_codec(answer)
    follows = None if fed is None else item_codec(fed)
    return Handler(index, name, message, asynchronous, codec, streams, follows, streams or fed is not None)


def _declared(message: type[Message[Any]], *, streams: bool) -> str:
    """How a class of messages says what its reply is, with `{}` for the type."""
    fed = fed_type(message)
    reply = "AsyncIterator[{}]" if streams else "{}"
    base = f"Message[{reply}]" if fed is None else f"Fed[{reply}, {type_name(fed)}]"
    return f"{message.__qualname__}({base})"


def _check_codec(where: str, what: str, annotation: Any) -> None:
    try:
        unknown = unknown_type(annotation)
    except (TypeError, NameError) as error:
        raise UsageError(f"the {what} type of {where} has no codec: {error}") from None
    if unknown is not None:
        raise UsageError(
            f"the {what} type of {where}, {getattr(annotation, '__qualname__', annotation)}, contains {unknown}, "
            f"which has no codec; use types that msgspec knows, or give the actor class one: codecs = (Codec(...),)"
        )


def _check_class(actor: type[Actor], handlers: dict[type[Message[Any]], Handler]) -> None:
    if not is_count(actor.concurrency, 1):
        raise UsageError(
            f"{actor.__qualname__}.concurrency must be an int of at least 1, it is {shown(actor.concurrency)}"
        )
    if not isinstance(actor.on_error, str) or actor.on_error not in ("crash", "reply"):
        raise UsageError(f"{actor.__qualname__}.on_error must be 'crash' or 'reply', it is {shown(actor.on_error)}")
    sync = [handler.name for handler in handlers.values() if not handler.asynchronous]
    if actor.concurrency > 1 and sync:
        raise UsageError(
            f"{actor.__qualname__} says concurrency = {actor.concurrency}, but {actor.__qualname__}.{sync[0]} is not "
            f"async and would hold up the others; write `async def {sync[0]}`, or leave concurrency at 1"
        )
    try:
        msgspec.msgpack.Decoder(_union(handlers))
    except TypeError as error:
        raise UsageError(f"the messages of {actor.__qualname__} cannot be told apart on the wire: {error}") from None


def _named(error: Exception, message: Message[Any]) -> str:
    """The words of the error, with the name of the field: msgspec counts fields, and the tag is the first."""
    before, mark, rest = str(error).partition("`$[")
    place, _, after = rest.partition("]")
    fields = message.__struct_fields__
    if not mark or not place.isdecimal() or not 0 < int(place) <= len(fields):
        return str(error)
    return f"{before}`$.{fields[int(place) - 1]}{after}"
