"""A tree starts in whatever process its daemon is: one of multiprocessing's, a daemonic one, one of another library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.spawning import DEADLINE

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import asyncio
import multiprocessing
import multiprocessing.context
import multiprocessing.process
import sys
from actors import Actor, Jobs, Message, handles, job
from supervisor import ChildSpec, Supervisor

@job
def half(number: int) -> int:
    return number // 2

class Child(Message[int]):
    pass

class Mine:
    def __init__(self, number):
        self.number = number

def answer(pipe):
    pipe.send(42)

class Echo(Actor):
    def __init__(self, *args):
        self.args = args

    @handles
    def child(self, msg: Child) -> int:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.Process(target=answer, args=(theirs,))
        process.start()
        process.join()
        return ours.recv()

async def serve(*args):
    async with Supervisor(ChildSpec(Echo, args), ChildSpec(Jobs, name="pool")) as root:
        assert 21 == await root["pool"].run(half, 42)
        print("ANSWER", await root["echo"].ask(Child()), flush=True)

def worker(*args):
    asyncio.run(serve(*args))

class Foreign(bytes):
    def __reduce__(self):
        raise TypeError("Pickling it is disallowed")

def foreign():
    config = multiprocessing.process.current_process()._config
    config["authkey"] = Foreign(config["authkey"])
    worker()

class Own(multiprocessing.context.SpawnContext):
    _name = "own"  # as loky's: a new process does not know it

def own_start_method():
    multiprocessing.context._default_context._actual_context = Own()
    worker()

def daemonic(start, target=worker, *args):
    process = multiprocessing.get_context(start).Process(target=target, args=args, daemon=True)
    process.start()
    process.join()
    sys.exit(process.exitcode)

def pool(start):
    with multiprocessing.get_context(start).Pool(1) as workers:
        workers.apply(worker, (Mine(3),))

def manager():
    with multiprocessing.Manager() as shared:
        asyncio.run(counting(shared.list()))

class Collect(Message[int]):
    pass

class Collector(Actor):
    def __init__(self, shared):
        self.shared = shared

    @handles
    def collect(self, msg: Collect) -> int:
        self.shared.append(42)
        return 0

async def counting(shared):
    async with Supervisor(ChildSpec(Collector, (shared,))) as root:
        await root["collector"].ask(Collect())
    print("ANSWER", *shared)

if __name__ == "__main__":
    eval(sys.argv[1])
"""


@pytest.mark.parametrize(
    "call",
    [
        *(f"daemonic({start!r})" for start in ("fork", "spawn", "forkserver")),
        *(f"pool({start!r})" for start in ("fork", "spawn", "forkserver")),
        'daemonic("spawn", worker, Mine(1))',
        'daemonic("fork", foreign)',
        "manager()",
        "own_start_method()",
    ],
)
def test_a_tree_of_actors_of_the_script(call, tmp_path):
    """It starts, its actors have children of their own, and a manager's proxy as an argument finds its manager."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", script, call],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert ["ANSWER 42"] == [line for line in done.stdout.splitlines() if line.startswith("ANSWER")], done.stderr
    assert 0 == done.returncode, done.stderr
