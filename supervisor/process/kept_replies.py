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
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from actors.errors import WireError
from actors.ipc.blackbox import BlackBox
from actors.ipc.reply_area import HEADS, RUN
from actors.ipc.reply_cells import CELLS, KINDS
from actors.wire import from_child
from actors.wire.codec import encode
from actors.wire.from_child import Outcome, Outcomes, Replies
from actors.wire.to_child import MAX_BULK

LOOK: Final = 0.001  # seconds from such a frame to the look, and from there to the reading

_BROKEN: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what decoding may raise
_decode: Final = msgspec.msgpack.Decoder(list[Outcome]).decode
_cut: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class Run(NamedTuple):
    """Replies in cells that are not read yet.

    Attributes:
        first: the number of the message whose reply is in the first cell.
        position: of that cell.
        kind: index in `KINDS`.
    """

    first: int
    position: int
    kind: int

    @classmethod
    def opened_by(cls, item: bytes) -> Run:
        """What an item of the ring opens.

        Raises:
            WireError: it opens nothing that can be.
        """
        run = cls(int.from_bytes(item[2:10], "big"), int.from_bytes(item[10:17], "big"), item[17])
        if run.kind >= len(KINDS):
            raise WireError(f"it keeps replies of kind {run.kind}, which does not exist")
        return run


OnMark = Callable[[int, int], None]


class KeptReplies:
    """Those of one life.

    Args:
        box: of its process.
        loop: of the looks.

    Attributes:
        heard: how many frames have arrived.
    """

    def __init__(self, box: BlackBox, loop: asyncio.AbstractEventLoop) -> None:
        self.heard = 0
        self._box = box
        self._loop = loop
        self._next = 0  # the number of the message whose reply is next in the ring; 0 outside of runs
        self._run: Run | None = None  # of cells, the one that is open, without what was read
        self._read = 0  # how many cells of it were read
        self._looking = False  # whether a look is on its way
        self._again = False  # whether another one has to follow it

    def announced(self, frame: from_child.KeptReplies, on_mark: OnMark) -> list[Outcomes | Replies]:
        """What a frame announces, and then what it acknowledges.

        `on_mark` is called after a look, with what `read` takes.

        Raises:
            WireError: it is not of the protocol.
        """
        if frame.more:
            self._look_later(on_mark)
        found = self.read(frame.mark)
        items: list[Outcome] = []
        if found and isinstance(last := found[-1], Outcomes):
            items = last.items
            del found[-1]
        return [*found, Outcomes(frame.ack_up_to, items, frame.began)]

    def read(self, mark: int, done: int = 0) -> list[Outcomes | Replies]:
        """What is written up to a mark and was not read yet.

        Args:
            mark: as of `ReplyArea.mark`.
            done: the number of the last message that had ended then, 0 where that is not known.

        Raises:
            WireError: it is not of the protocol.
        """
        try:
            return list(self._frames(*self._box.replies.take(mark), done))
        except _BROKEN as error:
            raise WireError(f"replies in its black box do not decode: {error}") from error

    def rest(self) -> list[Outcomes | Replies]:
        """What a process that has ended has left.

        Raises:
            WireError: it is not of the protocol.
        """
        if self._box.closed or not self._box.has_unread:
            return []
        return self.read(*self.reached())

    def reached(self) -> tuple[int, int]:
        """How far the process has come: what `read` takes."""
        return self._box.replies.mark, self._done()

    def _look_later(self, on_mark: OnMark) -> None:
        """Look in a millisecond. Where a look is on its way, which may come too early, another one follows it."""
        if self._looking:
            self._again = True
        else:
            self._looking = True
            self._loop.call_later(LOOK, self._look, on_mark)

    def _frames(self, count: int, body: bytes, done: int) -> Iterator[Outcomes | Replies]:
        """What the process would have sent in place of so many items, and of the cells of an open run."""
        if not any(head in body for head in HEADS):
            if count:
                yield self._frame(count, body)
        else:
            yield from self._sections(count, body)
        if self._run is not None and done >= self._run.first:
            yield self._read_cells(self._run, done - self._run.first + 1)

    def _sections(self, count: int, body: bytes) -> Iterator[Outcomes | Replies]:
        items: list[bytes] = []
        for item in map(bytes, _cut(_array(count, body))):
            if not item.startswith(HEADS):
                items.append(item)
                continue
            if items:
                yield self._frame(len(items), b"".join(items))
                items = []
            if item.startswith(CELLS):
                self._run = Run.opened_by(item)
            elif item.startswith(RUN):
                self._next = int.from_bytes(item[2:], "big")
            elif self._run is not None:
                left = int.from_bytes(item[2:], "big") - self._read
                if left > 0:
                    yield self._read_cells(self._run, left)
                self._run, self._read = None, 0
        if items:
            yield self._frame(len(items), b"".join(items))

    def _frame(self, count: int, body: bytes) -> Outcomes | Replies:
        first, items = self._next, _array(count, body)
        if not first:
            return Outcomes(0, _decode(items))
        self._next += count
        return Replies(first, count, msgspec.Raw(items))

    def _read_cells(self, run: Run, count: int) -> Replies:
        if count > MAX_BULK:
            raise WireError(f"it keeps {count} replies of one call, {MAX_BULK} may be")
        values = self._box.replies.cells.read(run.position, count, run.kind)
        self._run = Run(run.first + count, run.position + count, run.kind)
        self._read += count
        return Replies(run.first, count, msgspec.Raw(encode(values)))

    def _done(self) -> int:
        """The number of the last message that has ended."""
        progress = self._box.progress()
        return progress.begun - 1 if progress.begun in progress.active else progress.begun

    def _look(self, on_mark: OnMark) -> None:
        self._looking = False
        if self._box.closed:
            return
        done = self._done()  # before the mark: a run that is open there has come so far at least
        self._loop.call_later(LOOK, self._looked, self._box.replies.mark, done, on_mark)
        if self._again:
            self._again = False
            self._look_later(on_mark)

    def _looked(self, mark: int, done: int, on_mark: OnMark) -> None:
        if self._box.closed:
            return
        if self._box.replies.frames_sent == self.heard:
            on_mark(mark, done)
        else:
            self._look_later(on_mark)


def _array(count: int, body: bytes) -> bytes:
    """So many encoded items as one encoded array."""
    return b"\xdd" + count.to_bytes(4, "big") + body
