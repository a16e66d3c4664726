"""Values: the Unix socket beside a link whose two ends are on one machine: descriptors of shared memory pass over it.

A value is one descriptor there and one `Passed` on the link, which comes later and in the same order. So no byte of it
is copied. Runs on the loop's thread of either side.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

from actors.errors import UsageError, WireError
from actors.ipc.descriptors import FULL, address_of, receive_segment, send_descriptor
from actors.ipc.shared_memory import available
from actors.wire.framing import Announced, SharedAttachment
from supervisor.ports.reading import AnyReader

_PAUSE: Final = 0.005  # seconds before a descriptor is sent again for which the system had no room


def listen() -> tuple[socket.socket | None, str]:
    """A Unix socket that listens, and its name; none where the system has no shared memory."""
    if not available():
        return None, ""
    name = f"actors-agent-{os.getpid()}-{os.urandom(16).hex()}"
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(address_of(name))
        sock.listen()
    except OSError:
        sock.close()
        return None, ""
    return sock, name


def connect(name: str, timeout: float) -> socket.socket | None:
    """Connect to that name; None where it is on another machine, or in another network namespace."""
    if not name or not available():
        return None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.connect(address_of(name))
    except OSError:
        sock.close()
        return None
    return sock


class Values:
    """One end of it.

    Args:
        sock: connected, and authenticated.
        reader: waits for room in it.
        loop: of this side.
    """

    def __init__(self, sock: socket.socket, reader: AnyReader, loop: asyncio.AbstractEventLoop) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._reader = reader
        self._loop = loop

    def send(self, attachment: SharedAttachment, on_room: Callable[[], None]) -> bool:
        """Send a descriptor; where none is taken now return False, and call back when one may be.

        Raises:
            OSError: the other side is gone.
        """
        try:
            send_descriptor(self._sock, attachment)
        except BlockingIOError:
            self._reader.once_writable(self._sock.fileno(), on_room)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._loop.call_later(_PAUSE, on_room)
        else:
            return True
        return False

    def receive(self, size: int) -> SharedAttachment:
        """The value of which the link says that it was sent.

        Raises:
            WireError: it was not.
        """
        try:
            return receive_segment(self._sock, Announced(size))
        except (OSError, EOFError, UsageError) as error:
            raise WireError(f"a value in shared memory was said to be sent and did not come: {error}") from error

    def abandon(self) -> None:
        """The loop was closed: close this end. Runs in another thread."""
        self._sock.close()

    def close(self) -> None:
        """Close this end."""
        self._reader.forget(self._sock.fileno(), close=self._sock.close)
