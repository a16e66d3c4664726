"""Descriptors: the daemon's ends of the sockets over which values in shared memory pass; see `actors.ipc.descriptors`.

    announced on the pipe ─▶ LifeDescriptors.take ─▶ Segment
    Segment ─▶ LifeDescriptors.send ─▶ socket, before its announcement is written to the pipe

One listening socket for a tree; a life has a connection once a value has passed, and costs nothing before.

Runs on the loop's thread; nothing here blocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Final

from actors.errors import UsageError, WireError
from actors.ipc.descriptors import FULL, address_of, receive_segment, send_descriptor
from actors.ipc.shared_memory import LostSegment, available
from actors.wire.framing import Announced, SharedAttachment
from supervisor.ports.reading import AnyReader
from supervisor.system.procfs import parent_of

_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid
_BACKLOG: Final = 128  # connections that wait to be accepted
_PAUSE: Final = 0.005  # seconds before a descriptor is sent again for which the system had no room
_RETRY: Final = 0.1  # seconds before a connection is accepted for which this process had no descriptor
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class DescriptorListener:
    """Accepts the connections of a tree's processes. Without shared memory or a socket left, it listens nowhere.

    Attributes:
        name: of the abstract socket, empty where there is none.
        accepted: connections that no life has claimed, by process id.
        exhausted: whether one that waits could not be accepted: this process has no descriptor left.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, reader: AnyReader) -> None:
        self.loop = loop
        self.reader = reader
        self.name = ""
        self.accepted: dict[int, socket.socket] = {}
        self.exhausted = False
        self._awaited: dict[int, Callable[[], None]] = {}  # lives that wait for their process to connect
        self._socket: socket.socket | None = None
        if available():
            with contextlib.suppress(OSError):
                self._listen(f"actors-{os.getpid()}-{os.urandom(16).hex()}")

    def _listen(self, name: str) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.bind(address_of(name))
            sock.listen(_BACKLOG)
            self.reader.once(sock.fileno(), self._readable)
        except BaseException:
            sock.close()
            raise
        self._socket, self.name = sock, name

    def claim(self, pid: int) -> socket.socket | None:
        """The connection of a process, None when it has made none yet."""
        if pid not in self.accepted:
            self._accept()
        return self.accepted.pop(pid, None)

    def call_when_connected(self, pid: int, then: Callable[[], None]) -> None:
        """Call once when that process has connected."""
        self._awaited[pid] = then

    def forget(self, pid: int) -> None:
        """The life of that process is over."""
        self._awaited.pop(pid, None)
        unclaimed = self.accepted.pop(pid, None)
        if unclaimed is not None:
            unclaimed.close()

    def close(self) -> None:
        """Listen no more."""
        sock, self._socket = self._socket, None
        if sock is not None:
            self.reader.forget(sock.fileno(), close=sock.close)
        while self.accepted:
            self.accepted.popitem()[1].close()

    def abandon(self) -> None:
        """Listen no more; the loop is closed."""
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()
        while self.accepted:
            self.accepted.popitem()[1].close()

    def _readable(self) -> None:
        self._accept()
        if self.exhausted:
            self.loop.call_later(_RETRY, self._watch)
        else:
            self._watch()

    def _watch(self) -> None:
        if self._socket is not None:
            self.reader.once(self._socket.fileno(), self._readable)

    def _accept(self) -> None:
        """Accept what has connected: children of this process alone."""
        self.exhausted = False
        while self._socket is not None:
            try:
                peer, _ = self._socket.accept()
            except OSError as error:  # none waits, or it does so until there is a descriptor again
                self.exhausted = error.errno in _EXHAUSTED
                return
            pid, _, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
            if pid in self.accepted or parent_of(pid) != os.getpid():
                peer.close()
                continue
            peer.setblocking(False)
            self.accepted[pid] = peer
            then = self._awaited.pop(pid, None)
            if then is not None:
                then()


class LifeDescriptors:
    """The descriptors that pass between the daemon and one process."""

    __slots__ = ("_leaving", "_listener", "_lost", "_pid", "_socket", "_waiting")

    def __init__(self, listener: DescriptorListener, pid: int) -> None:
        self._listener = listener
        self._socket: socket.socket | None = None
        self._pid = pid
        self._leaving: deque[SharedAttachment] = deque()
        self._waiting = False  # for a connection, or for room
        self._lost = 0  # announced values whose descriptors wait in a connection that could not be accepted

    def send(self, attachment: SharedAttachment) -> None:
        """Send a descriptor, in order; when the socket takes none now, later."""
        self._leaving.append(attachment)
        if not self._waiting:
            self._flush()

    def take(self, announced: Announced) -> SharedAttachment:
        """The segment that a process has announced; a stand-in where this process has no descriptor left for it.

        Raises:
            WireError: it has passed none, or something else.
        """
        sock = self._connected()
        if sock is None and self._listener.exhausted:
            self._lost += 1
            return LostSegment(announced.size)
        if sock is None:
            raise WireError("it announced a value in shared memory and has passed no descriptor")
        try:
            return receive_segment(sock, announced)
        except (OSError, EOFError, UsageError) as error:
            raise WireError(f"it announced a value in shared memory and passed none: {error}") from error

    def close(self) -> None:
        """The process is gone."""
        self._leaving.clear()
        sock, self._socket = self._socket, None
        if sock is not None:
            self._listener.reader.forget(sock.fileno(), close=sock.close)
        self._listener.forget(self._pid)

    def _connected(self) -> socket.socket | None:
        if self._socket is None:
            self._socket = self._listener.claim(self._pid)
            if self._socket is not None and self._lost:
                self._drop_lost(self._socket)
        return self._socket

    def _drop_lost(self, sock: socket.socket) -> None:
        """What was lost while there was no connection waits in it, before what belongs to the next announcement."""
        lost, self._lost = self._lost, 0
        for _ in range(lost):
            with contextlib.suppress(OSError, EOFError, UsageError):
                receive_segment(sock, Announced(0))

    def _flush(self) -> None:
        self._waiting = False
        sock = self._connected()
        while self._leaving:
            if sock is None:
                self._waiting = True
                self._listener.call_when_connected(self._pid, self._flush)
                return
            try:
                send_descriptor(sock, self._leaving[0])
            except BlockingIOError:
                self._waiting = True
                self._listener.reader.once_writable(sock.fileno(), self._flush)
                return
            except OSError as error:
                if error.errno not in FULL:  # the process is gone
                    self._leaving.clear()
                    return
                self._waiting = True
                self._listener.loop.call_later(_PAUSE, self._flush)
                return
            self._leaving.popleft()
