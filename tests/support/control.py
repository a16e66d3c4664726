"""A place for control sockets, raw clients, and a daemon to operate in a process of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from supervisor.control import place
from tests.support.waiting import DEADLINE, ROOT

CTL = (sys.executable, "-m", "supervisor.ctl")
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


@contextmanager
def daemon(folder, module="tests.support.operated"):
    """A daemon in a process of its own; its pid."""
    config = folder / "config.toml"
    config.touch()
    variables = {name: value for name, value in os.environ.items() if name != "ACTORS_TESTS"}  # its actors come and go
    variables |= {"XDG_RUNTIME_DIR": str(folder), "OPERATED_CONFIG": str(config), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", module], env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    try:
        assert b"ready\n" == process.stdout.readline()
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)
