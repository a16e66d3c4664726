"""A child is lean: it imports what its actor needs, and the daemon's main module only if that is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.spawning import DEADLINE

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]

ACTOR = """
import sys
from actors import Actor, Message, handles

class Modules(Message[list[str]]):
    pass

class Plain(Actor):
    @handles
    def modules(self, msg: Modules) -> list[str]:
        return sorted(sys.modules)

class Lister(Plain):
    def __init__(self, anything=None) -> None:
        self.anything = anything
"""

BARE = """
import multiprocessing
import sys

def answer(pipe):
    import msgspec
    pipe.send(sorted(sys.modules))

if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=answer, args=(theirs,))
    process.start()
    print(*ours.recv())
    process.join()
"""

DAEMON = """
import asyncio
import multiprocessing
from supervisor import ChildSpec, Supervisor
import lister

async def main(*args, actor=lister.Lister):
    async with Supervisor(ChildSpec(actor, args, name="lister")) as root:
        return await root["lister"].ask(lister.Modules())
"""

IMPORTED = {  # beyond what a bare spawned process has that imported msgspec, by an actor with sync handlers
    "actors",
    "actors.actor",
    "actors.child",
    "actors.ipc",
    "actors.output",
    "actors.process",
    "actors.protocol",
    "actors.protocol.protocol",
    "actors.protocol.state",
    "actors.wire",
    "actors.wire.progress",
    "actors.process.task_stacks",
    "actors.process.time_limit",
    "actors.ipc.blackbox",
    "actors.ipc.box_cells",
    "actors.bounds",
    "actors.ipc.channel",
    "actors.ipc.descriptors",
    "actors.ipc.shared_memory",
    "actors.ipc.shared",
    "array",
    "actors.child.exiting",
    "actors.child.main",
    "gc",
    "actors.wire.codec",
    "actors.process.options",
    "actors.protocol.definitions",
    "actors.child.beginning",
    "actors.jobs.definition",
    "actors.jobs",
    "actors.jobs.jobs",
    "actors.child.messages",
    "actors.child.messages.calls",
    "actors.child.messages.chunks",
    "actors.child.context",
    "actors.child.messages.driver",
    "actors.child.fork",
    "actors.child.messages.inbox",
    "actors.child.leaving",
    "actors.child.messages.keeping",
    "actors.child.messages.settling",
    "actors.child.life",
    "actors.child.serving",
    "actors.child.messages.outbox",
    "actors.child.messages.streams",
    "actors.child.messages.sync_driver",
    "actors.child.messages.timers",
    "actors.ipc.pipes",
    "actors.wire.frames",
    "actors.errors",
    "actors.wire.errors",
    "actors.event",
    "actors.exits",
    "actors.process.tracebacks",
    "actors.process.descendants",
    "actors.process.diagnostics",
    "actors.wire.framing",
    "actors.signatures",
    "actors.wire.log_lines",
    "actors.wire.traces",
    "actors.process.memory",
    "actors.messages",
    "actors.output.capture",
    "actors.wire.attachments",
    "actors.child.messages.remote_ref",
    "actors.output.stdio",
    "actors.process.heartbeat",
    "actors.ref",
    "actors.output.log",
    "actors.child.runners",
    "actors.child.runners.batches",
    "actors.child.runners.replies",
    "actors.child.runners.sync_runner",
    "actors.process.signals",
    "actors.process.traceback_text",
    "actors.ipc.output_pipe",
    "actors.ipc.reply_area",
    "actors.ipc.reply_cells",
    "lister",
    # of the standard library
    "_contextvars",
    "_ctypes",
    "_heapq",
    "contextvars",
    "ctypes",
    "ctypes._endian",
    "faulthandler",
    "heapq",
    "mmap",
    "sysconfig",  # ctypes brings it on 3.13 and 3.14
}


def run(tmp_path, **files):
    """Write the files and run the one given: exit code, output, errors."""
    (script,) = files
    for name, text in {"lister": ACTOR, **files}.items():
        (tmp_path / f"{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, f"{script}.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def names_of_main(tmp_path):
    """Under which names the main module was executed, in order."""
    return (tmp_path / "names").read_text().split()


@pytest.mark.parametrize("actor", ["Plain", "Lister"])
def test_what_a_child_imports(tmp_path, actor):
    """It is this list, and nothing else: no asyncio, no structlog, no traceback, nothing of the daemon's.

    What a process of multiprocessing's imports that needs msgspec alone is no fault of ours. msgspec imports
    typing_extensions, and with it inspect, only where that is installed: here it is not.
    """
    (tmp_path / "typing_extensions.py").write_text("raise ImportError")
    end = f"""
