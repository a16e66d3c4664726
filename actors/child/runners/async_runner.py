"""Async runner: an event loop in the actor's process, for actors with async handlers.

The same state and order as in `sync_runner`; at most `concurrency` handlers run at once, each in a lane of the black
box.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from asyncio import _get_running_loop  # the public one raises where there is none
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

from actors.actor import Actor
from actors.child.life import Life
from actors.child.messages.streams import FlowEnded, decoded_item
from actors.child.runners.batches import Work
from actors.child.runners.handling import Handling, Payload
from actors.child.runners.replies import item_of, payload_of
from actors.errors import UsageError
from actors.exits import ExitReason
from actors.ipc.box_cells import DOORBELL
from actors.messages import Message
from actors.process.task_stacks import show_tasks_of
from actors.process.time_limit import LANE
from actors.protocol.protocol import Handler
from actors.ref import STREAM_CREDIT, credit_of
from actors.wire import kinds
from actors.wire.codec import ReplyCodec, encode
from actors.wire.from_child import Withdraw
from actors.wire.kinds import NOTHING
from actors.wire.to_child import Answer, Envelope

_HANDLED: Final[ContextVar[Envelope[Message[Any]] | None]] = ContextVar("handled", default=None)


class AsyncDriver:
    """Serves one actor on the running event loop of its process."""

    def __init__(self, actor: Actor, life: Life) -> None:
        self._actor = actor
        self._life = life
        self._handling = Handling(life)
        self._loop = asyncio.get_running_loop()
        show_tasks_of(self._loop)
        self._work: dict[type[Message[Any]], tuple[Handler, Work]] = {
            message: (handler, getattr(actor, handler.name)) for message, handler in life.protocol.handlers.items()
        }
        self._free = list(range(actor.concurrency - 1, -1, -1))
        self._busy: set[asyncio.Task[None]] = set()
        self._over: asyncio.Future[ExitReason] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._serving = False
        self._tasks: dict[int, asyncio.Task[None]] = {}  # by sequence number
        self._begun: set[int] = set()
        self._revoked: set[int] = set()
        self._failure: BaseException | None = None
        self._news: dict[int, asyncio.Future[None]] = {}  # waits for credit or items, by sequence number

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While inside, what arrives is taken in and code waits on the loop; messages begin only while `run` runs."""
        life, fd = self._life, self._life.channel.fileno()
        life.drive_with(self)
        life.copies.then = lambda: self._loop.call_soon(os._exit, 0)  # a copy does not go on with other handlers
        self._loop.add_reader(fd, self._readable)
        try:
            yield
        finally:
            self._loop.remove_reader(fd)
            life.drive_with(life.sync_driver)

    async def run(self) -> ExitReason:
        """Serve until asked to stop, then let the running handlers finish.

        Raises:
            ActorFailed: a handler raised and the class does not say `on_error = "reply"`.
        """
        self._serving = True
        self._life.keep_replies(())  # of batches only: code that is no handler may keep the loop
        try:
            self._go_on()
            reason = await self._over
        finally:
            self._serving = False
        while self._busy:
            await asyncio.wait(self._busy)
        if self._failure is not None:
            raise self._failure
        return reason

    def _readable(self) -> None:
        try:
            if self._life.channel.readable(0):  # `check_control` may have read it since the loop looked
                self._life.inbox.receive()
        except BaseException as error:
            self._fail(error)
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Begin what can begin. Called whenever something arrived, came due or ended."""
        try:
            self._begin_next()
        except BaseException as error:  # the loop would go on without what has not been done
            self._fail(error)

    def _begin_next(self) -> None:
        life = self._life
        if life.cells[DOORBELL] != life.rings:  # before the next message begins, as in `sync_runner`
            life.check_control()
        wait = life.timers.take_due(life.inbox.pending)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if wait is None else self._loop.call_later(wait, self._go_on)
        while self._free and self._serving and self._failure is None and life.leaving.reason is None:
            envelope = life.inbox.next_wanted()
            if envelope is None:
                break
            # not by the loop's task factory: an eager one would begin the handler before its task is known here
            task = asyncio.Task(self._handle(envelope, self._free.pop()), loop=self._loop)
            self._busy.add(task)
            self._tasks[envelope.seq] = task
            task.add_done_callback(self._ended)
        if life.leaving.if_idle and not self._busy:
            life.stop_if_idle()
        if life.leaving.reason is not None and not self._over.done():
            self._over.set_result(life.leaving.reason)
            for seq in tuple(self._news):
                self.has_news(seq)
        if not life.inbox.pending or not self._free or life.leaving.reason is not None:  # no message begins now
            life.outbox.flush()

    def _fail(self, error: BaseException) -> None:
        """This life ends by an exception: nothing begins any more, and no handler is waited for."""
        self._failure = self._failure or error
        if not self._over.done():
            self._over.set_exception(error)
        else:
            for task in self._busy:
                task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failure = self._failure or error
            if not self._over.done():
                self._over.set_exception(error)
        elif self._failure is None:
            self._go_on()

    async def _handle(self, envelope: Envelope[Message[Any]], lane: int) -> None:
        if self._failure is not None:
            return
        life, handling = self._life, self._handling
        handler, method = self._work[type(envelope.message)]
        self._begun.add(envelope.seq)
        _HANDLED.set(envelope)
        LANE.set(lane)
        try:
            handling.begin(envelope, handler, lane)
        except BaseException as error:  # if the next one began, this one would count as handled
            self._fail(error)
            raise
        if envelope.seq in self._revoked:  # withdrawn after it was taken from the inbox
            self._tasks[envelope.seq].cancel()
        try:
            payload = await self._outcome(handler, method, envelope)
            life.copies.leave()
        except FlowEnded as ended:
            handling.finish(envelope, ended.kind, NOTHING, lane)
        except BaseException as error:  # the loop need not see an exit: it would stop at once
            if isinstance(error, asyncio.CancelledError) and envelope.seq in self._revoked:
                handling.finish(envelope, kinds.CANCELLED, NOTHING, lane)
            elif self._is_not_its_own(error):
                raise
            else:
                handling.fail(envelope, handler, error, lane)
        else:
            handling.finish_well(envelope, payload, lane)
        self._revoked.discard(envelope.seq)
        self._begun.discard(envelope.seq)
        self._tasks.pop(envelope.seq, None)
        self._free.append(lane)

    def _is_not_its_own(self, error: BaseException) -> bool:
        """Whether a handler has not raised this by itself: its life is ending, or its coroutine is closed."""
        if isinstance(error, asyncio.CancelledError):
            return self._over.done()
        return isinstance(error, GeneratorExit) and asyncio.current_task(self._loop) not in self._busy

    # ---- as a Driver

    def handled(self) -> Envelope[Message[Any]] | None:
        """See `Driver.handled`."""
        return _HANDLED.get()  # each running handler has its own context, which the tasks it makes inherit

    async def answers(self, correlation: int, timeout: float | None) -> AsyncGenerator[Answer, None]:
        """See `Driver.answers`."""
        arrived: asyncio.Queue[Answer] = asyncio.Queue()
        self._life.calls.waiters[correlation] = arrived.put_nowait
        self._life.outbox.flush()
        over = False
        try:
            while not over:
                async with asyncio.timeout(timeout):
                    answer = await arrived.get()
                over = answer.kind not in kinds.ITEMS
                yield answer
        finally:
            self._life.calls.waiters.pop(correlation, None)
            if not over:
                self._life.outbox.send(encode(Withdraw(correlation)))

    async def _outcome(self, handler: Handler, method: Work, envelope: Envelope[Message[Any]]) -> Payload:
        """Call the handler; returns what its sender gets."""
        if handler.flows:
            try:
                return await self._outcome_of_flow(handler, method, envelope)
            finally:
                self._life.streams.close(envelope.seq)
        reply = method(envelope.message)
        if inspect.isawaitable(reply):
            reply = await reply
        return payload_of(self._life, handler, envelope.kind, reply)

    async def _outcome_of_flow(self, handler: Handler, method: Work, envelope: Envelope[Message[Any]]) -> Payload:
        """As `_outcome`, of a handler that streams or is fed."""
        if handler.streams:
            await self._yield_all(handler, method, envelope)
            return NOTHING
        assert handler.fed is not None  # noqa: S101 - what flows streams or is fed
        self._life.streams.open_feed(envelope.seq)
        reply = method(envelope.message, self._items(handler.fed, envelope.seq))
        if inspect.isawaitable(reply):
            reply = await reply
        return payload_of(self._life, handler, envelope.kind, reply)

    async def _yield_all(self, handler: Handler, method: Work, envelope: Envelope[Message[Any]]) -> None:
        """Run a generator as far ahead of its reader as the credit allows."""
        life, seq = self._life, envelope.seq
        life.streams.open_stream(seq)
        async with aclosing(_as_async(method(envelope.message))) as items:
            async for item in items:
                life.streams.put_item(seq, *item_of(life, handler, item))
                await self._wait_while(seq, lambda: not life.streams.has_credit(seq))

    async def _items(self, codec: ReplyCodec, seq: int) -> AsyncIterator[Any]:
        """The items that follow a message, as they arrive."""
        arrived, taken = self._life.streams.arrived(seq), 0
        while True:
            await self._wait_while(seq, lambda: not arrived)
            item = arrived.popleft()
            if item is None:
                return
            yield decoded_item(codec, item)
            taken += credit_of(item[1])
            if taken >= STREAM_CREDIT // 2:
                self._life.streams.want(seq, taken)
                taken = 0

    async def _wait_while(self, seq: int, lacks: Callable[[], bool]) -> None:
        try:
            while lacks():
                if self._life.leaving.reason is not None:
                    raise FlowEnded(kinds.STOPPED)
                self._life.time_limit.rest()
                self._life.outbox.flush()
                news = self._news[seq] = self._loop.create_future()
                try:
                    await news
                finally:
                    self._news.pop(seq, None)
            if self._life.leaving.reason is not None:
                raise FlowEnded(kinds.STOPPED)
        finally:
            self._life.time_limit.renew()

    def has_read(self) -> None:
        """See `Driver.has_read`."""
        self._loop.call_soon(self._go_on)

    def has_news(self, seq: int) -> None:
        """See `Driver.has_news`."""
        news = self._news.get(seq)
        if news is not None and not news.done():
            news.set_result(None)

    def revoke(self, seq: int) -> None:
        """See `Driver.revoke`."""
        task = self._tasks.get(seq)
        if task is None:
            self._life.inbox.cancel(seq)
            return
        self._revoked.add(seq)
        if seq in self._begun:
            task.cancel()

    def block(self, correlation: int, until: float | None) -> Answer:
        """Refused."""
        del correlation, until
        raise UsageError("call(...) would hold up the other handlers of an async actor; write `await ref.ask(...)`")

    def health_asked(self) -> None:
        """See `Driver.health_asked`."""
        self._life.tell_health()

    def blocks(self) -> bool:
        """See `Driver.blocks`."""
        return self._actor.concurrency == 1 and asyncio.current_task() in self._busy

    async def answer(self, correlation: int, until: float | None) -> Answer:
        """See `Driver.answer`."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._life.calls.waiters[correlation] = partial(_answered, future)
        self._life.outbox.flush()
        try:
            async with asyncio.timeout_at(
                None if until is None else until - self._life.clock.monotonic() + self._loop.time()
            ):
                return await future
        except BaseException:
            self._life.outbox.send(encode(Withdraw(correlation)))
            raise
        finally:
            self._life.calls.waiters.pop(correlation, None)


def is_broken_off(error: BaseException) -> bool:
    """Whether the code of the running task has not raised this by itself: it is cancelled, or its loop has ended."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, GeneratorExit) and _get_running_loop() is None


def _answered(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():  # its handler is cancelled, and has not run since
        future.set_result(answer)


async def _as_async(items: Any) -> AsyncGenerator[Any, None]:
    """A generator of either kind as an async one, closed with it."""
    if hasattr(items, "__aiter__"):
        async with aclosing(items):
            async for item in items:
                yield item
    else:
        with closing(items):
            for item in items:
                yield item
