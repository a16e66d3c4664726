"""Tracing: the spans of what actors send to each other, as their requests pass the daemon; a port.

Runs on the loop's thread.
"""

from __future__ import annotations

from typing import Protocol

from actors.wire.from_child import Send, SendMany


class Sending(Protocol):
    """The span of one request to send.

    Attributes:
        trace: its trace context, see `actors.wire.traces`; that of the messages.
    """

    trace: str

    def end(self, error: str | None) -> None:
        """Its sender waits no longer; `error` says what went wrong."""


class Tracing(Protocol):
    """Makes the spans of one tree."""

    def sent(self, frame: Send | SendMany, sender: str) -> Sending | None:
        """Begin the span of a request; None where none is recorded, and its trace context stays as it is."""
