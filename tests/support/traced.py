"""Actors that send, stream, die and have spans of their own, for tests of tracing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator

from actors import Actor, Message, Topic, handles


class Add(Message[int]):
    left: int
    right: int


class Note(Message[None]):
    text: str = ""


class Kill(Message[int]):
    idempotent = True
    until: int = 1  # lives that it kills


class Strike(Message[None]): ...


class Fail(Message[int]):
    text: str = "no"


class Large(Message[int]):
    text: str
    data: bytes = b""


class Count(Message[AsyncIterator[int]]):
    upto: int


class Forward(Message[int]):
    to: str
    how: str


class Later(Message[None]):
    to: str


class Where(Message[str]):
    """Answers with the trace id of the current span, as the OpenTelemetry API says it."""


NEWS = Topic("news", Note)


class Calc(Actor):
    on_error = "reply"

    def on_start(self) -> None:
        self.context.subscribe(NEWS)

    @handles
    def add(self, message: Add) -> int:
        return message.left + message.right

    @handles
    def note(self, message: Note) -> None: ...

    @handles
    def kill(self, message: Kill) -> int:
        if self.context.incarnation <= message.until:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.context.incarnation

    @handles
    def strike(self, message: Strike) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @handles
    def fail(self, message: Fail) -> int:
        raise ValueError(message.text)

    @handles
    def large(self, message: Large) -> int:
        return len(message.text) + len(message.data)

    @handles
    def count(self, message: Count) -> Iterator[int]:
        yield from range(message.upto)


class Several(Actor):
    """Several at once, on an event loop."""

    concurrency = 4

    @handles
    async def kill(self, message: Kill) -> int:
        await asyncio.sleep(0)
        return Calc.kill(self, message)  # type: ignore[arg-type]

    @handles
    async def note(self, message: Note) -> None:
        await asyncio.sleep(0)

    @handles
    async def strike(self, message: Strike) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Sender(Actor):
    @handles
    async def forward(self, message: Forward) -> int:
        other = self.context.actor(message.to)
        match message.how:
            case "ask":
                return await other.ask(Add(1, 2), timeout=None)
            case "tell":
                await other.tell(Note())
            case "nowait":
                other.tell_nowait(Note())
            case "delayed":
                await other.tell(Note(), delay=0.01)
            case "many":
                await other.tell_many([Note(), Note()])
                return len(await other.ask_many([Add(1, 2), Add(2, 3)], timeout=None))
            case "stream":
                return sum([item async for item in other.stream(Count(3))])
            case "publish":
                self.context.publish(NEWS, Note())
            case "after":
                self.context.after(0.01, Later(message.to))
        return 0

    @handles
    async def later(self, message: Later) -> None:
        await self.context.actor(message.to).tell(Note())


class Opened(Actor):
    """Uses the OpenTelemetry API itself."""

    @handles
    def where(self, message: Where) -> str:
        from opentelemetry import trace  # noqa: PLC0415

        return f"{trace.get_current_span().get_span_context().trace_id:032x}"
