"""A disk that fails: SQLite's own file operations, counted, refused or cut short, by its interface for that.

SQLite lets a test replace the system calls of its file layer. Calls of the files of one store are counted by name;
one of them, or all from one on, can fail with an errno, or write a part. Syncs go through here, too: at each one the
file is copied, so that a power cut can be played: what was not synced is gone.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import threading
from collections import Counter
from pathlib import Path

SHORT = "short"  # in place of an errno: half of the bytes are written
FAULTS = [
    ("pwrite", errno.ENOSPC),
    ("pwrite", errno.EIO),
    ("pwrite", errno.EINTR),
    ("pwrite", errno.EDQUOT),
    ("pwrite", SHORT),
    ("sync", errno.EIO),
    ("pread", errno.EIO),
    ("pread", errno.EINTR),
    ("open", errno.EMFILE),
    ("open", errno.EACCES),
    ("open", errno.EINTR),
    ("ftruncate", errno.EIO),
    ("ftruncate", errno.EINTR),
    ("mmap", errno.ENOMEM),
    ("fstat", errno.EIO),
]

_int, _pointer, _size, _offset = ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_longlong
_PROTOTYPES = {
    "open": (_int, ctypes.c_char_p, _int, _int),
    "pwrite": (ctypes.c_ssize_t, _int, _pointer, _size, _offset),
    "pwrite64": (ctypes.c_ssize_t, _int, _pointer, _size, _offset),
    "write": (ctypes.c_ssize_t, _int, _pointer, _size),
    "pread": (ctypes.c_ssize_t, _int, _pointer, _size, _offset),
    "pread64": (ctypes.c_ssize_t, _int, _pointer, _size, _offset),
    "read": (ctypes.c_ssize_t, _int, _pointer, _size),
    "ftruncate": (_int, _int, _offset),
    "mmap": (_pointer, _pointer, _size, _int, _int, _int, _offset),
    "fstat": (_int, _int, _pointer),
    "fcntl": (_int, _int, _int, _pointer),
}
_FAILED = {"mmap": ctypes.c_void_p(-1).value}
_SYNC = ctypes.CFUNCTYPE(_int, _pointer, _int)
_OPEN = ctypes.CFUNCTYPE(_int, _pointer, _pointer, _pointer, _int, _pointer)
_SET = ctypes.CFUNCTYPE(_int, _pointer, ctypes.c_char_p, _pointer)
_GET = ctypes.CFUNCTYPE(_pointer, _pointer, ctypes.c_char_p)
_IOERR_FSYNC = 10 | 4 << 8


class _Vfs(ctypes.Structure):
    _fields_ = [
        ("version", _int),
        ("size", _int),
        ("longest", _int),
        ("following", _pointer),
        ("name", ctypes.c_char_p),
        ("data", _pointer),
        ("open", _pointer),
        ("rest", _pointer * 12),
        ("set_system_call", _SET),
        ("get_system_call", _GET),
        ("next_system_call", _pointer),
    ]


class _Methods(ctypes.Structure):
    _fields_ = [("version", _int), ("first", _pointer * 4), ("sync", _pointer), ("rest", _pointer * 14)]


def library():
    """The SQLite that Python's module uses, None where it cannot be found (it may be linked in)."""
    import _sqlite3  # noqa: F401, PLC0415 - it is loaded with it

    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    path = next((line.split()[-1] for line in lines if "libsqlite3" in line), None)
    return None if path is None else ctypes.CDLL(path)


class Disk:
    """The file operations of SQLite on the files of one store; use as a context manager.

    Args:
        path: of the store.

    Attributes:
        calls: how many calls of each function there were.
    """

    def __init__(self, path):
        self.calls = Counter()
        self._base = str(path)
        self._fault = None
        self._copies = None
        self._lock = threading.Lock()

    # ---- what a test says

    def fail(self, function, first, error, count=1):
        """Let calls of a function fail, from the `first` on (from 1), `count` of them."""
        self._fault = (function, first, first + count - 1, error)

    def heal(self):
        """Nothing fails any more."""
        self._fault = None

    def copy_at_sync(self, folder):
        """From now on keep a copy of each file as it was at its last sync."""
        self._copies = Path(folder)
        self._copies.mkdir()

    def cut_power(self, folder):
        """What a power cut now would leave; returns the path of the store there. Deleted files are gone."""
        folder.mkdir()
        for copy in self._copies.iterdir():
            if Path(self._base).with_name(copy.name).exists():
                shutil.copy(copy, folder / copy.name)
        return folder / Path(self._base).name

    # ---- SQLite

    def __enter__(self):
        lib = library()
        lib.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        self._vfs = lib.sqlite3_vfs_find(None).contents
        self._kept = []
        for name, (result, *arguments) in _PROTOTYPES.items():
            self._replace(name, ctypes.CFUNCTYPE(result, *arguments, use_errno=True))
        self._original_open = _OPEN(self._vfs.open)
        opened = _OPEN(self._opened)
        self._kept.append(opened)
        self._address = self._vfs.open
        self._vfs.open = ctypes.cast(opened, _pointer)
        return self

    def __exit__(self, *error):
        self._vfs.open = self._address
        for name in _PROTOTYPES:
            self._vfs.set_system_call(ctypes.byref(self._vfs), name.encode(), None)
        _alive.append(self._kept)  # files that are still open may use them

    def _replace(self, name, prototype):
        address = self._vfs.get_system_call(ctypes.byref(self._vfs), name.encode())
        if not address:
            return
        original = prototype(address)

        def call(*arguments):
            fault = self._counted(name, arguments[0] if name != "mmap" else arguments[4])
            if fault is None:
                return original(*arguments)
            if fault == SHORT:
                return original(*arguments[:2], max(1, arguments[2] // 2), *arguments[3:])
            ctypes.set_errno(fault)
            return _FAILED.get(name, -1)

        replaced = prototype(call)
        self._kept.append(replaced)
        self._vfs.set_system_call(ctypes.byref(self._vfs), name.encode(), ctypes.cast(replaced, _pointer))

    def _opened(self, vfs, name, file, flags, out):
        result = self._original_open(vfs, name, file, flags, out)
        pointer = ctypes.cast(file, ctypes.POINTER(ctypes.POINTER(_Methods)))
        if result == 0 and pointer[0] and name:
            path = ctypes.cast(name, ctypes.c_char_p).value.decode()
            methods = _Methods.from_buffer_copy(pointer[0].contents)
            original = _SYNC(methods.sync)

            def sync(opened, how):
                fault = self._counted("sync", path)
                if fault is not None:
                    return _IOERR_FSYNC
                done = original(opened, how)
                if done == 0 and self._copies is not None and path.startswith(self._base):
                    shutil.copy(path, self._copies / Path(path).name)
                return done

            replaced = _SYNC(sync)
            methods.sync = ctypes.cast(replaced, _pointer)
            self._kept += [methods, replaced]
            pointer[0] = ctypes.pointer(methods)
        return result

    def _counted(self, function, file):
        """The fault of this call, None when it goes on."""
        function = function.removesuffix("64")
        if isinstance(file, bytes):
            path = file.decode()
        elif isinstance(file, int):
            try:
                path = os.readlink(f"/proc/self/fd/{file}")  # noqa: PTH115 - called very often
            except OSError:
                return None
        else:
            path = file
        if not path.startswith(self._base):
            return None
        with self._lock:
            self.calls[function] += 1
            if self._fault is None or self._fault[0] != function:
                return None
            _, first, last, error = self._fault
            return error if first <= self.calls[function] <= last else None


_alive = []
