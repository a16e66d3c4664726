"""LifeValues: the values in shared memory of one life on another machine, both ways.

They pass beside the link where its other end is on this machine. To another machine they cross in parts. Where that
machine has no shared memory they cross as bytes of the life's channel.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from actors.errors import WireError
from actors.wire.framing import MAX_MESSAGE, Announced, Attachment, Carried, SharedAttachment
from supervisor.cluster.link.flow import Flow
from supervisor.cluster.link.link import Link
from supervisor.cluster.link.parts import Joiner, crosses
from supervisor.cluster.link.stock import KnownValues
from supervisor.cluster.link.wire import Part

TOO_LARGE: Final = Attachment(b"")
"""Stands for values in shared memory that no frame holds as bytes: where it arrives the message is undecodable."""


class LifeValues:
    """The values of one life. None pass before it begins."""

    def __init__(self) -> None:
        self._link: Link | None = None  # beside which they pass
        self._flow: Flow | None = None  # through which they cross
        self._known: KnownValues | None = None  # what its machine keeps
        self._number = 0
        self._joiner = Joiner()
        self._arrived: deque[Carried] = deque()  # those whose announcement has not come yet
        self._over = False

    def open(self, link: Link, number: int, known: KnownValues, crossing: Flow | None) -> None:
        """The life begins on an agent.

        Args:
            link: to it.
            number: of the life.
            known: what its machine keeps.
            crossing: through which values cross; None where that machine has no shared memory.
        """
        self._link = link if link.passes_values else None
        self._flow, self._known = crossing, known
        self._number = number

    def fitting(self, attachments: Sequence[Carried]) -> Sequence[Carried]:
        """The attachments of one frame as far as they can cross: too large ones have a stand-in."""
        if self._link is not None:
            return attachments
        fit = sum(one.size for one in attachments) <= MAX_MESSAGE
        return [one if isinstance(one, Attachment) or (fit and crosses(one)) else TOO_LARGE for one in attachments]

    def send(self, attachment: SharedAttachment) -> Carried:
        """Pass a value; returns what the frame carries: its announcement, or its bytes where none pass."""
        if self._link is not None:
            self._link.pass_value(self._number, attachment)
        elif self._flow is not None:
            self._flow.pass_value(attachment)
        else:
            return Attachment(attachment.value)
        return attachment

    def joined(self, part: Part) -> None:
        """A part of a value has come.

        Raises:
            WireError: it is none of the value that arrives.
        """
        value = self._joiner.put(part)
        if value is not None:
            self.arrived(value)
        if part.known and self._known is not None:
            self._known.add(part.known, value)

    def arrived(self, value: Carried) -> None:
        """A value has come, which the channel of the life announces next."""
        if not self._over:
            self._arrived.append(value)

    def take(self, announced: Announced) -> Carried:
        """The value that is announced.

        Raises:
            WireError: it did not come.
        """
        if not self._arrived or self._arrived[0].size != announced.size:
            raise WireError("it announced a value in shared memory that did not come")
        return self._arrived.popleft()

    def close(self) -> None:
        """The life has ended."""
        self._over = True
        self._arrived.clear()
        self._joiner = Joiner()
