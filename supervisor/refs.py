"""MailboxRef: an actor as the daemon sees it; sending is putting into its mailbox.

Law: what cannot be sent is said here, in the sender's task, and nothing of it is left behind.
May import: mailbox, askers, and the words of `actors`.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from actors.envelope import ASK, FEED, STREAM, TELL
from actors.errors import AskTimeout, UsageError
from actors.messages import Fed, Message, Terminated
from actors.ref import ASK_TIMEOUT, ActorRef, WhenDown
from supervisor.askers import FeedAsker, FutureAsker, StreamAsker
from supervisor.mailbox import Entry, Mailbox

R = TypeVar("R")
T = TypeVar("T")


class MailboxRef(ActorRef):
    """An actor, as seen from the daemon."""

    __slots__ = ("_mailbox",)

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(mailbox.path)
        self._mailbox = mailbox

    async def ask(self, message: Message[R], *, timeout: float | None = ASK_TIMEOUT, when_down: WhenDown = "wait") -> R:
        """See `ActorRef.ask`."""
        mailbox = self._mailbox
        payload = mailbox.check(message, ASK)
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout
        deadline = None if timeout is None else time.monotonic() + timeout
        impatient = when_down == "fail"
        if impatient and mailbox.down:
            raise mailbox.refuse_impatient()
        if mailbox.full:
            async with _in_time(mailbox, message, timeout):
                await mailbox.enter(ASK, message, payload, until=until)
        future: asyncio.Future[R] = loop.create_future()
        decode = mailbox.protocol.handlers[type(message)].reply.decode
        asker = FutureAsker(future, partial(mailbox.decode, decode))
        seq = mailbox.offer(ASK, message, payload, deadline=deadline, asker=asker, impatient=impatient)
        timer = None if until is None else loop.call_at(until, _expire, mailbox, seq, asker, message, timeout)
        try:
            return await future
        finally:
            if timer is not None:
                timer.cancel()
            if future.cancelled():
                mailbox.withdraw(seq, "cancelled")

    async def stream(
        self, message: Message[AsyncIterator[T]], *, timeout: float | None = None
    ) -> AsyncGenerator[T, None]:
        """See `ActorRef.stream`."""
        mailbox = self._mailbox
        payload = mailbox.check(message, STREAM)
        await mailbox.enter(STREAM, message, payload)
        codec = mailbox.protocol.handlers[type(message)].reply
        asker = StreamAsker(partial(mailbox.decode, codec.decode), lambda count: mailbox.credit(seq, count))
        seq = mailbox.offer(STREAM, message, payload, asker=asker)
        try:
            async with aclosing(asker.read(timeout)) as items:
                async for item in items:
                    yield item
        except TimeoutError:
            raise AskTimeout(f"{self.path} sent no further item of {_name(message)} within {timeout} s") from None
        finally:
            mailbox.withdraw(seq, "cancelled")

    async def feed(self, message: Fed[R, T], items: AsyncIterable[T] | Iterable[T]) -> R:
        """See `ActorRef.feed`."""
        mailbox = self._mailbox
        payload = mailbox.check(message, FEED)
        await mailbox.enter(FEED, message, payload)
        handler = mailbox.protocol.handlers[type(message)]
        asker = FeedAsker(partial(mailbox.decode, handler.reply.decode))
        seq = mailbox.offer(FEED, message, payload, asker=asker)
        feeding = asyncio.create_task(
            asker.feed(items, handler.fed or handler.reply, lambda data, over: mailbox.follow(seq, data, over=over))
        )
        try:
            await asyncio.wait((asker.reply, feeding), return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
            reply: R = await asker.reply
            return reply
        finally:
            feeding.cancel()
            mailbox.withdraw(seq, "cancelled")
            await asyncio.gather(feeding, return_exceptions=True)

    def call(self, message: Message[R], *, timeout: float | None = ASK_TIMEOUT) -> R:
        """Refused: it would hold up the event loop."""
        del timeout
        raise UsageError(f"call({_name(message)}) would block the daemon's event loop; write `await ref.ask(...)`")

    async def tell(self, message: Message[Any], *, delay: float = 0.0) -> None:
        """See `ActorRef.tell`."""
        mailbox = self._mailbox
        payload = mailbox.check(message)
        if delay > 0:
            mailbox.offer_later(delay, message, payload)
        elif not mailbox.full or await mailbox.enter(TELL, message, payload):
            mailbox.offer(TELL, message, payload)

    def tell_nowait(self, message: Message[Any]) -> None:
        """See `ActorRef.tell_nowait`."""
        mailbox = self._mailbox
        payload = mailbox.check(message)
        if not mailbox.full or mailbox.overflow(TELL, message, payload, patient=False) is Entry.OPEN:
            mailbox.offer(TELL, message, payload)

    async def terminated(self) -> Terminated:
        """See `ActorRef.terminated`."""
        future: asyncio.Future[Terminated] = asyncio.get_running_loop().create_future()
        self._mailbox.watch(future, lambda end: None if future.done() else future.set_result(end))
        try:
            return await future
        finally:
            self._mailbox.unwatch(future)


def _expire(mailbox: Mailbox, seq: int, asker: FutureAsker, message: Message[Any], timeout: float | None) -> None:
    mailbox.withdraw(seq, "expired")
    asker.failed(AskTimeout(f"{mailbox.path} did not answer {_name(message)} within {timeout} s"))


@asynccontextmanager
async def _in_time(mailbox: Mailbox, message: Message[Any], timeout: float | None) -> AsyncIterator[None]:
    try:
        yield
    except TimeoutError:
        raise AskTimeout(
            f"{mailbox.path} had no room for {_name(message)} within {timeout} s: {mailbox.depth} messages wait"
        ) from None


def _name(message: Message[Any]) -> str:
    return type(message).__qualname__
