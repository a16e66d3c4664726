"""A place for control sockets, and raw clients."""

from __future__ import annotations

import shutil
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path

from supervisor.control import place

SHORT = "/tmp"  # the path of a Unix socket has at most 107 bytes; pytest's temporary folders are deeper


@contextmanager
def short_folder():
    """A folder of this user alone, with a short path."""
    folder = tempfile.mkdtemp(prefix="ctl-", dir=SHORT)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_runtime(monkeypatch):
    """A runtime directory of this test's own; daemons elsewhere are out of sight."""
    folders = place.folders
    with short_folder() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        monkeypatch.setattr(place, "folders", lambda: folders()[:1])
        yield folder


@contextmanager
def raw(path):
    """A bare connection that does not block."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(path))
        client.setblocking(False)
        yield client
