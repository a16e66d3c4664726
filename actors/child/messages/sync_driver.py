"""SyncDriver: how sync handlers wait: they read the channel themselves, and the actor handles nothing else meanwhile.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from actors.child.messages.calls import Calls
from actors.child.messages.inbox import Inbox
from actors.child.messages.outbox import Outbox
from actors.errors import UsageError
from actors.ipc.channel import Channel
from actors.wire.codec import encode
from actors.wire.from_child import Withdraw
from actors.wire.to_child import Answer

if TYPE_CHECKING:
    from actors.child.messages.driver import Clock, Handled


class SyncDriver:
    """The driver of one life while its code is sync.

    Attributes:
        current: the message being handled, or the batch that has it.
        health_wanted: whether the daemon wants to know how the actor is; it is told between two messages.
    """

    def __init__(self, channel: Channel, inbox: Inbox, outbox: Outbox, calls: Calls, clock: Clock) -> None:
        self.health_wanted = False
        self.current: Handled | None = None
        self.revoke = inbox.cancel
        self._channel = channel
        self._inbox = inbox
        self._outbox = outbox
        self._calls = calls
        self._clock = clock

    def handled(self) -> Handled | None:
        """See `Driver.handled`."""
        return self.current

    def blocks(self) -> bool:
        """See `Driver.blocks`."""
        return True

    async def answer(self, correlation: int, until: float | None) -> Answer:
        """Refused."""
        del correlation, until
        raise UsageError(
            "a sync handler cannot await; use ref.call(...) and ref.tell_nowait(...), or make it `async def`"
        )

    def answers(self, correlation: int, timeout: float | None) -> AsyncGenerator[Answer, None]:
        """Refused."""
        del correlation, timeout
        raise UsageError("a sync handler cannot read a stream; make it `async def`")

    def block(self, correlation: int, until: float | None) -> Answer:
        """Read the channel until the answer arrives; other messages are queued meanwhile."""
        arrived: list[Answer] = []
        self._calls.waiters[correlation] = arrived.append
        self._outbox.flush()  # a sender that waits for an acknowledgement must not wait for this answer
        try:
            while not arrived:
                if not self._channel.readable(None if until is None else until - self._clock.monotonic()):
                    self._outbox.send(encode(Withdraw(correlation)))
                    raise TimeoutError
                self._inbox.receive()
        finally:
            self._calls.waiters.pop(correlation, None)
        return arrived[0]

    def has_read(self) -> None:
        """Nothing to do: the loop looks at the inbox before it reads."""

    def has_news(self, seq: int) -> None:
        """Nothing to do: a handler that waits looks by itself."""

    def health_asked(self) -> None:
        """See `Driver.health_asked`. A handler may be running."""
        self.health_wanted = True
