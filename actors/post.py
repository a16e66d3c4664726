"""PostRef: how an actor sends to other actors; everything goes through the daemon.

Law: the sender encodes, the daemon routes, the receiver decodes; no two actors share a descriptor.
May import: ref, messages, codec, envelope, errors.

Runs in the actor's process, in the thread that runs its handlers.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import msgspec

from actors import envelope as wire
from actors.codec import encode, reply_codec
from actors.envelope import Answer, Failure, Send, Watch
from actors.errors import (
    ActorCrashed,
    ActorStopped,
    AskTimeout,
    HandlerError,
    MailboxFull,
    NoSuchActor,
    Rejected,
    UsageError,
)
from actors.messages import Message, Terminated, reply_type
from actors.ref import ASK_TIMEOUT, ActorRef, WhenDown

R = TypeVar("R")


class PostOffice(Protocol):
    """What a ref needs of the runtime it sends through."""

    def send(self, frame: bytes) -> None:
        """Put one frame on the channel."""

    def expect(self, timeout: float | None) -> tuple[int, Awaitable[Answer]]:
        """A fresh correlation number and what will hold the answer to it; TimeoutError when none comes in time."""


class PostRef(ActorRef):
    """Another actor (or this one), as seen from an actor's process."""

    __slots__ = ("_office",)

    def __init__(self, path: str, office: PostOffice) -> None:
        super().__init__(path)
        self._office = office

    async def ask(self, message: Message[R], *, timeout: float | None = ASK_TIMEOUT, when_down: WhenDown = "wait") -> R:
        """As `ActorRef.ask`; only from async handlers."""
        payload = _encode(message)
        deadline = None if timeout is None else time.monotonic() + timeout
        correlation, waiting = self._office.expect(timeout)
        self._office.send(encode(Send(self.path, correlation, deadline, when_down == "fail", payload)))
        try:
            answer = await waiting
        except TimeoutError:
            raise AskTimeout(f"{self.path} did not answer {type(message).__qualname__} within {timeout} s") from None
        reply: R = _open(answer, reply_type(type(message)))
        return reply

    async def tell(self, message: Message[Any]) -> None:
        """As `ActorRef.tell`; the daemon takes it at once, a full mailbox makes a dead letter."""
        self.tell_nowait(message)

    def tell_nowait(self, message: Message[Any]) -> None:
        """As `ActorRef.tell_nowait`."""
        self._office.send(encode(Send(self.path, 0, None, False, _encode(message))))

    async def terminated(self) -> Terminated:
        """As `ActorRef.terminated`; only from async handlers."""
        correlation, waiting = self._office.expect(None)
        self._office.send(encode(Watch(self.path, correlation)))
        end: Terminated = _open(await waiting, Terminated)
        return end


def _encode(message: Message[Any]) -> msgspec.Raw:
    if not isinstance(message, Message):
        raise UsageError(f"a {type(message).__qualname__} is no message; send instances of Message subclasses")
    try:
        return msgspec.Raw(encode(message))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UsageError(f"{type(message).__qualname__} cannot be sent: {error}") from None


def _refuse(make: Callable[[str], Exception]) -> Callable[[msgspec.Raw], Exception]:
    return lambda payload: make(msgspec.msgpack.decode(payload, type=str))


def _failed(payload: msgspec.Raw) -> Exception:
    failure = msgspec.msgpack.decode(payload, type=Failure)
    return HandlerError(failure.type_name, failure.message, failure.traceback)


def _crashed(payload: msgspec.Raw) -> Exception:
    text, started, finished = msgspec.msgpack.decode(payload, type=tuple[str, bool | None, bool | None])
    return ActorCrashed(text, started=started, finished=finished)


_ERRORS: dict[int, Callable[[msgspec.Raw], Exception]] = {
    wire.FAILED: _failed,
    wire.CRASHED: _crashed,
    wire.REJECTED: _refuse(Rejected),
    wire.STOPPED: _refuse(ActorStopped),
    wire.UNKNOWN: _refuse(NoSuchActor),
    wire.FULL: _refuse(MailboxFull),
    wire.EXPIRED: _refuse(AskTimeout),
    wire.UNDECODABLE: _refuse(UsageError),
}


def _open(answer: Answer, promised: Any) -> Any:
    if answer.kind == wire.REPLY:
        return reply_codec(promised).decode(answer.payload)
    raise _ERRORS[answer.kind](answer.payload)
