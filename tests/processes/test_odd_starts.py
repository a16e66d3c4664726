"""Daemons that are started or live in odd ways: their actors start all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing import resource_tracker, spawn
from pathlib import Path

import pytest

from supervisor import ChildSpec, StartFailed, Supervisor
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
        pid = await root["echo"].ask(Pid(), timeout=60)
        shutil.rmtree(folder)
        os.kill(pid, signal.SIGKILL)
        print("BACK", pid != await root["echo"].ask(Pid(), timeout=60), flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


STAYS = DAEMON.replace("        shutil.rmtree(folder)\n", "")  # its working directory is there to the end


FAILS = """
class Fail(Message[None]):
    pass

class Echo(Actor):
    @handles
    def fail(self, msg: Fail) -> None:
        raise LookupError("no such thing")
"""
ASKS = """
        print(*await asyncio.gather(root["echo"].ask(Fail()), return_exceptions=True), flush=True)
        pid ="""
FROZEN = """
import importlib, os
for module in importlib, os:
    module.__dict__.pop("__file__", None)
""" + STAYS.replace("class Echo(Actor):\n", FAILS).replace("        pid =", ASKS)


def run(tmp_path, *runner: str, source: str = DAEMON, name: str = "daemon.py") -> str:
    """What the daemon writes, started as `python RUNNER daemon.py`."""
    script = tmp_path / name
    script.write_text(source)
    done = subprocess.run(
        [sys.executable, *runner, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.stdout


@pytest.mark.skipif(
    (3, 13) <= sys.version_info < (3, 13, 3), reason="starts no program where its directory is gone (gh-130932)"
)
@pytest.mark.parametrize("runner", [(), ("-m", "pdb", "-c", "continue", "-c", "quit")])
def test_an_actor_of_the_main_module_comes_back(tmp_path, runner):
    """Its daemon's working directory was removed; a debugger has replaced the main module."""
    assert "BACK True" in (said := run(tmp_path, *runner)), said


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are Unicode")
@pytest.mark.parametrize("name", [os.fsdecode(b"no utf-8 \xff.py"), "two\nlines.py"])
def test_file_names_of_any_bytes(tmp_path, name):
    """The script's name reaches the processes of its actors as it is."""
    assert "BACK True" in (said := run(tmp_path, source=STAYS, name=name)), said


def test_where_python_itself_is_frozen(tmp_path):
    """As cx_Freeze does it: `os` and `importlib` have no file."""
    said = run(tmp_path, source=FROZEN)
    assert "BACK True" in said, said
    assert "LookupError: no such thing" in said.splitlines()[0], said


def test_where_bytes_are_not_compared_with_text(tmp_path):
    """`python -bb` makes an error of it."""
    assert "BACK True" in (said := run(tmp_path, "-bb", source=STAYS)), said


@pytest.mark.skipif(sys.version_info < (3, 15), reason="imports are lazy from 3.15 on")
def test_with_lazy_imports(tmp_path):
    """Of the daemon, and so of its actors."""
    assert "BACK True" in (said := run(tmp_path, "-X", "lazy_imports=all", source=STAYS)), said


def test_an_actor_of_a_script_under_a_profiler(tmp_path):
    """The profiler is the main module that a process would import: refused, or the profiler has made it the script."""
    said = run(tmp_path, "-m", "cProfile", "-o", os.devnull, source=STAYS)
    assert "BACK True" in said or "move it to a module of its own" in said.splitlines()[-1], said


OF_THE_SCRIPT = """
from actors import Actor, job
from supervisor import ChildSpec, FunctionSpec
from supervisor.jobs.prepared_job import PreparedJob

class Options:
    color: str = "red"

class Painter(Actor):
    def __init__(self, options) -> None:
        self.options = options

def paint(options=None) -> None:
    pass

def work(options) -> None:
    pass

@job
def size(text: str) -> int:
    return len(text)

if __name__ == "__main__":
    for make in (
        lambda: ChildSpec(Painter, args=(1,)),
        lambda: FunctionSpec(paint),
        lambda: FunctionSpec(print, args=(Options(),)),
        lambda: FunctionSpec(print, args=(Options,)),
        lambda: PreparedJob(size, None, idempotent=False),
    ):
        try:
            make()
        except Exception as error:
            print(type(error).__name__, error)
        else:
            print("MADE")
"""


@pytest.mark.parametrize("runner", [(), ("-m", "cProfile", "-o", os.devnull)])
def test_what_else_is_of_a_script_under_a_profiler(tmp_path, runner):
    """Functions, arguments and jobs are refused as actors are, each with what to do, or none of them is."""
    said = [
        line
        for line in run(tmp_path, *runner, source=OF_THE_SCRIPT).splitlines()
        if line.startswith(("UsageError", "MADE"))
    ]
    refused = [line for line in said if "main module that new processes do not import" in line]
    assert 5 == len(said)
    assert len(refused) in ((0, 5) if runner else (0,)), said  # newer profilers make it the script


@pytest.mark.parametrize(
    ("content", "words"), [("#!/bin/sh\nexit 0\n", "may be no Python"), ("no program", "could not be executed")]
)
async def test_an_interpreter_that_is_none(tmp_path, monkeypatch, content, words):
    """The start fails with what to look at, not as an actor that stopped itself."""
    program = tmp_path / "python"
    program.write_text(content)
    program.chmod(0o755)
    resource_tracker.ensure_running()
    monkeypatch.setattr(spawn, "_python_exe", os.fsencode(program))
    with pytest.raises(StartFailed, match=f"before it was an actor: .*{words}"):
        async with Supervisor(ChildSpec(Puppet, name="a"), spares=0):
            pytest.fail("it started")


async def test_a_file_that_comes_before_a_module(tmp_path, monkeypatch):
    """A directory put first on sys.path while the daemon runs: a start that fails of it names the file."""
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "msgspec.py"
    file.write_text("raise ImportError('not this one')\n")
    with pytest.raises(StartFailed, match=f"it imported {file} in place of the msgspec that this daemon has; rename"):
        async with Supervisor(ChildSpec(Puppet, name="a"), spares=0):
            pytest.fail("it started")


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


INSPECTED = """
import asyncio, os, signal, time
from actors import Jobs
from supervisor import ChildExited, ChildSpec, CommandSpec, FunctionSpec, Supervisor

class Holder(Jobs):
    def on_start(self):
        self.open = open(__file__)  # so that its interpreter is torn down

async def main():
    command = CommandSpec(("sleep", "60"), shutdown=60.0)
    root = Supervisor(ChildSpec(Holder, name="pool"), FunctionSpec(time.sleep, (60,), name="nap"), command, spares=0)
    events = root.events()
    async with root:
        pass
    print("ENDS", *[event.report.reason.kind.value async for event in events if isinstance(event, ChildExited)])

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("odd", ["PYTHONINSPECT", "ignored signals"])
def test_children_stop_as_ever(tmp_path, monkeypatch, odd):
    """The environment says that Python shall not end; the daemon was started with signals ignored, as by `trap ''`."""
    source = INSPECTED
    if odd == "PYTHONINSPECT":
        monkeypatch.setenv("PYTHONINSPECT", "1")  # with it `sys.exit` is an error
    else:
        source = source.replace("    asyncio.run", "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    asyncio.run")
    said = run(tmp_path, source=source)
    assert "ENDS shutdown shutdown shutdown" in said, said
    assert "crashed" not in said, said
