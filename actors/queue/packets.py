"""Packets: how one item crosses from process to process, whole or not at all.

An item travels as its pickle in one packet of an AF_UNIX socket pair; a large one is written to an anonymous file
whose descriptor travels instead. Nothing has a name in the file system, so nothing can be left behind.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import sys
import time
from typing import IO, Final

if not hasattr(os, "memfd_create"):
    from tempfile import TemporaryFile

INLINE: Final = 64 * 1024  # bytes: larger pickles travel in a file; well below every default socket buffer
BUFFER: Final = 1024 * 1024  # bytes we ask the kernel to buffer; it gives what its limits allow
LARGE: Final = b"\0"  # the packet that comes with a file; no pickle begins with this byte
NO_ROOM: Final = frozenset(  # the kernel cannot take the packet now: retry later
    {errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)
CLOEXEC: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # of a descriptor that comes with a packet
_FD_SIZE: Final = 4
ROOM_FOR_FD: Final = socket.CMSG_SPACE(_FD_SIZE)


def packet_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends that keep packets whole: SOCK_SEQPACKET, or SOCK_DGRAM where AF_UNIX lacks it (macOS)."""
    kind = socket.SOCK_DGRAM if sys.platform == "darwin" else socket.SOCK_SEQPACKET
    reader, writer = socket.socketpair(socket.AF_UNIX, kind)
    for end in (reader, writer):
        end.setblocking(False)
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    return reader, writer


def send(writer: socket.socket, packed: bytes) -> None:
    """Send one whole item; never waits.

    Raises:
        OSError: the kernel does not take it; with NO_ROOM only now.
    """
    if len(packed) <= INLINE:
        try:
            writer.send(packed)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:  # this kernel takes none of that length
                raise
        else:
            return
    _send_file(writer, packed)


def read_file(ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """What lies in the file that came with a packet."""
    if not ancillary:
        raise OSError(errno.EMFILE, "an item was lost: this process had no free descriptor to take it; see ulimit -n")
    fd = int.from_bytes(ancillary[0][2][:_FD_SIZE], sys.byteorder)
    with open(fd, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
        file.seek(0)
        return file.read()


def await_room(writer: socket.socket, seconds: float) -> None:
    """Wait at most so long: until the buffer has room, or for what poll cannot report."""
    poll = select.poll()
    poll.register(writer, select.POLLOUT)
    if poll.poll(0):
        time.sleep(0.001)  # there is room, and yet it failed: descriptors or memory are short
    else:
        poll.poll(seconds * 1000)


def _send_file(writer: socket.socket, packed: bytes) -> None:
    """Send an item in an anonymous file; killed before the last line, we have sent nothing."""
    with _anonymous_file() as file:
        file.write(packed)
        socket.send_fds(writer, [LARGE], [file.fileno()])


def _anonymous_file() -> IO[bytes]:
    """A file without a name: in memory where there is such a thing, else one unlinked when it was made."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("SafeQueue item"), "w+b", buffering=0)  # noqa: PTH123 - a descriptor
    return TemporaryFile(buffering=0)
