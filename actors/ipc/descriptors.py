"""Descriptors: how a descriptor passes from one process to another: over a Unix socket, beside the pipes.

One byte carries one descriptor (SCM_RIGHTS). They arrive in the order in which their values were announced on the
pipe, and each is in the socket before its announcement is in the pipe or is sent as soon as the socket takes it. What
was sent outlives its sender.

A process has no such socket until it sends or gets the first one: it connects to the abstract address that its daemon
listens on, and the daemon looks at the process id of who connects (SO_PEERCRED).
"""

from __future__ import annotations

import array
import contextlib
import errno
import os
import socket
import threading
import time
from typing import Final

from actors.errors import UsageError
from actors.event import close_fd
from actors.exits import EXIT_ORPHANED
from actors.ipc.shared_memory import LostSegment, Segment
from actors.wire.framing import Announced, SharedAttachment

_INT: Final = array.array("i").itemsize
_PAUSE: Final = 0.002  # seconds before a descriptor is sent again for which the system had no room
FULL: Final = frozenset({errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN})  # sending works again later


def address_of(name: str) -> bytes:
    """The address of an abstract socket; it has no file, so no death leaves one behind."""
    return b"\0" + name.encode()


def send_descriptor(sock: socket.socket, attachment: SharedAttachment) -> None:
    """Send the descriptor of a segment.

    Raises:
        BlockingIOError: the socket takes none now.
        OSError: `errno` is in FULL: the system takes none now; else the other side is gone.
    """
    segment = attachment.origin
    if not isinstance(segment, Segment):
        sock.sendmsg([b"\0"])  # it was lost on its way here, and is there
        return
    rights = array.array("i", [segment.fileno()])
    sock.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def receive_segment(sock: socket.socket, announced: Announced) -> SharedAttachment:
    """Receive the segment that was announced.

    Raises:
        BlockingIOError: it is not there yet.
        EOFError: the other side is gone.
        UsageError: what came is not what was announced.
    """
    data, ancillary, flags, _ = sock.recvmsg(1, socket.CMSG_SPACE(_INT), socket.MSG_CMSG_CLOEXEC)
    if not data:
        raise EOFError
    for level, kind, rights in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS and len(rights) >= _INT:
            fds = array.array("i", rights[: len(rights) - len(rights) % _INT])
            for more in fds[1:]:
                close_fd(more)
            return Segment.adopt(fds[0], announced.size)
    cut = flags & socket.MSG_CTRUNC  # else it was lost before
    return LostSegment(announced.size) if cut else LostSegment(announced.size, "a process that passes it on")


class Descriptors:
    """The actor's end. Connects when it is first needed; blocks.

    One thread receives; senders are serialised by the channel.

    Args:
        name: of the daemon's socket, empty where none is.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._socket: socket.socket | None = None
        self._connecting = threading.Lock()

    def usable(self) -> bool:
        """Whether segments can be sent; connects."""
        with contextlib.suppress(UsageError):
            self._connected()
        return self._socket is not None

    def send(self, attachment: SharedAttachment) -> None:
        """Send the descriptor of a segment; waits for room. When the daemon is gone, this process exits.

        Raises:
            UsageError: the daemon cannot be reached.
            OSError: the system refuses it, or a signal's handler has raised this.
        """
        sock = self._connected()
        while True:
            try:
                send_descriptor(sock, attachment)
            except ConnectionError:
                os._exit(EXIT_ORPHANED)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def take(self, announced: Announced) -> SharedAttachment:
        """The segment that was announced; waits for it. When the daemon is gone, this process exits.

        Raises:
            UsageError: the daemon cannot be reached.
        """
        try:
            return receive_segment(self._connected(), announced)
        except (EOFError, ConnectionError):
            os._exit(EXIT_ORPHANED)

    def abandon(self) -> None:
        """Close it, in a fork of the actor's process."""
        self._connecting = threading.Lock()  # another thread may have held it
        sock, self._socket = self._socket, None
        self._name = ""
        if sock is not None:
            sock.close()

    def _connected(self) -> socket.socket:
        with self._connecting:
            if self._socket is None:
                if not self._name:
                    raise UsageError("no descriptors pass in this tree")
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    sock.connect(address_of(self._name))
                except OSError as error:
                    with contextlib.suppress(OSError):
                        sock.close()
                    raise UsageError(
                        f"a value in shared memory cannot pass: the daemon's socket cannot be reached ({error}); an "
                        f"actor that passes one stays in the daemon's network namespace"
                    ) from error
                self._socket = sock
            return self._socket
