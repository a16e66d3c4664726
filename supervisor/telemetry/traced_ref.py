"""TracedRef: a ref in a traced tree. What it sends has a span, which lasts until the caller waits no longer.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import AbstractContextManager, aclosing
from typing import Any, TypeVar, TypeVarTuple

from opentelemetry import trace

from actors.errors import ActorsError
from actors.messages import Fed, Message, name_of
from actors.ref import ASK_TIMEOUT, WhenDown, listed
from supervisor.jobs.jobs_ref import JobsRef
from supervisor.mailbox.mailbox import Mailbox
from supervisor.telemetry.tree_spans import TreeSpans

R = TypeVar("R")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class TracedRef(JobsRef):
    """The ref of an actor in the daemon; a message that is not sampled costs as much as with a plain one.

    Args:
        spans: of the tree.
        mailbox: of the actor.
        preload: as of `JobsRef`.
    """

    __slots__ = ("_spans",)

    def __init__(self, spans: TreeSpans, mailbox: Mailbox, preload: Callable[[str, dict[str, bytes]], None]) -> None:
        super().__init__(mailbox, preload)
        self._spans = spans

    def _sending(self, message: object, how: str) -> AbstractContextManager[None]:
        return self._spans.sending(_name(message), how, self.path)

    async def ask(
        self,
        message: Message[R],
        *,
        timeout: float | None = ASK_TIMEOUT,
        when_down: WhenDown = "wait",
        key: str | None = None,
    ) -> R:
        """See `ActorRef.ask`."""
        asker = self._mailbox.intake.try_ask(message, timeout) if when_down == "wait" and key is None else None
        if asker is not None:
            try:
                reply: R = await asker.future
            except asyncio.CancelledError:
                self._mailbox.withdraw(asker.seq)
                raise
            return reply
        with self._sending(message, "ask"):
            return await super().ask(message, timeout=timeout, when_down=when_down, key=key)

    async def tell(self, message: Message[Any], *, delay: float = 0.0, key: str | None = None) -> None:
        """See `ActorRef.tell`."""
        if not delay and key is None and self._mailbox.intake.try_tell(message):
            return
        with self._sending(message, "tell"):
            await super().tell(message, delay=delay, key=key)

    def tell_nowait(self, message: Message[Any]) -> None:
        """See `ActorRef.tell_nowait`."""
        if not self._mailbox.intake.try_tell(message):
            with self._sending(message, "tell"):
                super().tell_nowait(message)

    async def stream(
        self, message: Message[AsyncIterator[T]], *, timeout: float | None = None
    ) -> AsyncGenerator[T, None]:
        """See `ActorRef.stream`."""
        items = super().stream(message, timeout=timeout)
        with self._spans.flowing(_name(message), self.path) as span:
            async with aclosing(items if span is None else _within(span, items)) as traced:
                async for item in traced:
                    yield item

    async def feed(self, message: Fed[R, T], items: AsyncIterable[T] | Iterable[T]) -> R:
        """See `ActorRef.feed`."""
        with self._sending(message, "feed"):
            return await super().feed(message, items)

    async def tell_many(self, messages: Iterable[Message[Any]]) -> None:
        """See `ActorRef.tell_many`."""
        sent = listed(self.path, messages)
        with self._spans.sending(_common_name(sent), "tell", self.path, len(sent)):
            await super().tell_many(sent)

    async def ask_many(
        self, messages: Iterable[Message[R]], *, timeout: float | None = ASK_TIMEOUT, when_down: WhenDown = "wait"
    ) -> list[R | ActorsError]:
        """See `ActorRef.ask_many`."""
        asked = listed(self.path, messages)
        with self._spans.sending(_common_name(asked), "ask", self.path, len(asked)):
            return await super().ask_many(asked, timeout=timeout, when_down=when_down)

    async def run(
        self,
        function: Callable[[*Ts], R],
        /,
        *args: *Ts,
        timeout: float | None = None,
        idempotent: bool = False,
        **kwargs: Any,
    ) -> R:
        """See `JobsRef.run`."""
        name = getattr(function, "__qualname__", type(function).__qualname__)
        with self._spans.sending(name, "run", self.path):
            return await super().run(function, *args, timeout=timeout, idempotent=idempotent, **kwargs)


async def _within(span: trace.Span, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The items of a stream; its code runs inside of a span, the code that takes them does not."""
    async with aclosing(items):
        while True:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
            yield item


def _name(message: object) -> str:
    return name_of(message) if isinstance(message, Message) else type(message).__qualname__


def _common_name(messages: list[Message[Any]]) -> str:
    names = {_name(message) for message in messages}
    return names.pop() if len(names) == 1 else "messages"
