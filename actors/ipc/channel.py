"""Channel: the child's end of its one private connection to the daemon.

No other process holds an end, so end of file means that the daemon is gone.

The daemon would read what follows half a frame as its other half. So where an exception interrupts a send, of a system
call without memory or of a signal's handler, this process ends.

Runs in the actor's process, in the thread that runs the actor.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from actors.errors import UsageError
from actors.exits import EXIT_CUT, EXIT_ORPHANED
from actors.ipc.pipes import Duplex
from actors.wire.framing import (
    HEADER,
    MAX_FRAME,
    Attachment,
    Carried,
    Frame,
    Framer,
    SharedAttachment,
    attachment_header,
    header,
    shared_header,
)

if TYPE_CHECKING:
    from actors.ipc.descriptors import Descriptors

CHUNK: Final = 64 * 1024  # bytes per read; larger reads are not faster, since they exceed the cache
JOIN_BELOW: Final = 16 * 1024  # bytes; up to this size copying header and frame together beats a second write


class Channel:
    """A blocking, framed connection. One thread reads; any thread may send.

    Attributes:
        most: bytes of one frame with its attachments that the daemon accepts.
        readable: whether there is something to receive, see `Duplex.readable`.
        socket_name: of the daemon's socket for descriptors, empty where none is.
    """

    def __init__(self, duplex: Duplex) -> None:
        self.duplex = duplex
        self.socket_name = ""
        self._descriptors: Descriptors | None = None
        self._connecting = threading.Lock()
        self.limit(MAX_FRAME)
        self._write = duplex.send
        self._framer = Framer()
        self._sending = threading.Lock()
        self._sent = memoryview(bytearray(8)).cast("Q")
        self.readable = duplex.readable

    @property
    def descriptors(self) -> Descriptors:
        """Passes descriptors, beside the pipes. For who has a value in shared memory, which has imported its code."""
        with self._connecting:
            if self._descriptors is None:
                from actors.ipc.descriptors import Descriptors  # noqa: PLC0415 - `actors.ipc.shared` imports it, too

                self._descriptors = Descriptors(self.socket_name)
            return self._descriptors

    def count_in(self, cell: memoryview[int]) -> None:
        """Count the frames that are sent in this cell, each before it is written; those up to now included."""
        with self._sending:
            cell[0], self._sent = self._sent[0], cell

    def limit(self, most: int) -> None:
        """The daemon accepts frames of at most this many bytes."""
        self.most = most
        self._joined = min(JOIN_BELOW, most)

    def receive(self) -> list[Frame]:
        """The next frames, at least one, in order; blocks until there is one. An empty list: the daemon is gone.

        Raises:
            WireError: the bytes are not of the protocol.
        """
        while True:
            chunk = self.duplex.recv(CHUNK)
            if not chunk:
                return []
            frames = self._framer.feed(chunk)
            if frames:
                return frames

    def send(self, frame: bytes, attachments: Sequence[Carried] = ()) -> None:
        """Send the attachments of a frame, then the frame; blocks while the daemon does not read.

        When the daemon is gone, or an exception interrupts this, the process exits.

        Raises:
            UsageError: it is larger than the daemon accepts; nothing was sent.
        """
        size = len(frame)
        if attachments or size >= self._joined:
            self._send_large(frame, attachments)
            return
        data = size.to_bytes(HEADER, "little") + frame
        try:
            with self._sending:
                self._sent[0] += 1
                sent = self._write(data)
                if sent < len(data):  # a signal may interrupt a write
                    self.duplex.send_all(memoryview(data)[sent:])
        except ConnectionError:
            os._exit(EXIT_ORPHANED)
        except UsageError:  # in a fork, which has written nothing
            raise
        except BaseException as error:
            _leave(error)

    def _send_large(self, frame: bytes, attachments: Sequence[Carried]) -> None:
        size = len(frame)
        if any(isinstance(one, SharedAttachment) for one in attachments) and not self.descriptors.usable():
            attachments = [one if isinstance(one, Attachment) else Attachment(one.value) for one in attachments]
        if size + sum(one.size for one in attachments if isinstance(one, Attachment)) > self.most:
            raise UsageError(
                f"this takes a frame of {size} bytes, the most is {self.most}; send less at once, or raise "
                f"max_frame_bytes in the actor's ChildSpec"
            )
        try:
            with self._sending:
                self._sent[0] += 1
                for attachment in attachments:
                    if isinstance(attachment, SharedAttachment):
                        self.descriptors.send(attachment)
                        self.duplex.send_all(shared_header(attachment.size))
                    else:
                        self.duplex.send_all(attachment_header(attachment.size))
                        self.duplex.send_all(attachment.value)
                self.duplex.send_all(header(size))
                self.duplex.send_all(frame)
        except ConnectionError:
            os._exit(EXIT_ORPHANED)
        except UsageError:  # in a fork, which has written nothing
            raise
        except BaseException as error:
            _leave(error)

    def abandon(self) -> None:
        """Close it, in a fork of the actor's process; whatever would use it is refused."""
        self.duplex.close()
        self.socket_name = ""
        if self._descriptors is not None:
            self._descriptors.abandon()
        self.duplex.send = self.duplex.recv = self._write = _refuse
        self._sending, self._connecting = threading.Lock(), threading.Lock()  # another thread may have held them
        self._sent = memoryview(bytearray(8)).cast("Q")

    def fileno(self) -> int:
        """The descriptor that is readable when something arrives, for event loops."""
        return self.duplex.fileno()


def _leave(error: BaseException) -> NoReturn:
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(EXIT_CUT)


def _refuse(*_: object) -> NoReturn:
    raise UsageError(
        "this process is a fork of an actor's and cannot send or receive its messages; let the actor send, or make the "
        "fork an actor of its own"
    )
