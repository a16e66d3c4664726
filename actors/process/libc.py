"""libc: functions of C's library that Python has no name for.

This is what the package `ctypes` does, with `_ctypes` alone: the package makes forty types and imports much, up to 0.6
MiB of each actor's process.

Runs in the actor's process, in its main thread. Linux only.
"""

from __future__ import annotations

import _ctypes
from typing import Any, Final

_LIBC: Final = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # None is the program itself
_INTO_C: Final = 0x1  # a plain C function, during which other threads run
_LOCKED: Final = 0x4  # as well: the interpreter's lock is kept


class _Function(_ctypes.CFuncPtr):
    _flags_ = _INTO_C
    _restype_ = None


class _LockedFunction(_ctypes.CFuncPtr):
    _flags_ = _INTO_C | _LOCKED
    _restype_ = None


class _Pointer(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: SLF001 - it is generic in stubs only
    _type_ = "P"


def call(name: str, *args: Any) -> None:
    """Call a function with ints, pointers, or None for a null pointer.

    Raises:
        OSError: there is none of that name.
    """
    _Function(_ctypes.dlsym(_LIBC, name))(*args)


def call_locked(name: str, *args: Any) -> None:
    """The same, and no other thread runs Python code meanwhile."""
    _LockedFunction(_ctypes.dlsym(_LIBC, name))(*args)


def pointer(name: str) -> _Pointer:
    """The value of a global variable that is a pointer.

    Raises:
        OSError: there is none of that name.
    """
    return _Pointer.from_address(_ctypes.dlsym(_LIBC, name))
