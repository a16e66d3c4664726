"""PipeWriter: writes into one channel, in order, and never blocks.

What the kernel does not take now is written when it does. One turn of the loop writes a bounded number of bytes, so
one child's large message does not delay others' small ones. `supervisor.process.channel.FrameWriter` writes small
frames, which mostly need none of this.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from actors.ipc.pipes import Duplex
from actors.wire.framing import HEADER, MAX_FRAME, Carried, SharedAttachment, attachment_header, header, shared_header
from supervisor.ports.reading import AnyReader

MAX_BYTES: Final = 4 * MAX_FRAME  # that may wait for a child to read: a few of the largest messages
MAX_PIECES: Final = 256 * 1024  # the same in pieces, each of which costs memory of its own
AT_ONCE: Final = 512 * 1024  # bytes in one turn of the loop: about 0.1 ms


class PipeWriter:
    """Writes to one process.

    Args:
        duplex: the daemon's end of its channel, non-blocking.
        reader: watches the channel while it is full.
        on_room: called when everything that had to wait is written.
        on_full: called with the reason when no more is written: too much waits, since the child does not read.
        on_broken: called once with the error when nothing more can be written: as a rule the other side has closed.
    """

    def __init__(
        self,
        duplex: Duplex,
        reader: AnyReader,
        on_room: Callable[[], None],
        on_full: Callable[[str], None],
        on_broken: Callable[[OSError], None],
    ) -> None:
        self.backlog: deque[memoryview] = deque()  # what has to wait; the channel is congested while there is any
        self._duplex = duplex
        self._reader = reader
        self._on_room = on_room
        self._on_full = on_full
        self._on_broken = on_broken
        self._buffer = bytearray(HEADER)  # a small frame, behind the room for its length: of `FrameWriter`
        self._waiting = 0  # bytes in the backlog
        self._closed = False

    def send_around(self, before: bytes, payload: memoryview, after: bytes) -> None:
        """Send one frame with a large payload in it, which is not copied."""
        self._put((header(len(before) + len(payload) + len(after)) + before, payload, after))

    def send_with(self, attachments: Sequence[Carried], frame: bytes) -> None:
        """Send one frame and before it the attachments that belong to it, which are not copied.

        Of what is in shared memory, the announcement: its descriptor has been sent.
        """
        for attachment in attachments:
            if isinstance(attachment, SharedAttachment):
                self._put((shared_header(attachment.size),))
            else:
                self._put((attachment_header(attachment.size), attachment.value))
        self._put((header(len(frame)) + frame,))

    def send_raw(self, data: bytes) -> None:
        """Send bytes of frames that were made elsewhere."""
        self._put((data,))

    def give_up(self, why: str) -> None:
        """Nothing more is written, for this reason."""
        self._on_full(why)
        self.close()

    def close(self) -> None:
        """The other side is gone: drop what waits, and all later frames."""
        self._closed = True
        self.backlog.clear()
        self._waiting = 0

    def _put(self, pieces: Sequence[bytes | memoryview]) -> None:
        if self._closed:
            return
        waiting = bool(self.backlog)
        self.backlog.extend(memoryview(piece) for piece in pieces if len(piece))
        self._waiting += sum(map(len, pieces))
        if not waiting:
            self._write(tell=False)
        elif self._waiting > MAX_BYTES or len(self.backlog) > MAX_PIECES:
            self.give_up(f"it does not read: {self._waiting} bytes in {len(self.backlog)} pieces wait for it")

    def _break(self, error: OSError) -> None:
        """The process died (its black box knows what was in flight), or it closed its end."""
        if not self._closed:
            self.close()
            self._on_broken(error)

    def _go_on(self) -> None:
        self._write(tell=True)

    def _write(self, *, tell: bool) -> None:
        """Write what may be written in this turn; `tell` when senders may wait for room."""
        backlog, left = self.backlog, AT_ONCE
        while backlog and left > 0:
            view = backlog[0]
            try:
                sent = self._duplex.send(view[:left])
            except BlockingIOError:
                break
            except OSError as error:
                self._break(error)
                return
            left -= sent
            self._waiting -= sent
            if sent < len(view):
                backlog[0] = view[sent:]
            else:
                backlog.popleft()
        if backlog:
            self._reader.once_writable(self._duplex.outgoing, self._go_on)
        elif tell:
            self._on_room()
