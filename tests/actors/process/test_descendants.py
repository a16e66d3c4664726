"""The marks of a family: who bears them, and who does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors.process import descendants

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="marks are looked for in /proc")

FOUNDER = """
import os, sys
from actors.process import descendants

page = descendants.mark_descendants("t:7")
print(os.getsid(0) == os.getpid(), os.environ[descendants.VARIABLE], flush=True)
if os.fork() == 0:
    os.setsid()
    print("fork", os.getpid(), flush=True)
    sys.stdin.readline()
    os._exit(0)
sys.stdin.readline()
"""


def test_three_marks() -> None:
    """A session; a variable beside the marks of outer families; and a page that a fork has, too."""
    env = {**os.environ, descendants.VARIABLE: "outer:1", "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        [sys.executable, "-c", FOUNDER], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as founder:
        assert founder.stdin is not None
        assert founder.stdout is not None
        assert "True outer:1 t:7\n" == founder.stdout.readline()
        fork = int(founder.stdout.readline().split()[1])
        for pid in (founder.pid, fork):
            assert "actors-family-t:7" in Path(f"/proc/{pid}/maps").read_text()
        assert "actors-family" not in Path("/proc/self/maps").read_text()
        founder.stdin.write("go\ngo\n")
