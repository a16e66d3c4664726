"""KeptReplies: reads the replies that a process has left in its black box.

    a frame says how far they are written ─▶ announced
    it says that more follow ─▶ a millisecond later: how far are they written? ─▶ one later: on_mark
    the process has ended ─▶ rest

What a look finds is read a millisecond later, when both sides see the same bytes on every processor, and every frame
has arrived that the process has sent: a reply overtakes nothing that its handler has sent before it, as an item of a
stream or a message to another actor.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from actors.errors import WireError
from actors.ipc.blackbox import BlackBox
from actors.wire import frames as wire
from actors.wire.frames import Outcome, Outcomes

LOOK: Final = 0.001  # seconds from such a frame to the look, and from there to the reading

_BROKEN: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what decoding may raise
_decode: Final = msgspec.msgpack.Decoder(list[Outcome]).decode


class KeptReplies:
    """Those of one life.

    Args:
        box: of its process.
        loop: of the looks.

    Attributes:
        on_mark: called after a look: up to this mark it may be read.
        heard: how many frames have arrived.
        closed: set when the life is over; its box is closed soon.
    """

    def __init__(self, box: BlackBox, loop: asyncio.AbstractEventLoop) -> None:
        self.on_mark: Callable[[int], None] = lambda _: None
        self.heard = 0
        self._box = box
        self._loop = loop
        self.closed = False
        self._looking = False  # whether a look is on its way
        self._again = False  # whether another one has to follow it

    def announced(self, frame: wire.KeptReplies) -> Outcomes:
        """What a frame announces.

        Raises:
            WireError: it is not of the protocol.
        """
        if frame.more:
            self._look_later()
        return Outcomes(frame.ack_up_to, self.read(frame.mark), frame.began)

    def read(self, mark: int) -> list[Outcome]:
        """What is written up to a mark and was not read yet.

        Raises:
            WireError: it is not of the protocol.
        """
        data = self._box.replies.take(mark)
        if not data:
            return []
        try:
            return _decode(data)
        except _BROKEN as error:
            raise WireError(f"replies in its black box do not decode: {error}") from error

    def rest(self) -> list[Outcome]:
        """What a process that has ended has left.

        Raises:
            WireError: it is not of the protocol.
        """
        if self.closed or not self._box.has_unread:
            return []
        return self.read(self._box.replies.mark)

    def _look_later(self) -> None:
        """Look in a millisecond. Where a look is on its way, which may come too early, another one follows it."""
        if self._looking:
            self._again = True
        else:
            self._looking = True
            self._loop.call_later(LOOK, self._look)

    def _look(self) -> None:
        self._looking = False
        if self.closed:
            return
        self._loop.call_later(LOOK, self._looked, self._box.replies.mark)
        if self._again:
            self._again = False
            self._look_later()

    def _looked(self, mark: int) -> None:
        if self.closed:
            return
        if self._box.replies.frames_sent == self.heard:
            self.on_mark(mark)
        else:
            self._look_later()
