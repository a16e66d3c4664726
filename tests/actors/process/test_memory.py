"""Memory: the peak of a process, and its reserve."""

from __future__ import annotations

import platform
import sys
import sysconfig
from pathlib import Path

import pytest

from actors.process.memory import RESERVE, Reserve, give_back, peak_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def status(name):
    """A size of this process in bytes."""
    return int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0]) * 1024


def test_the_peak():
    """The most there ever was, not what there is."""
    before = peak_memory()
    assert before >= status("VmRSS")
    size = before - status("VmRSS") + 128 * 1024 * 1024  # freed memory may be given back meanwhile
    much = bytearray(size)
    much[::4096] = b"x" * len(much[::4096])
    del much
    assert peak_memory() >= before + 16 * 1024 * 1024


@pytest.mark.skipif(not platform.libc_ver()[0].startswith("glibc"), reason="another allocator")
@pytest.mark.skipif(
    sysconfig.get_config_var("Py_GIL_DISABLED"), reason="a free-threaded build has no use for C's malloc"
)
def test_freed_memory_is_given_back():
    """Also below a block that is still in use, where C's library keeps it otherwise."""
    size = 64 * 1024 * 1024
    blocks = [bytes(2000) for _ in range(size // 2000)]
    kept = blocks.pop()
    del blocks
    before = status("VmRSS")
    give_back()
    assert before - status("VmRSS") > size // 2
    assert 2000 == len(kept)


def test_no_peak_where_there_is_no_proc(monkeypatch):
    """Nothing is said, and nothing breaks."""

    def missing(*args):
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", missing)
    assert 0 == peak_memory()


def test_the_reserve():
    """Address space is kept, given back, and kept again; it never costs memory."""
    size, resident = status("VmSize"), status("VmRSS")
    reserve = Reserve()
    assert status("VmSize") >= size + RESERVE
    assert status("VmRSS") < resident + RESERVE / 4
    reserve.release()
    reserve.release()
    assert status("VmSize") < size + RESERVE
    reserve.fill()
    reserve.fill()
    assert status("VmSize") >= size + RESERVE
    reserve.release()


def test_no_reserve_where_there_is_no_room(monkeypatch):
    """A process that has no room for it goes without."""

    def refused(*args):
        raise OSError

    monkeypatch.setattr("mmap.mmap", refused)
    Reserve().release()
