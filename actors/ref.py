"""ActorRef: a handle to send messages to; it stays valid over every restart of its actor.

This module says what sending means; the daemon's refs (`supervisor.messaging.refs`) and the actor's
(`actors.child.messages.remote_ref`) implement it.

A ref may be a field of a message or of a reply: it travels as its path and is bound again where it arrives.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Any, Final, Literal, TypeVar, cast, get_args

from actors.bounds import check_time, shown
from actors.errors import ActorsError, UsageError
from actors.exits import with_article
from actors.messages import Fed, Message, Terminated

R = TypeVar("R")
T = TypeVar("T")

STREAM_CREDIT: Final = 64  # items a stream may be ahead of its reader
SHARED_CREDIT: Final = 8  # as many items does one value in shared memory count for

MAX_KEY: Final = 255  # characters of the key of a message to a durable actor

ASK_TIMEOUT: Final = 5.0  # seconds; OTP's gen_server call waits as long

WhenDown = Literal["wait", "fail"]


def credit_of(attachments: Sequence[object]) -> int:
    """For how many an item of a stream or feed counts, by its values in shared memory."""
    return min(SHARED_CREDIT * len(attachments), STREAM_CREDIT) or 1


def check_ask(path: str, timeout: object, when_down: object = "wait") -> None:
    """Check the arguments of an ask, a call or a stream.

    Raises:
        UsageError: they cannot work. Nothing was sent.
    """
    if timeout is not None:
        check_time(f"timeout of a message to {path}", timeout, otherwise=", or None to wait for ever")
    if not isinstance(when_down, str) or when_down not in get_args(WhenDown):
        raise UsageError(f"when_down of a message to {path} must be 'wait' or 'fail'; it is {shown(when_down)}")


def check_key(path: str, key: object) -> None:
    """Check the key of a message.

    Raises:
        UsageError: it is no text of 1 to 255 characters. Nothing was sent.
    """
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= MAX_KEY and _is_unicode(key)):
        raise UsageError(f"key of a message to {path} must be a text of 1 to {MAX_KEY} characters; it is {shown(key)}")


def _is_unicode(text: str) -> bool:
    """Whether it has no half of a surrogate pair, which can be neither stored nor sent."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def listed(path: str, messages: Iterable[Message[R]]) -> list[Message[R]]:
    """The messages of one call.

    Raises:
        UsageError: it is no iterable. Nothing was sent.
    """
    try:
        each = iter(messages)
    except TypeError:
        kind = with_article(type(messages).__name__)
        raise UsageError(f"messages to {path} must be an iterable of messages, as a list; it is {kind}") from None
    return list(each)


def note_taken(error: BaseException, taken: int) -> None:
    """Say in an exception that ends a `tell_many` how many messages were taken before."""
    error.taken = taken  # type: ignore[attr-defined] # a CancelledError, too: asyncio.timeout compares its very class
    if taken:
        error.add_note(f"tell_many: the first {taken} messages were taken; the others were not sent")


TAKES_MESSAGES: Final = "a ref takes messages: await ref.ask(SomeMessage(...))"
"""What is said where a method of the actor is called on its ref."""


