"""What a process passes in place of a sealed value in shared memory ends its life, and costs the daemon nothing."""

from __future__ import annotations

import array
import fcntl
import gc
import mmap
import os
import socket
import sys
from pathlib import Path

import pytest

from actors.errors import WireError
from actors.ipc.shared_memory import LostSegment, Segment
from actors.wire.framing import Announced
from supervisor.process.descriptors import LifeDescriptors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memfd is Linux's")

SIZE = 64 * 1024
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE if sys.platform == "linux" else 0
PID = 1


class Listener:
    """Has one connection, of one process, unless this process has no descriptor left for it."""

    exhausted = False

    def __init__(self, sock):
        self.reader = self
        self._sock = sock

    def claim(self, pid):
        if self.exhausted:
            return None
        sock, self._sock = self._sock, None
        return sock if pid == PID else None

    def forget(self, fd, *, close=lambda: None):
        close()


@pytest.fixture
def ends():
    """The daemon's side, and the end of the process; no descriptor is left afterwards."""
    gc.collect()
    before = open_descriptors()
    daemons, its = socket.socketpair()
    daemons.setblocking(False)
    life = LifeDescriptors(Listener(daemons), PID)
    yield life, its
    life.close()
    daemons.close()
    its.close()
    gc.collect()
    assert before == open_descriptors()


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def memfd(size=SIZE, seals=SEALS):
    fd = os.memfd_create("hostile", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def still_written():
    """Sealed as far as a writable mapping allows."""
    return memfd(seals=SEALS & ~fcntl.F_SEAL_WRITE)


HOSTILE = {
    "not sealed at all": lambda: memfd(seals=0),
    "it can still be written": still_written,
    "it can shrink": lambda: memfd(seals=SEALS & ~fcntl.F_SEAL_SHRINK),
    "it can grow": lambda: memfd(seals=SEALS & ~fcntl.F_SEAL_GROW),
    "it is smaller": lambda: memfd(SIZE - 1),
    "it is larger": lambda: memfd(SIZE + 1),
    "it is empty": lambda: memfd(0),
    "a directory": lambda: os.open("/", os.O_RDONLY | os.O_DIRECTORY),
    "a path alone": lambda: os.open("/", os.O_PATH),
    "a file": lambda: os.open(__file__, os.O_RDONLY),
    "a device": lambda: os.open("/dev/zero", os.O_RDWR),
}


def send(sock, *fds):
    sock.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
    for fd in fds:
        os.close(fd)


@pytest.mark.parametrize("what", list(HOSTILE))
def test_something_else(ends, what):
    """It is refused, in words."""
    life, its = ends
    send(its, HOSTILE[what]())
    with pytest.raises(WireError, match="it announced a value in shared memory and passed none: a descriptor that"):
        life.take(Announced(SIZE))


@pytest.mark.parametrize("what", [socket.socketpair, os.pipe])
def test_a_channel(ends, what):
    """A descriptor without a size."""
    life, its = ends
    pair = what()
    ours = [end if isinstance(end, int) else end.detach() for end in pair]
    send(its, *ours[:1])
    os.close(ours[1])
    with pytest.raises(WireError, match="a descriptor that came is not shared memory"):
        life.take(Announced(SIZE))


def test_what_was_announced(ends):
    """Is there, and cannot be written."""
    life, its = ends
    send(its, memfd())
    segment = life.take(Announced(SIZE))
    assert isinstance(segment, Segment)
    assert bytes(SIZE) == segment.value
    with pytest.raises(PermissionError):
        mmap.mmap(segment.fileno(), SIZE)


def test_none(ends):
    """Neither is waited for, and nor is one that does not connect."""
    life, _ = ends
    with pytest.raises(WireError, match="passed none"):
        life.take(Announced(SIZE))
    with pytest.raises(WireError, match="has passed no descriptor"):
        LifeDescriptors(Listener(None), PID).take(Announced(SIZE))


def test_a_byte_without_one(ends):
    """As one that was lost for want of descriptors: only reading it fails."""
    life, its = ends
    send(its)
    lost = life.take(Announced(SIZE))
    assert isinstance(lost, LostSegment)
    assert lost.lost
    with pytest.raises(OSError, match="a process that passes it on had no descriptor left"):
        lost.view()


def test_no_descriptor_left_for_the_connection(ends):
    """What was announced meanwhile is lost, and the process is not blamed; what comes later is what was announced."""
    daemons, its = socket.socketpair()
    daemons.setblocking(False)
    listener = Listener(daemons)
    life, listener.exhausted = LifeDescriptors(listener, PID), True
    for size in (SIZE, 2 * SIZE):
        send(its, memfd(size))
        assert life.take(Announced(size)).lost
    listener.exhausted = False
    send(its, memfd(3 * SIZE))
    assert bytes(3 * SIZE) == life.take(Announced(3 * SIZE)).value
    life.close()
    its.close()
    daemons.close()


def test_more_than_announced(ends):
    """Those beside the first are closed; what follows unasked goes with the connection."""
    life, its = ends
    send(its, memfd(), memfd(), memfd())
    for _ in range(5):
        send(its, memfd())
    assert isinstance(life.take(Announced(SIZE)), Segment)


def test_an_end(ends):
    """The process has closed its connection."""
    life, its = ends
    its.shutdown(socket.SHUT_RDWR)
    with pytest.raises(WireError, match="passed none"):
        life.take(Announced(SIZE))
