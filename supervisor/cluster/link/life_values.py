"""LifeValues: the values in shared memory of one life on another machine, both ways.

They pass beside the link where its other end is on this machine. To another machine they cross as bytes.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from actors.errors import WireError
from actors.wire.framing import MAX_MESSAGE, Announced, Attachment, Carried, SharedAttachment
from supervisor.cluster.link.link import Link

TOO_LARGE: Final = Attachment(b"")
"""Stands for values in shared memory that no frame holds as bytes: where it arrives the message is undecodable."""


class LifeValues:
    """The values of one life. None pass before it begins."""

    def __init__(self) -> None:
        self._link: Link | None = None  # beside which they pass
        self._number = 0
        self._arrived: deque[SharedAttachment] = deque()  # those whose announcement has not come yet
        self._over = False

    def open(self, link: Link, number: int) -> None:
        """The life begins on an agent."""
        self._link = link if link.passes_values else None
        self._number = number

    def fitting(self, attachments: Sequence[Carried]) -> Sequence[Carried]:
        """The attachments of one frame as far as they can cross: too large ones have a stand-in."""
        if self._link is None and sum(one.size for one in attachments) > MAX_MESSAGE:
            return [TOO_LARGE if isinstance(one, SharedAttachment) else one for one in attachments]
        return attachments

    def send(self, attachment: SharedAttachment) -> Carried:
        """Pass a value; returns what the frame carries: its announcement, or its bytes where none pass."""
        if self._link is None:
            return Attachment(attachment.value)
        self._link.pass_value(self._number, attachment)
        return attachment

    def arrived(self, value: SharedAttachment) -> None:
        """A value has come, which the channel of the life announces next."""
        if not self._over:
            self._arrived.append(value)

    def take(self, announced: Announced) -> SharedAttachment:
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
