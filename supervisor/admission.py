"""Admission: which messages an actor can be sent, and in which way.

Law: what an actor does not handle, cannot read, or is too large is refused before anything of it is kept.
May import: the words of `actors`.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.actor import ActorProtocol, Handler
from actors.envelope import FEED, STREAM
from actors.errors import UsageError
from actors.framing import MAX_MESSAGE, Parcel
from actors.messages import Message, name_of
from actors.parcels import Packed, check_beside


class Admission:
    """What one actor can be sent.

    Args:
        path: the actor's path.
        protocol: what it handles.
        max_message_bytes: the most bytes a message may have.
    """

    def __init__(self, path: str, protocol: ActorProtocol, max_message_bytes: int) -> None:
        self._path = path
        self._protocol = protocol
        self._most = max_message_bytes
        self._any_flows = any(handler.flows for handler in protocol.handlers.values())

    def check(self, message: Message[Any], kind: int) -> Packed:
        """A message of the daemon that may be sent in that way, ready to travel.

        Raises:
            UsageError: the actor does not handle it, a field has the wrong type, or it is too large.
        """
        packed = self._protocol.encode(message)
        if kind >= STREAM or self._any_flows:
            self._check_way(message, kind)
        self._check_size(name_of(message), packed.size)
        return packed

    def check_bytes(
        self, payload: msgspec.Raw, kind: int, beside: tuple[int, ...] | None, parcels: Sequence[Parcel]
    ) -> tuple[Message[Any], Packed]:
        """The message in bytes from an actor, without the values that travel beside it, and the same ready to travel.

        Raises:
            UsageError: they are no message this actor handles, or too many.
            WireError: what came beside it cannot belong to it.
        """
        packed = Packed(bytes(payload), beside, tuple(parcels) or None)
        self._check_size("the message", packed.size)
        try:
            message = self._protocol.decode(packed.data)
        except Exception as error:  # bytes that are no UTF-8, a codec of the user's: it is no message
            raise UsageError(
                f"{self._path} does not handle this message, or a field has the wrong type: {error}"
            ) from error
        if beside is not None or parcels:
            check_beside(message, beside or (), parcels)
        self._check_way(message, kind)
        return message, packed

    def _check_size(self, what: str, size: int) -> None:
        if size > self._most:
            most = f"{what} for {self._path} has {size} bytes, the most is {self._most}"
            if size > MAX_MESSAGE:
                raise UsageError(f"{most}, and no message has more than {MAX_MESSAGE}; send it in parts, or its path")
            raise UsageError(f"{most}; raise max_message_bytes in its ChildSpec, or send it in parts")

    def _check_way(self, message: Message[Any], kind: int) -> None:
        handler = self._protocol.handlers[type(message)]
        if handler.flows or kind in (STREAM, FEED):
            self._check_flow(message, handler, kind)

    def _check_flow(self, message: Message[Any], handler: Handler, kind: int) -> None:
        if (handler.streams, handler.fed is not None) != (kind == STREAM, kind == FEED):
            way = "stream" if handler.streams else "ask" if handler.fed is None else "feed"
            raise UsageError(f"{name_of(message)} for {self._path} is to be sent with `ref.{way}(...)`")
