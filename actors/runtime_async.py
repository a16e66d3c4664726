"""The driver for actors with async handlers: an event loop in the actor's process.

Law: the same desk and the same order as in `runtime`; `concurrency` handlers at most are under way, each in a lane of
     the black box.
May import: everything below, and asyncio, which is why `child` imports this module only for actors that need it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Any

import msgspec

from actors import envelope as wire
from actors.actor import Actor, Handler
from actors.envelope import NOTHING, Answer, Envelope
from actors.exits import ExitReason
from actors.messages import Message
from actors.runtime import ActorFailed, Desk, Work


class AsyncDriver:
    """Serves one actor on the running event loop of its process."""

    def __init__(self, actor: Actor, desk: Desk) -> None:
        self._actor = actor
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._work: dict[type[Message[Any]], tuple[Handler, Work]] = {
            message: (handler, getattr(actor, handler.name)) for message, handler in desk.protocol.handlers.items()
        }
        self._free = list(range(actor.concurrency - 1, -1, -1))
        self._busy: set[asyncio.Task[None]] = set()
        self._over: asyncio.Future[ExitReason] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        desk.expect = self._expect

    async def run(self) -> ExitReason:
        """Serve until asked to stop, then let the handlers under way finish.

        Raises:
            ActorFailed: a handler raised and the class does not say `on_error = "reply"`.
        """
        self._loop.add_reader(self._desk.channel.fileno(), self._readable)
        self._go_on()
        try:
            reason = await self._over
        finally:
            self._loop.remove_reader(self._desk.channel.fileno())
        if self._busy:
            await asyncio.wait(self._busy)
            if self._over.exception() is not None:
                self._over.result()
        return reason

    def _readable(self) -> None:
        self._desk.take_in(self._desk.channel.receive())
        self._go_on()

    def _go_on(self) -> None:
        """Begin what can begin. Called whenever something arrived, came due or ended."""
        desk = self._desk
        wait = desk.take_due()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if wait is None else self._loop.call_later(wait, self._go_on)
        while self._free and desk.stopping is None:
            envelope = desk.next_wanted()
            if envelope is None:
                break
            task = self._loop.create_task(self._handle(envelope, self._free.pop()))
            self._busy.add(task)
            task.add_done_callback(self._ended)
        if desk.stopping is not None and not self._over.done():
            self._over.set_result(desk.stopping)
        if not desk.pending:
            desk.flush()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None:
            self._go_on()
        elif not self._over.done():
            self._over.set_exception(error)

    async def _handle(self, envelope: Envelope[Message[Any]], lane: int) -> None:
        desk = self._desk
        handler, method = self._work[type(envelope.message)]
        desk.begin(envelope, handler, lane)
        try:
            reply = method(envelope.message)
            if inspect.isawaitable(reply):
                reply = await reply
            payload = msgspec.Raw(handler.reply.encode(reply)) if envelope.kind == wire.ASK else NOTHING
        except Exception as error:
            desk.finish(envelope, *desk.verdict(error), lane)
            if desk.crashes(error):
                desk.flush()
                raise ActorFailed(desk.where(handler), error) from error
        else:
            desk.finish(envelope, wire.REPLY, payload, lane)
        self._free.append(lane)

    def _expect(self, timeout: float | None) -> tuple[int, Awaitable[Answer]]:
        correlation = next(self._desk.correlations)
        future: asyncio.Future[Answer] = self._loop.create_future()

        def arrived(answer: Answer) -> None:
            if not future.done():
                future.set_result(answer)

        self._desk.waiters[correlation] = arrived
        return correlation, self._wait(correlation, future, timeout)

    async def _wait(self, correlation: int, future: asyncio.Future[Answer], timeout: float | None) -> Answer:
        try:
            async with asyncio.timeout(timeout):
                return await future
        finally:
            self._desk.waiters.pop(correlation, None)
