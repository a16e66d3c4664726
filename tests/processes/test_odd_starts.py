"""Daemons that are started or live in odd ways: their actors start all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor import ChildSpec, Supervisor
from tests.support.actors import Puppet, WhoAreYou
from tests.support.waiting import DEADLINE, ROOT

pytestmark = pytest.mark.processes

DAEMON = """
import asyncio, os, shutil, signal, tempfile
from actors import Actor, Message, handles
from supervisor import ChildSpec, Supervisor

class Pid(Message[int]):
    pass

class Echo(Actor):
    @handles
    def pid(self, msg: Pid) -> int:
        return os.getpid()

async def main():
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    async with Supervisor(ChildSpec(Echo)) as root:
        pid = await root["echo"].ask(Pid())
        shutil.rmtree(folder)
        os.kill(pid, signal.SIGKILL)
        print("BACK", pid != await root["echo"].ask(Pid()), flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("runner", [(), ("-m", "pdb", "-c", "continue", "-c", "quit")])
def test_an_actor_of_the_main_module_comes_back(tmp_path, runner):
    """Its daemon's working directory was removed; a debugger has replaced the main module."""
    script = tmp_path / "daemon.py"
    script.write_text(DAEMON)
    command = [sys.executable, *runner, str(script)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert "BACK True" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
async def test_ps_names_the_actor():
    """Its command line ends with its path, and its short name is the end of that."""
    async with Supervisor(ChildSpec(Puppet, name="a"), spares=0) as root:
        pid = (await root["a"].ask(WhoAreYou())).pid
        assert (True, "/root/a") == names(pid)


def names(pid):
    """Whether its command line names the actor, and its short name."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return b"actor /root/a" in words, Path(f"/proc/{pid}/comm").read_text().strip()
