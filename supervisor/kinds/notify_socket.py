"""NotifySocket: receives what a program says by sd_notify of systemd.

Only READY=1 counts. On Linux the socket has an abstract address, which leaves no file, and the kernel says whose a
message is: only those of root and of the daemon's user count. Where the daemon is root, all do, since a command may
have become another user.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

_READY: Final = b"READY=1"
_SENDER: Final = struct.Struct("iII")  # struct ucred: pid, uid, gid
_ROOM: Final = 4096  # bytes of a message, as systemd reads them


class NotifySocket:
    """A socket for one life of a command.

    Args:
        loop: of the tree.
        on_ready: called when READY=1 has arrived.

    Attributes:
        address: for the environment variable NOTIFY_SOCKET.

    Raises:
        OSError: the system has no descriptor left for it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_ready: Callable[[], None]) -> None:
        self._loop = loop
        self._on_ready = on_ready
        self._folder = ""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0))
        try:
            self.address = self._bind()
            self._socket.setblocking(False)
            loop.add_reader(self._socket, self._arrived)
        except BaseException:
            self._discard()
            raise

    def close(self) -> None:
        """Stop listening. May be called twice."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._discard()

    def _bind(self) -> str:
        if sys.platform == "linux":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            name = f"actors-notify-{os.getpid()}-{os.urandom(8).hex()}"
            self._socket.bind(f"\0{name}")
            return f"@{name}"
        import tempfile  # noqa: PLC0415 - it imports much

        self._folder = tempfile.mkdtemp(prefix="actors-notify-")
        address = str(Path(self._folder, "socket"))
        self._socket.bind(address)
        return address

    def _discard(self) -> None:
        self._socket.close()
        if self._folder:
            with contextlib.suppress(OSError):
                Path(self._folder, "socket").unlink(missing_ok=True)
                Path(self._folder).rmdir()

    def _arrived(self) -> None:
        with contextlib.suppress(OSError):  # nothing is there after all
            room = socket.CMSG_SPACE(_SENDER.size)
            message, extras, _, _ = self._socket.recvmsg(_ROOM, room)
            if _READY in message.split(b"\n") and _may(extras):
                self._on_ready()


def _may(extras: list[tuple[int, int, bytes]]) -> bool:
    """Whether a sender may say it, as far as the kernel tells who it is."""
    for level, kind, data in extras:
        if level == socket.SOL_SOCKET and kind == getattr(socket, "SCM_CREDENTIALS", -1):
            _, uid, _ = _SENDER.unpack_from(data)
            return os.geteuid() in {0, uid} or uid == 0
    return sys.platform != "linux"
