"""Errors: everything that can go wrong, by whose fault it is.

The class says who must act; the text says what happened, to whom, in which state, and what to do now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.exits import ExitReport


class ActorsError(Exception):
    """Root of every error that `actors` and `supervisor` raise on purpose.

    Attributes:
        item: what `map` was given, in an error of one of its jobs; None in every other error.
        taken: how many messages the mailbox had taken, in an error of `tell_many`; 0 in every other error.
    """

    item: Any = None
    taken: int = 0


class UsageError(ActorsError, TypeError):
    """Your code asked for something that cannot work; nothing was sent and no other actor was disturbed."""


class DeliveryError(ActorsError):
    """A message was not handled to its end. The subclass says how far it came."""


class ActorStopped(DeliveryError):
    """The actor is stopped and will not come back by itself; the message was not handled.

    Raised in the asker's task, at once when the actor is already down, or when it goes down for good
    while the message waits in its mailbox.
    """


class ActorCrashed(DeliveryError):
    """The actor's process ended before the message was settled.

    Attributes:
        started: True when the handler had begun, False when it had not, None when that is not known.
        finished: True when the handler had returned (its reply was lost), False when it had not, None when
            that is not known.
        report: the exit report of the life that ended, or None when there was none.
    """

    def __init__(
        self, text: str, *, started: bool | None, finished: bool | None, report: ExitReport | None = None
    ) -> None:
        super().__init__(text)
        self.started = started
        self.finished = finished
        self.report = report


class MailboxFull(DeliveryError):
    """The mailbox holds as many messages as its spec allows; the message was not taken."""


class NoSuchActor(DeliveryError, KeyError):
    """No actor has that name; the text lists similar names."""

    def __str__(self) -> str:
        return Exception.__str__(self)


class AskTimeout(DeliveryError, TimeoutError):
    """No reply within the asker's time; the text says how far the message came, and what was in front of it.

    Attributes:
        started: True when its handler had begun, False when it had not, None when the asker cannot know: an actor
            that asks does not see the other's mailbox.
    """

    def __init__(self, text: str, *, started: bool | None = None) -> None:
        super().__init__(text)
        self.started = started


class CallCycle(DeliveryError):
    """The reply would never come: each of these actors waits for the next, and the last for the first.

    Raised in the actor whose ask would close the cycle; the message was not sent.
    """


class HandlerError(ActorsError):
    """The actor's own code raised, or broke the promise of its message's reply type.

    Attributes:
        type_name: qualified name of the remote exception's class.
        message: its text.
        traceback_text: the traceback as the actor's process printed it; no exception object crosses. It is a note of
            this error, so an uncaught one shows it, and its `str` is one line.
        job: the job that raised, `parse('a.py')`; empty when a handler did.
    """

    def __init__(self, type_name: str, message: str, traceback_text: str = "", job: str = "") -> None:
        super().__init__(type_name, message, traceback_text)
        self.type_name = type_name
        self.message = message
        self.traceback_text = traceback_text
        self.job = job
        if traceback_text:
            self.add_note(traceback_text.rstrip())

    def __str__(self) -> str:
        first, *more = self.message.strip().splitlines() or [""]
        raised = f"{self.type_name}: {first}{' ...' if more else ''}" if first else self.type_name
        return f"{self.job} raised {raised}" if self.job else raised


class Rejected(ActorsError):
    """An expected refusal: raise it in a handler and the asker gets it, while the actor lives on."""


class WireError(ActorsError):
    """The peer sent bytes that are not of the protocol; only that life ends."""


class FrameTooLarge(WireError):
    """A frame announces more bytes than the channel allows."""


class UndecodableMessage(WireError):
    """A frame's bytes do not decode to any type the receiver knows."""
