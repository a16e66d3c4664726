"""Channel: the child's end of its one private connection to the daemon.

Law: end of file means that the daemon is gone; nobody else holds an end, so nobody else can keep it open.
May import: framing, errors.

Runs in the actor's process, in the thread that runs the actor.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Sequence
from typing import Final

from actors.errors import UsageError
from actors.framing import MAX_FRAME, Frame, Framer, Parcel, header, parcel_header

CHUNK: Final = 64 * 1024  # bytes per read
MOST: Final = 1024 * 1024  # bytes per read in the middle of a large frame
JOIN_BELOW: Final = 16 * 1024  # bytes; up to here copying header and frame together beats a second buffer


class Channel:
    """A blocking, framed, duplex connection. Reading belongs to one thread; any thread may send.

    Attributes:
        most: bytes of one frame, and of all that belongs to it, that the daemon takes from here.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.most = MAX_FRAME
        self._framer = Framer()
        self._sending = threading.Lock()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def receive(self) -> list[Frame]:
        """At least one frame, in order; blocks until there is one. An empty list is the end of the daemon.

        Raises:
            WireError: what arrived is not of the protocol.
        """
        framer = self._framer
        while True:
            size = CHUNK if framer.missing <= CHUNK else min(framer.missing, MOST)
            try:
                chunk = self.sock.recv(size)
            except ConnectionError:
                return []
            if not chunk:
                return []
            frames = framer.feed(chunk)
            if frames:
                return frames

    def readable(self, timeout: float | None) -> bool:
        """Whether there is something to receive within `timeout` seconds (None: wait as long as it takes)."""
        return bool(self._poll.poll(None if timeout is None else max(0.0, timeout) * 1000))

    def send(self, frame: bytes, parcels: Sequence[Parcel] = ()) -> None:
        """Send one frame, after the parcels that belong to it; blocks while the daemon does not read.

        A daemon that is gone ends this process.

        Raises:
            UsageError: that is more than the daemon takes; nothing was sent.
        """
        size = len(frame)
        if size + sum(parcel.size for parcel in parcels) > self.most:
            raise UsageError(
                f"this takes a frame of {size} bytes, the most is {self.most}; send less at once, or raise "
                f"max_frame_bytes in the actor's ChildSpec"
            )
        try:
            with self._sending:
                for parcel in parcels:
                    self._send_parcel(parcel)
                if size < JOIN_BELOW:
                    self.sock.sendall(header(size) + frame)
                else:
                    self.sock.sendall(header(size))
                    self.sock.sendall(frame)
        except ConnectionError:
            os._exit(EXIT_ORPHANED)

    def _send_parcel(self, parcel: Parcel) -> None:
        self.sock.sendall(parcel_header(parcel.size))
        for part in parcel.parts:
            self.sock.sendall(part)

    def fileno(self) -> int:
        """The descriptor, for event loops."""
        return self.sock.fileno()


EXIT_ORPHANED: Final = 70  # exit code of a process whose daemon is gone (BSD's EX_SOFTWARE)