if __name__ == "__main__":
    print(*asyncio.run(main(actor=lister.{actor})))
"""
    code, out, err = run(tmp_path, daemon=DAEMON + end)
    assert (0, "") == (code, err)
    code, bare, err = run(tmp_path, bare=BARE)
    assert (0, "") == (code, err)
    assert {"asyncio", "structlog", "supervisor", "actors"}.isdisjoint(bare[-1].split())
    assert set() == set(out[-1].split()) - set(bare[-1].split()) - IMPORTED


def test_the_main_module_is_not_imported_again(tmp_path):
    """A script without a guard whose actor lives elsewhere runs, once."""
    end = """
asyncio.run(main())
"""
    code, _, err = run(tmp_path, daemon=DAEMON + MINE + end)
    assert (0, "") == (code, err)
    assert ["__main__"] == names_of_main(tmp_path)


MINE = """
class Mine:
    pass

with open("names", "a") as file:
    print(__name__, file=file)
"""


def test_an_argument_that_lives_in_the_main_module(tmp_path):
    """Then the process imports it, to find its class."""
    end = """
if __name__ == "__main__":
    asyncio.run(main(Mine()))
"""
    code, _, err = run(tmp_path, daemon=DAEMON + MINE + end)
    assert (0, "") == (code, err)
    assert ["__main__", "__mp_main__"] == names_of_main(tmp_path)


def test_an_argument_that_lives_in_a_main_module_without_a_guard(tmp_path):
    """It is refused, before anything starts."""
    code, _, err = run(tmp_path, daemon=DAEMON + MINE + "asyncio.run(main(Mine()))\n")
    assert 1 == code
    assert ["__main__"] == names_of_main(tmp_path)
    assert "put it under `if __name__ ==" in err.splitlines()[-1]


def test_a_child_added_later_to_a_daemon_without_a_guard(tmp_path):
    """What needs the main module is refused, what does not is started."""
    end = """
class Mine:
    pass

async def later():
    async with Supervisor() as root:
        print("STARTED", await root.start_child(ChildSpec(lister.Lister, name="other")))
        await root.start_child(ChildSpec(lister.Lister, (Mine(),), name="mine"))

asyncio.run(later())
"""
    code, out, err = run(tmp_path, daemon=DAEMON + end)
    assert 1 == code
    assert "STARTED /root/other" in out
    assert "put it under `if __name__ ==" in err.splitlines()[-1]


def test_a_main_module_that_fails_in_the_child(tmp_path):
    """The start fails with what it raised, not with a bare exit code."""
    end = """
if __name__ != "__main__":
    raise LookupError("not in a child")

class Mine:
    pass

if __name__ == "__main__":
    asyncio.run(main(Mine()))
"""
    code, _, err = run(tmp_path, daemon=DAEMON + end)
    assert 1 == code
    assert "LookupError: not in a child (importing lister:Lister)" in err


@pytest.mark.parametrize("length", [10, 300_000], ids=["fits", "larger than a pipe"])
def test_a_process_that_dies_before_it_has_read_what_it_is_told(tmp_path, length):
    """The start fails with its exit code; neither the start nor the end waits for it."""
    end = f"""
import sys

async def failing():
    try:
        await main()
    except Exception as error:
        print(error)

if __name__ == "__main__":
    sys.argv.append("x" * {length})
    multiprocessing.set_executable("/bin/false")
    asyncio.run(failing())
"""
    code, out, err = run(tmp_path, daemon=DAEMON + end)
    assert 0 == code, err
    assert out[-1].startswith("/root/lister did not start: unstarted: exit code 1")


def test_what_a_daemon_does_not_use_is_not_imported():
    """A store and the control socket come with the first tree that has one."""
    code = "import sys, supervisor, supervisor.store; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    assert not {
        "sqlite3",
        "tempfile",
        "supervisor.cluster",
        "supervisor.control.server",
        "supervisor.ctl",
        "supervisor.store.sqlite",
        "supervisor.testing",
    } & set(run.stdout.split())
