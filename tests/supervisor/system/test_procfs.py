"""procfs: numbers of processes, whatever fails meanwhile."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from supervisor.system import procfs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")


@pytest.mark.parametrize("number", [procfs.peak_bytes, procfs.resident_bytes, procfs.cpu_seconds, procfs.parent_of])
def test_a_close_that_reports_an_error_keeps_no_number_back(monkeypatch, number):
    """A life is killed all the same: its peak is read just before."""
    close = os.close

    def closed_with_an_error(fd):
        close(fd)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "close", closed_with_an_error)
    found = number(os.getpid())
    monkeypatch.undo()
    assert found is not None
