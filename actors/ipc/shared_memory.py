"""Shared memory: values that several processes map, each freed by the kernel with its last descriptor and mapping.

    Draft (its maker writes) ─▶ seal ─▶ Segment (every process only reads) ─▶ descriptor ─▶ Segment in another process

A segment is a memfd sealed against writing, growing and shrinking: nothing in it changes any more, and reading a
mapping is safe whatever its maker does. It has no name in the file system, so no death leaves one behind.

Where the system has no memfd or passes no descriptors, or ACTORS_SHARED_MEMORY=off is in the environment, values stay
in the process as bytes and travel through the pipe.

Runs on both sides, in any thread.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn
from weakref import WeakValueDictionary

from actors.errors import UsageError
from actors.event import close_fd
from actors.wire.framing import HERE, LARGE, MAX_MESSAGE, Attachment, Carried, SharedAttachment

SWITCH: Final = "ACTORS_SHARED_MEMORY"
SMALL: Final = LARGE  # bytes; a smaller value is copied, which takes less than passing a descriptor
POPULATED: Final = 256 * 1024 * 1024  # bytes; a smaller segment is mapped with all its pages, in one call

_UNTRACKED: Final[dict[str, Any]] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
"""Without it a mapping keeps a descriptor of its own."""


def available() -> bool:
    """Whether values are shared; children inherit the environment, so all processes of a tree agree."""
    return sys.platform == "linux" and hasattr(os, "memfd_create") and os.environ.get(SWITCH, "on") != "off"


class Segment(SharedAttachment):
    """A sealed value in shared memory, as one process has it.

    Its descriptor is closed with the last reference to this object; its memory is unmapped with the last view of it.

    Args:
        fd: of a sealed memfd; the segment owns it.
        size: its bytes.
    """

    __slots__ = ("__weakref__", "_close", "_fd", "_key", "_mapping")

    def __init__(self, fd: int, size: int) -> None:
        super().__init__(size)
        self._fd = fd
        self._key: int | None = None
        self._mapping: mmap.mmap | None = None
        self._close: Callable[[int], None] = os.close  # at interpreter exit module globals may be gone

    @classmethod
    def adopt(cls, fd: int, size: int) -> Segment:
        """The segment behind a descriptor that another process has passed; of one that is here already, that one.

        So a value that comes many times takes one descriptor here.

        Raises:
            UsageError: it is not a sealed memfd of that size. The descriptor is closed.
        """
        import fcntl  # noqa: PLC0415 - only processes that get a segment need it

        try:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
            file = os.fstat(fd)
        except OSError as error:
            close_fd(fd)
            raise UsageError(f"a descriptor that came is not shared memory: {error}") from None
        if seals & _seals() != _seals() or file.st_size != size:
            close_fd(fd)
            raise UsageError(
                f"a descriptor that came has {file.st_size} bytes and seals {seals:#x}; announced were {size}"
            )
        which = (file.st_ino, size, file.st_ctime_ns)  # the kernel counts inodes with 32 bits
        known = _ADOPTED.get(which)
        if known is not None:
            close_fd(fd)
            return known
        segment = _ADOPTED[which] = cls(fd, size)
        segment._key = file.st_ino
        return segment

    @property
    def key(self) -> int:
        """The number of its file."""
        if self._key is None:
            self._key = os.fstat(self._fd).st_ino
        return self._key

    def fileno(self) -> int:
        """Its descriptor."""
        return self._fd

    def view(self) -> memoryview:
        """Its bytes, read only. The mapping is made at the first call and goes with its last view.

        Raises:
            OSError: the system has no room for the mapping.
        """
        if self._mapping is None:
            self._mapping = _mapped(self._fd, self.size)
        return memoryview(self._mapping)

    def read(self, at: int, size: int) -> bytes:
        """A copy of at most so many of its bytes, from that one on. It takes no mapping, so no room for one."""
        return os.pread(self._fd, size, at)

    @property
    def value(self) -> bytes:
        """A copy of its bytes."""
        return bytes(self.view())

    def __del__(self) -> None:
        try:  # noqa: SIM105 - at interpreter exit contextlib may be gone
            self._close(self._fd)
        except OSError:  # other code has closed it
            pass


_ADOPTED: Final[WeakValueDictionary[tuple[int, int, int], Segment]] = WeakValueDictionary()
"""The segments that other processes have passed, by inode, size and time of the last change."""


class LostSegment(SharedAttachment):
    """Stands for a segment whose descriptor did not arrive.

    Args:
        size: its bytes.
        where: who had no descriptor left to take it in.
    """

    __slots__ = ("_where",)

    def __init__(self, size: int, where: str = HERE) -> None:
        super().__init__(size)
        self._where = where

    @property
    def lost(self) -> str:
        """Who had no descriptor left."""
        return self._where

    def view(self) -> NoReturn:
        """There are no bytes.

        Raises:
            OSError: always.
        """
        raise _exhausted(f"a value of {self.size} bytes is lost: as it arrived, {self._where} had no descriptor left")

    @property
    def value(self) -> bytes:
        """There are no bytes.

        Raises:
            OSError: always.
        """
        self.view()


class Draft:
    """A value that its maker still writes.

    Args:
        size: its bytes.
        shared: whether in shared memory; else on the heap, from where it travels through the pipe.

    Raises:
        UsageError: no message carries that many bytes.
        OSError: the system has no descriptor or no memory left.
    """

    def __init__(self, size: int, *, shared: bool) -> None:
        self.size = size
        self._fd = -1
        if not shared:
            if size > MAX_MESSAGE:
                raise UsageError(
                    f"{size} bytes do not fit into a message of at most {MAX_MESSAGE}; there is no shared memory here"
                )
            self._memory: mmap.mmap | bytearray = bytearray(size)
            return
        try:
            self._fd = os.memfd_create("actors-shared", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            raise _exhausted(f"this process has no descriptor left to make a value of {size} bytes") from None
        try:
            os.ftruncate(self._fd, size)
        except BaseException:
            self.close()
            raise

    def view(self) -> memoryview:
        """Its bytes, to be written."""
        if self._fd >= 0 and not hasattr(self, "_memory"):
            self._memory = mmap.mmap(self._fd, self.size, **_UNTRACKED)
        return memoryview(self._memory)

    def write(self, data: memoryview, at: int = 0) -> None:
        """Write these bytes into it, from that one on; takes half the time of writing through a view."""
        if self._fd < 0:
            memoryview(self._memory)[at : at + len(data)] = data
            return
        done = 0
        while done < len(data):
            done += os.pwrite(self._fd, data[done:], at + done)

    def seal(self) -> Carried:
        """Nothing in it changes from now on.

        Raises:
            UsageError: a view of it is still open; it stays a draft.
        """
        if self._fd < 0:
            assert isinstance(self._memory, bytearray)  # noqa: S101 - see __init__
            try:
                self._memory.append(0)
            except BufferError:
                raise _open_view() from None
            del self._memory[-1]
            return Attachment(bytes(self._memory))
        import fcntl  # noqa: PLC0415 - only processes that make a segment need it

        if hasattr(self, "_memory"):
            assert isinstance(self._memory, mmap.mmap)  # noqa: S101 - see view
            try:
                self._memory.close()
            except BufferError:
                raise _open_view() from None
            del self._memory
        try:
            fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, _seals())
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            raise _open_view() from None  # a fork of this process has it mapped
        fd, self._fd = self._fd, -1
        return Segment(fd, self.size)

    def close(self) -> None:
        """Drop it. May be called twice."""
        fd, self._fd = self._fd, -1
        close_fd(fd)

    def __del__(self) -> None:
        if self._fd >= 0:
            self.close()


def in_shared_memory(attachment: Attachment) -> Carried:
    """The same value in shared memory; as it is where there is none, or no room."""
    if not available():
        return attachment
    try:
        draft = Draft(attachment.size, shared=True)
        draft.write(memoryview(attachment.value))
        return draft.seal()
    except OSError:
        return attachment


def _open_view() -> UsageError:
    return UsageError(
        "a Shared that is still written cannot be sent: a writable view or array of it is open; delete or release it "
        "first, or write inside `with Shared.allocate(...) as shared:`"
    )


def _seals() -> int:
    import fcntl  # noqa: PLC0415 - only processes that have a segment need it

    return fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def _mapped(fd: int, size: int) -> mmap.mmap:
    """Map a sealed memfd read only."""
    populate = mmap.MAP_POPULATE if size < POPULATED and hasattr(mmap, "MAP_POPULATE") else 0
    try:
        return mmap.mmap(fd, size, flags=mmap.MAP_SHARED | populate, prot=mmap.PROT_READ, **_UNTRACKED)
    except PermissionError:  # Linux before 6.7 allows only private mappings of what is sealed against writing
        return mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE | populate, prot=mmap.PROT_READ, **_UNTRACKED)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        raise _exhausted(f"this process has no descriptor left to open a value of {size} bytes") from None


def _exhausted(what: str) -> OSError:
    remedy = "close() values that are done with, or raise the limit (ulimit -n, or rlimits= in an actor's ChildSpec)"
    return OSError(errno.EMFILE, f"{what}; {remedy}")