class ActorRef(ABC):
    """A handle to one actor (or one pool of them).

    In the daemon its methods run on the supervisor's event loop, and `call` in every other thread; in an actor,
    inside its handlers. Used elsewhere, in a fork or on another loop, they refuse before anything is done.
    """

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path: Final = path

    @abstractmethod
    async def ask(
        self,
        message: Message[R],
        *,
        timeout: float | None = ASK_TIMEOUT,
        when_down: WhenDown = "wait",
        key: str | None = None,
    ) -> R:
        """Send `message` and wait for its reply.

        While the actor is being restarted the message waits in the mailbox (`when_down="wait"`), or the ask ends
        at once (`"fail"`). Cancelling takes the message back when its handler has not begun; a running handler's
        reply is dropped.

        Args:
            message: what to send.
            timeout: seconds to wait for room in the mailbox and for the reply together; None waits for ever.
            when_down: what to do while the actor has no running process.
            key: of a message to a durable actor, 1 to 255 characters. Messages with the same key are handled once, and
                each ask with it gets that outcome, also after a restart of the daemon. It is not withdrawn at the
                timeout.

        Raises:
            UsageError: the actor does not handle this message, a field has the wrong type, or the timeout is no time.
                Nothing was sent.
            AskTimeout: no reply in time.
            HandlerError: the handler raised.
            Rejected: the handler refused.
            ActorCrashed: the process died before the message was settled.
            ActorStopped: the actor is down for good.
        """

    @abstractmethod
    def call(self, message: Message[R], *, timeout: float | None = ASK_TIMEOUT) -> R:
        """Send `message` and block until its reply is there: the ask of sync handlers and of other threads.

        The calling actor or thread does nothing else meanwhile.

        Args:
            message: what to send.
            timeout: seconds, as of `ask`; None waits for ever.

        Raises:
            UsageError: it is called where blocking is wrong: on the thread of the daemon's loop, or in an async
                handler.
            CallCycle: the reply would have to wait for the caller itself.
            AskTimeout, HandlerError, Rejected, ActorCrashed, ActorStopped: as `ask`.
        """

    @abstractmethod
    def stream(self, message: Message[AsyncIterator[T]], *, timeout: float | None = None) -> AsyncGenerator[T, None]:
        """Send `message` and iterate over the items that its generator yields: `async for item in ref.stream(...)`.

        The actor is at most `STREAM_CREDIT` items ahead of the loop. Leaving the loop early closes the generator there.

        Args:
            message: what to send.
            timeout: seconds to wait for each item; None waits for ever.

        Raises:
            UsageError: the actor does not handle this message, or it does not stream.
            AskTimeout: the next item did not come in time.
            HandlerError, Rejected, ActorCrashed, ActorStopped: as `ask`, after the items that arrived.
        """

    @abstractmethod
    async def feed(self, message: Fed[R, T], items: AsyncIterable[T] | Iterable[T]) -> R:
        """Send `message`, then `items` as fast as its handler takes them, and wait for the reply.

        Raises:
            UsageError: the actor does not handle this message, `items` is no iterable, or an item has the wrong type.
            HandlerError, Rejected, ActorCrashed, ActorStopped: as `ask`. What `items` itself raises comes out, and the
                handler is cancelled.
        """

    @abstractmethod
    async def tell(self, message: Message[Any], *, delay: float = 0.0, key: str | None = None) -> None:
        """Send `message` without waiting for its reply; waits while the mailbox is full.

        Args:
            message: what to send.
            delay: seconds after which it is put into the mailbox; then a full mailbox makes a dead letter of it, and
                so does the end of the supervisor. To a durable actor both is kept.
            key: as of `ask`.

        Raises:
            UsageError: the actor does not handle this message, or a field has the wrong type.
            MailboxFull: the mailbox is full and its spec says `overflow=FAIL`.
            ActorStopped: the actor is down for good.
        """

    @abstractmethod
    def tell_nowait(self, message: Message[Any]) -> None:
        """Send `message` at once or not at all.

        Raises:
            MailboxFull: there is no room; nothing was sent. (From inside an actor the mailbox is out of sight: there
                a full mailbox makes a dead letter instead.)
            UsageError: the actor does not handle this message, or a field has the wrong type.
            ActorStopped: the actor is down for good.
        """

    async def tell_many(self, messages: Iterable[Message[Any]]) -> None:
        """Send messages without waiting for replies: one check, one encoding and one wait for room for many.

        Each keeps its own order, fate and dead letter, as if told by itself. All are checked before the first is taken.
        While the mailbox is full they enter part by part, as there is room.

        When it is cancelled or fails, the first of them are sent and the others are not. `error.taken` says how many,
        also on a CancelledError.

        Args:
            messages: of any classes that the actor handles.

        Raises:
            UsageError: the actor does not handle one of them, or a field has the wrong type. None was taken. (From
                inside an actor messages are checked by the thousand: those before were taken.)
            MailboxFull, ActorStopped: as `tell`.
        """
        taken = 0
        try:
            for message in messages:
                await self.tell(message)
                taken += 1
        except BaseException as error:
            note_taken(error, taken)
            raise

    async def ask_many(
        self, messages: Iterable[Message[R]], *, timeout: float | None = ASK_TIMEOUT, when_down: WhenDown = "wait"
    ) -> list[R | ActorsError]:
        """Send messages and wait for all their replies: one check, one encoding, one wait for many.

        Each keeps its own order, deadline and fate, as if asked by itself.

        Cancelling takes back what has not begun, and drops all replies.

        Args:
            messages: of any classes that the actor handles.
            timeout: seconds for all of them together, room in the mailbox included; None waits for ever.
            when_down: as in `ask`.

        Returns:
            For each message, in their order, its reply; or, in its place, the error that `ask` would have raised.

        Raises:
            UsageError: the actor does not handle one of them, a field has the wrong type, or the timeout is no time.
                Nothing was sent. (From inside an actor messages are checked by the thousand: those before were sent.)
        """
        from asyncio import gather  # noqa: PLC0415 - actors with sync handlers do not import it

        asks = (self.ask(message, timeout=timeout, when_down=when_down) for message in messages)
        results = await gather(*asks, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, ActorsError):
                raise result
        return cast("list[R | ActorsError]", results)

    def call_many(
        self, messages: Iterable[Message[R]], *, timeout: float | None = ASK_TIMEOUT
    ) -> list[R | ActorsError]:
        """Send messages and block until all their replies are there: the `ask_many` of sync handlers and other threads.

        Args:
            messages: sent one after the other.
            timeout: seconds for all of them together, None for ever.

        Raises:
            UsageError: as `ask_many`; or it is called where blocking is wrong, as `call`.
        """
        until = None if timeout is None else time.monotonic() + timeout
        results: list[R | ActorsError] = []
        for message in messages:
            left = None if until is None else max(0.0, until - time.monotonic())
            try:
                results.append(self.call(message, timeout=left))
            except UsageError:
                raise
            except ActorsError as error:
                results.append(error)
        return results

    @abstractmethod
    async def terminated(self) -> Terminated:
        """Wait until the actor is down for good, and return why.

        Returns at once when it is, or when no actor has the path.

        A restart is not an end: the ref stays valid over it.
        """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorRef) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"<ActorRef {self.path}>"


