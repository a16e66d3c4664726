"""Driver: what runs the handlers of one life, and how their code waits.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from actors.wire.to_child import Answer


class Clock(Protocol):
    """The time of a life. In a process it is the module `time`, whose monotonic clock all processes share."""

    def monotonic(self) -> float:
        """Seconds."""

    def monotonic_ns(self) -> int:
        """The same in nanoseconds."""

    def time(self) -> float:
        """Seconds since the epoch."""


class Handled(Protocol):
    """The message that is being handled, or the batch that has it."""

    @property
    def sender(self) -> str | None:
        """As in `Envelope`."""

    @property
    def deadline(self) -> float | None:
        """As in `Envelope`."""

    @property
    def trace(self) -> str | None:
        """As in `Envelope`."""


class Driver(Protocol):
    """A loop over the inbox (`sync_runner`), or an event loop (`async_runner`)."""

    def handled(self) -> Handled | None:
        """The message that the caller handles."""

    def blocks(self) -> bool:
        """Whether the actor handles nothing else while the caller waits."""

    async def answer(self, correlation: int, until: float | None) -> Answer:
        """Wait for an answer while other handlers run; TimeoutError at `until` (seconds of the life's clock)."""

    def answers(self, correlation: int, timeout: float | None) -> AsyncGenerator[Answer, None]:
        """Every answer to a stream, each within `timeout` seconds; TimeoutError when one does not come."""

    def block(self, correlation: int, until: float | None) -> Answer:
        """Wait for an answer and do nothing else; TimeoutError at `until` (seconds of the life's clock)."""

    def revoke(self, seq: int) -> None:
        """A message is no longer wanted: cancel its handler, or skip it."""

    def has_read(self) -> None:
        """Something has been read beside the loop: begin what can begin."""

    def has_news(self, seq: int) -> None:
        """A running message has new credit or items."""

    def health_asked(self) -> None:
        """The daemon wants to know how the actor is."""
