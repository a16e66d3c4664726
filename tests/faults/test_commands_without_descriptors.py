"""A command that comes when the daemon has no descriptor left is obeyed: no import of ours is left to that moment."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.waiting import DEADLINE

PROGRAM = """
import asyncio, os, resource, signal
from actors import Jobs
from supervisor import ChildSpec, Supervisor

def take_all_descriptors():
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return taken

async def main():
    async with Supervisor(ChildSpec(Jobs, name="pool"), spares=0) as root:
        {command}

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    asyncio.run(main())
"""

LOOKED_AT = """
        take_all_descriptors()
        print(root.health(), root.count_children().active, len(root.which_children()), "running" in str(root))
        await root.terminate_child("pool")
        print(root.which_children()[0].state.value)
"""

ASKED_TO_STOP = """
        serving = asyncio.create_task(root.serve(drain=5.0))
        await asyncio.sleep(0)  # it watches the signals from now on
        take_all_descriptors()
        os.kill(os.getpid(), signal.SIGTERM)
        print((await serving).kind.value)
"""


@pytest.mark.processes
@pytest.mark.parametrize(
    ("command", "printed"),
    [(LOOKED_AT, "healthy 1 1 True\nstopped\n"), (ASKED_TO_STOP, "shutdown\n")],
    ids=["looked at and changed", "SIGTERM, with a drain"],
)
def test_it_is_obeyed(command, printed):
    """In a program of its own: here all modules are imported already."""
    program = PROGRAM.replace("{command}", command.strip())
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert printed == done.stdout, done.stderr
