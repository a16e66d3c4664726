"""Intake checks: whether a message may come into a mailbox now: from here, from this sender, in this way.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.errors import ActorStopped, UsageError
from actors.messages import Message
from actors.wire.framing import Carried
from actors.wire.kinds import TELL
from supervisor.core.delivery.messages import tag_of
from supervisor.core.rules.down import Down, is_down
from supervisor.loop_affinity import Home
from supervisor.mailbox.validation import Admission, Admitted
from supervisor.ports.observers import Tracer


class IntakeChecks:
    """The checks of the door into one mailbox.

    Args:
        path: the actor's path.
        admission: checks messages.
        home: the loop, thread and process of the mailbox.

    Attributes:
        closed: why nothing enters any more, None while the mailbox is open.
        tracer: reads the trace context of what is sent, None where messages are not traced.
    """

    def __init__(self, path: str, admission: Admission, home: Home) -> None:
        self.closed: Down | None = None
        self.tracer: Tracer | None = None
        self._path = path
        self._admission = admission
        self._home = home
        self._drained: tuple[str, ...] = ()  # the parts of the tree that are drained with this mailbox

    @property
    def current_trace(self) -> str | None:
        """The trace context in which the daemon sends now."""
        return None if self.tracer is None else self.tracer.current()

    def check(self, message: Message[Any], kind: int = TELL) -> Admitted:
        """Check a message of the daemon; see `Admission.check`.

        Raises:
            UsageError: as there, or the caller is on another loop, thread or process than the tree's.
            ActorStopped: the actor is down for good.
        """
        if self.closed is None:
            self._home.check(f"the ref of {self._path}")
        admitted = self._admission.check(message, kind, self.current_trace)
        self.check_open(admitted.name)
        self._check_drained(admitted.name, None)
        return admitted

    def check_sender(self, what: str) -> None:
        """Check that the daemon may send here and now.

        Raises:
            UsageError, ActorStopped: as `check`.
        """
        if self.closed is None:
            self._home.check(f"the ref of {self._path}")
        self.check_open(what)
        self._check_drained(what, None)

    def check_bytes(  # noqa: PLR0917 - as a frame has them
        self,
        payload: msgspec.Raw,
        kind: int,
        beside: tuple[int, ...] | None,
        attachments: Sequence[Carried],
        sender: str | None = None,
        trace: str | None = None,
    ) -> Admitted:
        """Check an encoded message of another actor, or a published one; see `Admission.check_bytes`.

        Raises:
            ActorStopped: the actor is down for good, or drains, and the sender is not drained with it.
            UsageError, WireError: as there.
        """
        if self.closed is not None or self._drained:
            name = tag_of(payload)
            self.check_open(name)
            self._check_drained(name, sender)
        return self._admission.check_bytes(payload, kind, beside, attachments, trace)

    def check_kept(
        self,
        payload: msgspec.Raw,
        beside: tuple[int, ...] | None,
        attachments: Sequence[Carried],
        trace: str | None,
    ) -> Admitted:
        """Check an encoded tell of a durable actor to this one, which is durable and may be down: the store has it.

        Raises:
            UsageError, WireError: see `Admission.check_bytes`.
        """
        return self._admission.check_bytes(payload, TELL, beside, attachments, trace)

    def check_stored(self, payload: bytes) -> Admitted:
        """Check bytes that were kept for the actor, which may be down.

        Raises:
            UsageError: as of `Admission.check_stored`.
        """
        return self._admission.check_stored(payload)

    def check_open(self, what: str) -> None:
        """Check that messages may enter.

        Raises:
            ActorStopped: the actor is down for good; the text says that `what` was not sent.
        """
        if self.closed is not None:
            raise ActorStopped(f"{is_down(self._path, self.closed)}; {what} was not sent")

    def _check_drained(self, what: str, sender: str | None) -> None:
        if self._drained and (sender is None or not all(within(sender, part) for part in self._drained)):
            raise ActorStopped(f"{self._path} drains: it finishes what it has, then it stops; {what} was not sent")

    def check_key(self, key: str | None) -> None:
        """Check the key of a message.

        Raises:
            UsageError: the actor is not durable and keeps no outcomes, or the key is none.
        """
        if key is not None:
            raise UsageError(
                f"{self._path} is not durable and keeps no outcomes: write ChildSpec(..., durable=True), or leave key= "
                f"out. Nothing was sent"
            )


def within(path: str, part: str) -> bool:
    """Whether an actor is that part of the tree, or below it; a member of a pool is below its pool."""
    return path == part or path.startswith(f"{part}/")
