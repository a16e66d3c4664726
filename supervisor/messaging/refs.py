"""MailboxRef: an actor's ref in the daemon; sending puts a message into its mailbox.

What cannot be sent is refused in the sender's task, and leaves nothing behind.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from contextvars import copy_context
from typing import Any, TypeVar, cast

from actors.bounds import check_time, shown
from actors.errors import ActorsError, ActorStopped, AskTimeout, UsageError
from actors.messages import Fed, Message, Terminated, name_of
from actors.ref import ASK_TIMEOUT, ActorRef, WhenDown, check_ask, listed, note_taken
from actors.wire.codec import PATH_OF
from actors.wire.kinds import ASK, FEED, STREAM, TELL
from supervisor.core.rules.down import is_down
from supervisor.mailbox.askers import Asker, PendingAsk, PendingFeed, PendingStream
from supervisor.mailbox.intake.bulk import BulkCall, Part, this_call
from supervisor.mailbox.intake.entry import Dropped, Entry, Patience, Taken, Wait
from supervisor.mailbox.mailbox import Mailbox
from supervisor.mailbox.many import PendingAskMany
from supervisor.mailbox.validation import Admitted

R = TypeVar("R")
T = TypeVar("T")


class MailboxRef(ActorRef):
    """The ref of an actor in the daemon."""

    __slots__ = ("_mailbox",)

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(mailbox.path)
        self._mailbox = mailbox

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox that it sends to."""
        return self._mailbox

    async def ask(
        self,
        message: Message[R],
        *,
        timeout: float | None = ASK_TIMEOUT,
        when_down: WhenDown = "wait",
        key: str | None = None,
    ) -> R:
        """See `ActorRef.ask`."""
        mailbox = self._mailbox
        asker = mailbox.intake.try_ask(message, timeout) if when_down == "wait" and key is None else None
        if asker is None:
            check_ask(self.path, timeout, when_down)
            asker = await self._ask(message, timeout, fail_if_down=when_down == "fail", key=key)
        try:
            reply: R = await asker.future
        except asyncio.CancelledError:
            mailbox.withdraw(asker.seq)
            raise
        return reply

    async def _ask(
        self, message: Message[Any], timeout: float | None, *, fail_if_down: bool, key: str | None
    ) -> PendingAsk:
        """Ask when the fast path does not apply: the message has to be checked, or there is no room."""
        mailbox = self._mailbox
        mailbox.intake.check_key(key)
        admitted = mailbox.intake.check(message, ASK)
        if fail_if_down and mailbox.consumers.down:
            raise mailbox.unserved_error()
        asker, entered = mailbox.intake.post_ask(admitted, timeout, fail_if_down=fail_if_down, key=key)
        if isinstance(entered, Wait):
            try:
                await entered.taken(asker.deadline)
            except BaseException as error:
                asker.future.cancel()  # it may have entered in this very moment: what it ends as has no reader
                if asker.seq:
                    mailbox.withdraw(asker.seq)
                if isinstance(error, TimeoutError):
                    raise mailbox.not_taken(name_of(message), timeout, error) from None
                raise
        return asker

    async def _enter(self, kind: int, message: Admitted, asker: Asker) -> int:
        """Post a stream or a feed, and wait for room; returns its sequence number."""
        entered = self._mailbox.intake.post(Entry(kind, message, asker=asker), Patience.WAIT)
        if isinstance(entered, Wait):
            entered = await entered.taken()
        assert isinstance(entered, Taken)  # noqa: S101 - only tells are dropped
        return entered.seq

    async def stream(
        self, message: Message[AsyncIterator[T]], *, timeout: float | None = None
    ) -> AsyncGenerator[T, None]:
        """See `ActorRef.stream`."""
        mailbox = self._mailbox
        check_ask(self.path, timeout)
        admitted = mailbox.intake.check(message, STREAM)
        read = mailbox.intake.reader_of(admitted.handler.reply)
        asker = PendingStream(read, lambda count: mailbox.dispatcher.credit(seq, count))
        seq = await self._enter(STREAM, admitted, asker)
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
        admitted = mailbox.intake.check(message, FEED)
        if not isinstance(items, AsyncIterable | Iterable):
            raise UsageError(
                f"{name_of(message)} to {self.path} is followed by items; {shown(items)} is not an iterable of them. "
                f"Nothing was sent"
            )
        handler = admitted.handler
        asker = PendingFeed(mailbox.intake.reader_of(handler.reply), f"{name_of(message)} to {self.path}")
        seq = await self._enter(FEED, admitted, asker)
        follow = mailbox.dispatcher.follow
        context = copy_context()
        context.run(PATH_OF.set, mailbox.path_of)
        feeding = asyncio.create_task(
            asker.feed(
                items,
                handler.fed or handler.reply,
                lambda data, attachments, over: follow(seq, data, attachments, over=over),
            ),
            context=context,
        )
        try:
            await asyncio.wait((asker.reply, feeding), return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
            reply: R = await asker.reply
            return reply
        finally:
            feeding.cancel()
            asker.reply.cancel()  # one end is told; what the other side says after it is dropped
            mailbox.withdraw(seq)
            await asyncio.gather(feeding, asker.reply, return_exceptions=True)

    def call(self, message: Message[R], *, timeout: float | None = ASK_TIMEOUT) -> R:
        """See `ActorRef.call`. From any thread of the daemon but the loop's."""
        mailbox = self._mailbox
        check_ask(self.path, timeout)
        if mailbox.closed is not None:
            raise ActorStopped(f"{is_down(self.path, mailbox.closed)}; {name_of(message)} was not sent")
        self._check_call(f"call({name_of(message)})", "ref.ask(...)", timeout)
        return mailbox.home.run(self.ask(message, timeout=timeout), f"{name_of(message)} to {self.path}", timeout)

    async def tell(self, message: Message[Any], *, delay: float = 0.0, key: str | None = None) -> None:
        """See `ActorRef.tell`."""
        intake = self._mailbox.intake
        if delay == 0.0 and key is None:
            if intake.try_tell(message):
                return
            stored = intake.try_store(message)
            if stored is not None:
                await stored
                return
        if delay != 0.0:
            check_time(f"delay of tell to {self.path}", delay)
        intake.check_key(key)
        admitted = intake.check(message)
        if delay:
            entered: Taken | Wait | Dropped | None = intake.post_later(delay, admitted, key=key)
        else:
            entered = intake.post(Entry(TELL, admitted, key=key), Patience.WAIT)
        if isinstance(entered, Wait):
            await entered.taken()

    async def tell_many(self, messages: Iterable[Message[Any]]) -> None:
        """See `ActorRef.tell_many`."""
        bulk = self._mailbox.bulk
        call = BulkCall(TELL)
        try:
            await bulk.post(await bulk.check(listed(self.path, messages), TELL), call)
        except BaseException as error:
            note_taken(error, call.taken)
            raise

    async def ask_many(
        self, messages: Iterable[Message[R]], *, timeout: float | None = ASK_TIMEOUT, when_down: WhenDown = "wait"
    ) -> list[R | ActorsError]:
        """See `ActorRef.ask_many`."""
        mailbox, asked = self._mailbox, listed(self.path, messages)
        check_ask(self.path, timeout, when_down)
        deadline = None if timeout is None else mailbox.capacity.clock() + timeout
        try:
            parts = await mailbox.bulk.check(asked, ASK)
        except ActorStopped as error:
            return [error] * len(asked)
        if when_down == "fail" and mailbox.consumers.down:
            return [mailbox.unserved_error() for _ in asked]
        asker = PendingAskMany([reader for part in parts for reader in mailbox.bulk.readers(part)])
        call = BulkCall(ASK, None, deadline, asker, fail_if_down=when_down == "fail")
        names = [type(message).__qualname__ for message in asked]
        timer = None
        if timeout is not None:
            timer = mailbox.home.loop.call_later(timeout, mailbox.unanswered.expire_many, asker, names, timeout)
        try:
            await self._post_asks(parts, call, asker, timeout)
            if asked:
                await asker.over
        except BaseException:
            mailbox.unanswered.withdraw_many(asker)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        return cast("list[R | ActorsError]", asker.results)

    async def _post_asks(self, parts: list[Part], call: BulkCall, asker: PendingAskMany, timeout: float | None) -> None:
        """Post asks; those that cannot be sent end with an error."""
        error: ActorsError
        try:
            await self._mailbox.bulk.post(parts, call)
        except TimeoutError as late:
            error = self._mailbox.not_taken("all of these messages", timeout, late)
        except ActorStopped as stopped:
            error = stopped
        else:
            return
        for index in list(asker.unsent()):
            asker.failed(index, error)

    def call_many(
        self, messages: Iterable[Message[R]], *, timeout: float | None = ASK_TIMEOUT
    ) -> list[R | ActorsError]:
        """See `ActorRef.call_many`. From any thread of the daemon but the loop's."""
        mailbox, asked = self._mailbox, listed(self.path, messages)
        check_ask(self.path, timeout)
        what = this_call(asked)
        try:
            if mailbox.closed is not None:
                raise ActorStopped(f"{is_down(self.path, mailbox.closed)}; {what} was not sent")
            self._check_call("call_many(...)", "ref.ask_many(...)", timeout)
            return mailbox.home.run(self.ask_many(asked, timeout=timeout), f"{what} to {self.path}", timeout)
        except UsageError:
            raise
        except ActorsError as error:  # the actor, or the loop, takes none of them
            return [error] * len(asked)

    def _check_call(self, what: str, instead: str, timeout: float | None) -> None:
        """Check that this thread may block.

        Raises:
            UsageError: it may not.
        """
        home = self._mailbox.home
        check_ask(self.path, timeout)
        if home.forked:
            home.check(f"the ref of {self.path}")
        if home.thread == threading.get_ident():
            raise UsageError(f"{what} would block the daemon's event loop; write `await {instead}`")

    def tell_nowait(self, message: Message[Any]) -> None:
        """See `ActorRef.tell_nowait`."""
        intake = self._mailbox.intake
        if not intake.try_tell(message):
            intake.post(Entry(TELL, intake.check(message)), Patience.REFUSE)

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
