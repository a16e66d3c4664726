"""Validation: which messages an actor can be sent, and in which way.

What an actor does not handle, cannot decode, or is too large is refused before anything of it is kept.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from actors.errors import UsageError
from actors.jobs.jobs import shown
from actors.messages import Message, name_of
from actors.protocol.protocol import ActorProtocol, Handler
from actors.ref import ActorRef
from actors.wire.attachments import EncodedMessage, check_beside, decode_sharing, refers
from actors.wire.codec import PATH_OF, encode
from actors.wire.framing import MAX_MESSAGE, Carried
from actors.wire.kinds import FEED, STREAM, TELL
from supervisor.core.delivery.messages import UNKNOWN, Classes, tag_of
from supervisor.core.delivery.outcomes import check_arrived
from supervisor.core.delivery.routing import Router


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """A checked message: its bytes, and what is known of it, so that it need not be decoded again.

    Attributes:
        handler: its row in the actor's table.
        packed: the encoded message.
        key: what it is routed by, None where it is not routed by key.
        trace: the trace context in which it is sent, None outside of any.
    """

    handler: Handler
    packed: EncodedMessage
    key: bytes | None = None
    trace: str | None = None

    @property
    def name(self) -> str:
        """How reports name it."""
        return shown(self.handler.message, self.packed.data)


class Admission:
    """Checks messages to one actor.

    Args:
        path: the actor's path.
        protocol: what it handles.
        max_message_bytes: the most bytes a message may have.
        router: reads the key of a message.
        classes: of the messages.
        path_of: the path of a ref that may be sent to the actor.
    """

    def __init__(
        self,
        path: str,
        protocol: ActorProtocol,
        max_message_bytes: int,
        router: Router,
        classes: Classes,
        *,
        path_of: Callable[[ActorRef], str],
    ) -> None:
        self._path = path
        self._protocol = protocol
        self._router = router
        self._classes = classes
        self._path_of = path_of
        self._handlers = tuple(protocol.handlers.values())
        self.max_message_bytes = max_message_bytes
        self._referring = {message for message in protocol.handlers if refers(message)}
        self._any_flows = any(handler.flows for handler in protocol.handlers.values())

    def check(self, message: Message[Any], kind: int, trace: str | None) -> Admitted:
        """Check a message of the daemon.

        Raises:
            UsageError: the actor does not handle it, a field has the wrong type, it is too large, has no key, or has a
                ref of another tree.
        """
        packed = self._encoded(message) if type(message) in self._referring else self._protocol.encode(message)
        handler = self._protocol.handlers[type(message)]
        if kind >= STREAM or self._any_flows:
            self._check_way(handler, kind)
        self._check_size(name_of(message), packed.size)
        return Admitted(handler, packed, self._router.key_of(message), trace)

    def _encoded(self, message: Message[Any]) -> EncodedMessage:
        token = PATH_OF.set(self._path_of)
        try:
            return self._protocol.encode(message)
        finally:
            PATH_OF.reset(token)

    def check_bytes(
        self,
        payload: msgspec.Raw,
        kind: int,
        beside: tuple[int, ...] | None,
        attachments: Sequence[Carried],
        trace: str | None = None,
    ) -> Admitted:
        """Check an encoded message of another actor, and its attachments, by its class.

        Its fields are not decoded, unless it is routed by one of them: its sender has checked them, and the receiver
        does again. So bytes of a sender that does not are undecodable there, and fail that message alone.

        Raises:
            UsageError: the actor does not handle it, it is too large, or has no key.
            MailboxFull: a value of it was lost, since the daemon had no descriptor left.
            WireError: its attachments do not fit.
        """
        packed = EncodedMessage(bytes(payload), beside, tuple(attachments) or None)
        index = self._classes.of(packed.data)
        if index == UNKNOWN:
            raise UsageError(self._protocol.not_handled(tag_of(packed.data), self._path))
        handler = self._handlers[index]
        self._check_size(handler.message.__qualname__, packed.size)
        if beside is not None or attachments:
            check_beside(handler.message, beside or (), attachments)
            check_arrived(handler.message.__qualname__, self._path, attachments)
        self._check_way(handler, kind)
        key = self._router.key_of(self._decoded(packed.data, attachments)) if self._router.by_key else None
        return Admitted(handler, packed, key, trace)

    def class_of(self, data: bytes) -> int:
        """The index of the class of an encoded message, UNKNOWN where the actor does not handle it."""
        return self._classes.of(data)

    def check_stored(self, payload: bytes) -> Admitted:
        """Check bytes that were kept for the actor; of another version of its code they may be.

        Raises:
            UsageError: the actor does not handle them, they are too large, or have no key.
        """
        self._check_size("the message", len(payload))
        message = self._decoded(payload, ())
        handler = self._protocol.handlers[type(message)]
        self._check_way(handler, TELL)
        return Admitted(handler, EncodedMessage(payload), self._router.key_of(message))

    def _decoded(self, data: bytes, attachments: Sequence[Carried]) -> Message[Any]:
        try:
            return decode_sharing(self._protocol.decode, data, attachments)
        except Exception as error:  # bytes that are not UTF-8, or an exception of a user's codec
            raise UsageError(
                f"{self._path} does not handle this message, or a field has the wrong type: {error}"
            ) from error

    def encoded(self, message: Message[Any], data: bytes, trace: str | None) -> Admitted:
        """The same for a message that was encoded and decoded already, and has no attachments.

        Raises:
            UsageError: it is too large, or has no key.
        """
        self._check_size(name_of(message), len(data))
        handler = self._protocol.handlers[type(message)]
        return Admitted(handler, EncodedMessage(data), self._router.key_of(message), trace)

    def own(self, message: Message[Any]) -> Admitted:
        """Encode a message that the daemon itself makes; no check needed."""
        return Admitted(
            self._protocol.handlers[type(message)], EncodedMessage(encode(message)), self._router.key_of(message)
        )

    def _check_size(self, what: str, size: int) -> None:
        if size > self.max_message_bytes:
            most = f"{what} for {self._path} has {size} bytes, the most is {self.max_message_bytes}"
            if size > MAX_MESSAGE:
                raise UsageError(f"{most}, and no message has more than {MAX_MESSAGE}; send it in parts, or its path")
            raise UsageError(f"{most}; raise max_message_bytes in its ChildSpec, or send it in parts")

    def _check_way(self, handler: Handler, kind: int) -> None:
        if not handler.flows and kind not in (STREAM, FEED):
            return
        if (handler.streams, handler.fed is not None) != (kind == STREAM, kind == FEED):
            way = "stream" if handler.streams else "ask" if handler.fed is None else "feed"
            name = handler.message.__qualname__
            raise UsageError(f"{name} for {self._path} is to be sent with `ref.{way}(...)`")
