"""Where there is no /proc, as in a bare chroot, everything starts, and dies, and starts again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.waiting import DEADLINE

PROGRAM = """
import asyncio, time
from actors import Jobs
from supervisor import ChildSpec, CommandSpec, FunctionSpec, Supervisor

async def main():
    specs = ChildSpec(Jobs, name="pool"), FunctionSpec(time.sleep, (60,), name="nap"), CommandSpec(("sleep", "60"))
    async with Supervisor(*specs, spares=0) as root:
        print(root.health())

if __name__ == "__main__":
    asyncio.run(main())
"""
WITHOUT_PROC = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="a namespace of mounts")
def test_each_kind_of_child_starts():
    """An actor, a function, a command."""
    if subprocess.run([*WITHOUT_PROC, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount is allowed here")
    command = [*WITHOUT_PROC, sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.stdout == "healthy\n", done.stderr
