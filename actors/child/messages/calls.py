"""Calls: the asks of one life that wait for their answers.

Runs in the actor's process, in its main thread; what waits is refused in every other one.
"""

from __future__ import annotations

import threading
from _thread import get_ident  # once for all: a module of the actor's may have gevent replace it later
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.child.messages.inbox import Inbox
from actors.child.messages.outbox import Outbox
from actors.errors import UsageError
from actors.wire import kinds
from actors.wire.framing import Carried
from actors.wire.to_child import Answer, End

if TYPE_CHECKING:
    from actors.child.messages.driver import Clock, Driver
    from actors.child.messages.remote_ref import RemoteRef
    from actors.child.spans import Spans
    from actors.messages import Message
    from actors.ref import ActorRef

_read_ends: Final = msgspec.msgpack.Decoder(list[End]).decode


@cache
def _class_of_refs() -> type[RemoteRef]:
    from actors.child.messages.remote_ref import RemoteRef  # noqa: PLC0415 - see `beginning.import_needs`

    return RemoteRef


class LargeAnswer(Answer, frozen=True):
    """An answer whose reply came as an attachment: kind `BESIDE`, and that attachment."""

    attachment: Carried


class SharedAnswer(Answer, frozen=True):
    """An answer with values in shared memory: kind `SHARED_REPLY` or `SHARED_ITEM`, and these values."""

    attachments: list[Carried]


class SentMany:
    """The messages of one `SendMany` that waits for its answer.

    Attributes:
        correlation: the number of the answer.
        messages: as they were sent.
        ends: what has ended; of tells, when not all were taken, those that were.
        answer: what says that no more ends; None until it has arrived, also where nobody takes it.
    """

    def __init__(self, correlation: int, messages: Sequence[Message[Any]]) -> None:
        self.correlation = correlation
        self.messages = messages
        self.ends: list[End] = []
        self.answer: Answer | None = None

    @property
    def taken(self) -> int:
        """How many tells were taken; known when the answer has arrived."""
        accepted = self.answer is not None and self.answer.kind == kinds.ACCEPTED
        return len(self.messages) if accepted else len(self.ends)


class Calls:
    """How refs send and wait in one life: the transport of every `RemoteRef`.

    Args:
        path: of the actor.
        inbox: where answers arrive.
        outbox: where asks leave.
        clock: of the life.

    Attributes:
        driver: how the caller waits.
        waiters: what gets the answer, by correlation number.
        now: seconds of the life's clock, on which its deadlines are.
        many: each `SendMany` that waits for its answer, by correlation number.
        spans: the current span of the OpenTelemetry API, None where it is not looked at.
    """

    def __init__(self, path: str, inbox: Inbox, outbox: Outbox, clock: Clock) -> None:
        self.driver: Driver
        self.waiters: dict[int, Callable[[Answer], None]] = {}
        self.many: dict[int, SentMany] = {}
        self.spans: Spans | None = None
        self._path = path
        self._inbox = inbox
        self._outbox = outbox
        self._numbers = count(1)
        self.now = clock.monotonic
        self._thread = get_ident()

    def ref(self, path: str) -> ActorRef:
        """The ref of another actor, or of this one."""
        return _class_of_refs()(path, self)

    def send(self, frame: bytes, attachments: Sequence[Carried] = ()) -> None:
        """Send one frame, and before it the attachments that belong to it. Works in every thread."""
        self._outbox.send(frame, attachments)

    def check_thread(self, what: str) -> None:
        """Check that the caller runs in the thread of the handlers.

        Raises:
            UsageError: it does not. Nothing was done.
        """
        if get_ident() != self._thread:
            raise UsageError(
                f"{what} of {self._path} works only in the thread of its handlers, not in "
                f"{threading.current_thread().name}: what arrives is read there; send with tell_nowait(...) from here, "
                f"or hand the work back to a handler"
            )

    def correlate(self) -> int:
        """A fresh correlation number."""
        return next(self._numbers)

    def deadline(self) -> float | None:
        """Until when the result of the current handler is wanted."""
        envelope = self.driver.handled()
        return None if envelope is None else envelope.deadline

    def trace(self) -> str | None:
        """The trace context of what the caller sends: of the message that it handles, or of its own current span."""
        envelope = self.driver.handled()
        trace = None if envelope is None else envelope.trace
        return trace if self.spans is None else self.spans.current(trace)

    def blocks(self) -> bool:
        """See `Driver.blocks`."""
        return self.driver.blocks()

    async def answer(self, correlation: int, until: float | None) -> Answer:
        """See `Driver.answer`."""
        return await self.driver.answer(correlation, until)

    def answers(self, correlation: int, timeout: float | None) -> AsyncGenerator[Answer, None]:
        """See `Driver.answers`."""
        return self.driver.answers(correlation, timeout)

    def block(self, correlation: int, until: float | None) -> Answer:
        """See `Driver.block`."""
        return self.driver.block(correlation, until)

    def settle(self, sent: SentMany) -> None:
        """Read the channel until the daemon has said what it has taken of a call that was withdrawn.

        The actor does nothing else for that instant: what it sends next comes behind.
        """
        while sent.answer is None:
            self._inbox.receive()
        self.driver.has_read()

    def take(self, answer: Answer) -> None:
        """An answer has arrived; one that is not awaited any more is dropped."""
        if answer.kind == kinds.BESIDE:
            attachment = self._inbox.take_attachments()[-1]
            answer = LargeAnswer(answer.correlation, answer.kind, answer.payload, attachment)
        elif answer.kind in (kinds.SHARED_REPLY, kinds.SHARED_ITEM):
            attachments = self._inbox.take_attachments()
            answer = SharedAnswer(answer.correlation, answer.kind, answer.payload, attachments)
        if self.many and (sent := self.many.get(answer.correlation)) is not None:
            if answer.kind == kinds.ENDS:
                sent.ends += _read_ends(answer.payload)
                return
            sent.answer = answer
        take = self.waiters.get if answer.kind in kinds.ITEMS else self.waiters.pop
        waiter = take(answer.correlation, None)
        if waiter is not None:
            waiter(answer)
