"""MailboxRef: an actor's ref in the daemon; sending puts a message into its mailbox.

What cannot be sent is refused in the sender's task, and leaves nothing behind.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from threading import get_ident
from typing import Any, TypeVar

from actors.bounds import check_time
from actors.errors import ActorStopped, AskTimeout, UsageError
from actors.messages import Fed, Message, Terminated, name_of
from actors.ref import ASK_TIMEOUT, ActorRef, WhenDown, check_ask
from actors.wire.frames import ASK, FEED, STREAM, TELL
from supervisor.mailbox.askers import PendingAsk, PendingFeed, PendingStream
from supervisor.mailbox.mailbox import Entry, Mailbox

R = TypeVar("R")
T = TypeVar("T")


class MailboxRef(ActorRef):
    """The ref of an actor in the daemon."""

    __slots__ = ("_mailbox",)

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(mailbox.path)
        self._mailbox = mailbox

    async def ask(self, message: Message[R], *, timeout: float | None = ASK_TIMEOUT, when_down: WhenDown = "wait") -> R:
        """See `ActorRef.ask`."""
        mailbox = self._mailbox
        asker = mailbox.try_ask(message, timeout) if when_down == "wait" else None
        if asker is None:
            check_ask(self.path, timeout, when_down)
            asker = await self._ask(message, timeout, fail_if_down=when_down == "fail")
        try:
            reply: R = await asker.future
        except asyncio.CancelledError:
            mailbox.withdraw(asker.seq)
            raise
        return reply

    async def _ask(self, message: Message[Any], timeout: float | None, *, fail_if_down: bool) -> PendingAsk:
        """Ask when the fast path does not apply: the message has to be checked, or there is no room."""
        mailbox = self._mailbox
        admitted = mailbox.check(message, ASK)
        if fail_if_down and mailbox.down:
            raise mailbox.unserved_error()
        if not mailbox.full:
            return mailbox.ask(admitted, timeout, fail_if_down=fail_if_down)
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout
        async with _in_time(mailbox, message, timeout):
            await mailbox.wait_for_capacity(ASK, admitted, until=until)
        left = None if until is None else max(0.0, until - loop.time())
        return mailbox.ask(admitted, left, fail_if_down=fail_if_down)

    async def stream(
        self, message: Message[AsyncIterator[T]], *, timeout: float | None = None
    ) -> AsyncGenerator[T, None]:
        """See `ActorRef.stream`."""
        mailbox = self._mailbox
        check_ask(self.path, timeout)
        admitted = mailbox.check(message, STREAM)
        await mailbox.wait_for_capacity(STREAM, admitted)
        asker = PendingStream(mailbox.reader_of(admitted.handler.reply), lambda count: mailbox.credit(seq, count))
        seq = mailbox.enqueue(STREAM, admitted, asker=asker)
        try:
            async with aclosing(asker.read(timeout)) as items:
                async for item in items:
                    yield item
        except TimeoutError:
            raise AskTimeout(f"{self.path} sent no further item of {name_of(message)} within {timeout} s") from None
        finally:
            mailbox.withdraw(seq)

    async def feed(self, message: Fed[R, T], items: AsyncIterable[T] | Iterable[T]) -> R:
        """See `ActorRef.feed`."""
        mailbox = self._mailbox
        admitted = mailbox.check(message, FEED)
        await mailbox.wait_for_capacity(FEED, admitted)
        handler = admitted.handler
        asker = PendingFeed(mailbox.reader_of(handler.reply))
        seq = mailbox.enqueue(FEED, admitted, asker=asker)
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
            mailbox.withdraw(seq)
            await asyncio.gather(feeding, return_exceptions=True)

    def call(self, message: Message[R], *, timeout: float | None = ASK_TIMEOUT) -> R:
        """See `ActorRef.call`. From any thread of the daemon but the loop's."""
        mailbox = self._mailbox
        check_ask(self.path, timeout)
        if mailbox.closed is not None:
            raise ActorStopped(f"{self.path} is down for good ({mailbox.closed}); {name_of(message)} was not sent")
        if mailbox.home.forked:
            mailbox.home.check(f"the ref of {self.path}")
        if mailbox.home.thread == get_ident():
            raise UsageError(
                f"call({name_of(message)}) would block the daemon's event loop; write `await ref.ask(...)`"
            )
        return mailbox.home.run(self.ask(message, timeout=timeout), f"{name_of(message)} to {self.path}", timeout)

    async def tell(self, message: Message[Any], *, delay: float = 0.0) -> None:
        """See `ActorRef.tell`."""
        mailbox = self._mailbox
        if not delay and mailbox.try_tell(message):
            return
        if delay:
            check_time(f"delay of tell to {self.path}", delay)
        admitted = mailbox.check(message)
        if delay:
            mailbox.enqueue_later(delay, admitted)
        elif not mailbox.full or await mailbox.wait_for_capacity(TELL, admitted):
            mailbox.enqueue(TELL, admitted)

    def tell_nowait(self, message: Message[Any]) -> None:
        """See `ActorRef.tell_nowait`."""
        mailbox = self._mailbox
        if mailbox.try_tell(message):
            return
        admitted = mailbox.check(message)
        if not mailbox.full or mailbox.when_full(TELL, admitted, patient=False) is Entry.OPEN:
            mailbox.enqueue(TELL, admitted)

    async def terminated(self) -> Terminated:
        """See `ActorRef.terminated`."""
        if self._mailbox.closed is None:
            self._mailbox.home.check(f"the ref of {self.path}")
        future: asyncio.Future[Terminated] = asyncio.get_running_loop().create_future()
        self._mailbox.watch(future, lambda end: None if future.done() else future.set_result(end))
        try:
            return await future
        finally:
            self._mailbox.unwatch(future)


@asynccontextmanager
async def _in_time(mailbox: Mailbox, message: Message[Any], timeout: float | None) -> AsyncIterator[None]:
    try:
        yield
    except TimeoutError:
        raise AskTimeout(
            f"{mailbox.path} had no room for {name_of(message)} within {timeout} s: {mailbox.depth} messages wait",
            started=False,
        ) from None