class UnboundRef(ActorRef):
    """A ref that was decoded where there is no supervisor to send through; `root[ref.path]` binds it."""

    __slots__ = ()

    async def ask(
        self,
        message: Message[R],
        *,
        timeout: float | None = ASK_TIMEOUT,
        when_down: WhenDown = "wait",
        key: str | None = None,
    ) -> R:
        """Refused."""
        raise self._unbound(message, timeout, when_down, key)

    def call(self, message: Message[R], *, timeout: float | None = ASK_TIMEOUT) -> R:
        """Refused."""
        raise self._unbound(message, timeout)

    def stream(self, message: Message[AsyncIterator[T]], *, timeout: float | None = None) -> AsyncGenerator[T, None]:
        """Refused."""
        raise self._unbound(message, timeout)

    async def feed(self, message: Fed[R, T], items: AsyncIterable[T] | Iterable[T]) -> R:
        """Refused."""
        raise self._unbound(message, items)

    async def tell(self, message: Message[Any], *, delay: float = 0.0, key: str | None = None) -> None:
        """Refused."""
        raise self._unbound(message, delay, key)

    def tell_nowait(self, message: Message[Any]) -> None:
        """Refused."""
        raise self._unbound(message)

    async def terminated(self) -> Terminated:
        """Refused."""
        raise self._unbound()

    def _unbound(self, *sent: object) -> UsageError:
        del sent
        return UsageError(f"the ref of {self.path} is not bound to a supervisor here; send through root[{self.path!r}]")
