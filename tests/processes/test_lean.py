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
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from actors import Actor, ActorRef, Message, handles

class Modules(Message[list[str]]):
    pass

class Plain(Actor):
    @handles
    def modules(self, msg: Modules) -> list[str]:
        return sorted(sys.modules)

class Countdown(Message[AsyncIterator[int]]):
    pass

class Sibling(Message[None]):
    ref: ActorRef

class Talker(Plain):
    def sibling(self):
        return [self.context.actor(name) for name in "a"]

class Short(Message[str]):
    pass

class Noted(Message[None]):
    pass

class Poor(Plain):
    def __init__(self) -> None:
        self.notes = 0
        self.taken = []

    @handles
    def note(self, msg: Noted) -> None:
        self.notes += 1

    @handles
    def modules(self, msg: Modules) -> list[str]:
        return [str(self.notes)]

    @handles
    def short(self, msg: Short) -> str:
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(os.dup(0))
        try:
            import wave
        except OSError as error:
            self.context.ref.tell_nowait(Noted())
            return type(error).__name__

class Referred(Plain):
    @handles
    def sibling(self, msg: Sibling) -> None:
        pass

class Streamer(Plain):
    @handles
    def count(self, msg: Countdown) -> Iterator[int]:
        yield 1

class Keeper(Plain):
    def save(self) -> int:
        return 1

    def load(self, state: int) -> None:
        pass

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
    "gc",  # built in
    "actors",
    "actors.actor",
    "actors.child",
    "actors.ipc",
    "actors.output",
    "actors.process",
    "actors.protocol",
    "actors.protocol.protocol",
    "actors.wire",
    "actors.wire.progress",
    "actors.process.time_limit",
    "actors.ipc.blackbox",
    "actors.ipc.box_cells",
    "actors.bounds",
    "actors.ipc.channel",
    "actors.child.exiting",
    "actors.child.main",
    "actors.wire.codec",
    "actors.process.options",
    "actors.protocol.definitions",
    "actors.protocol.handled",
    "actors.child.beginning",
    "actors.child.messages",
    "actors.child.messages.calls",
    "actors.child.context",
    "actors.child.fork",
    "actors.child.messages.inbox",
    "actors.child.leaving",
    "actors.child.life",
    "actors.child.serving",
    "actors.child.messages.outbox",
    "actors.child.messages.sync_driver",
    "actors.child.messages.timers",
    "actors.ipc.pipes",
    "actors.wire.from_child",
    "actors.wire.kinds",
    "actors.wire.to_child",
    "actors.errors",
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
    "actors.output.stdio",
    "actors.process.heartbeat",
    "actors.process.libc",
    "actors.ref",
    "actors.output.log",
    "actors.child.runners",
    "actors.child.runners.batches",
    "actors.child.runners.handling",
    "actors.child.runners.replies",
    "actors.child.runners.sync_runner",
    "actors.process.setup",
    "actors.process.signals",
    "actors.process.traceback_text",
    "actors.ipc.output_pipe",
    "actors.ipc.reply_area",
    "actors.ipc.reply_cells",
    "lister",
    # of the standard library
    "_bisect",
    "_contextvars",
    "_ctypes",
    "bisect",
    "contextvars",
    "faulthandler",
    "mmap",
}


REFS = {
    "actors.child.messages.remote_ref",
    "actors.child.messages.chunks",
    "actors.child.messages.passing",
    "actors.wire.errors",
}
NEEDED = {  # beyond that, before its first message, by an actor of that class
    "Talker": REFS,
    "Referred": REFS,
    "Streamer": {"actors.child.messages.streams", "actors.child.runners.sync_flows"},
    "Keeper": {"actors.child.messages.keeping", "actors.protocol.state"},
}


def run(tmp_path, *flags, **files):
    """Write the files and run the one given, with these flags of Python's: exit code, output, errors."""
    (script,) = files
    for name, text in {"lister": ACTOR, **files}.items():
        (tmp_path / f"{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, *flags, f"{script}.py"],
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

    What a process of multiprocessing's imports that needs msgspec alone is no fault of ours, but for what msgspec
    imports where typing_extensions is installed: it is for the actor, and not for the other process.
    """
    extensions = tmp_path / "typing_extensions.py"
    extensions.write_text("import inspect\nfrom typing import *\n")
    end = f"""
if __name__ == "__main__":
    print(*asyncio.run(main(actor=lister.{actor})))
"""
    code, out, err = run(tmp_path, daemon=DAEMON + end)
    assert (0, "") == (code, err)
    extensions.write_text("raise ImportError")
    code, bare, err = run(tmp_path, bare=BARE)
    assert (0, "") == (code, err)
    assert {"asyncio", "structlog", "supervisor", "actors"}.isdisjoint(bare[-1].split())
    assert set() == set(out[-1].split()) - set(bare[-1].split()) - IMPORTED


def test_an_actor_with_typing_extensions(tmp_path):
    """It imports them, though its process began without; msgspec knows what they mark in its messages."""
    pytest.importorskip("typing_extensions")
    typed = """
from actors import Actor, Message, handles
from typing_extensions import NotRequired, TypedDict

class Item(TypedDict):
    name: str
    price: NotRequired[int]

class Order(Message[list[Item]]):
    items: list[Item]

class Typed(Actor):
    @handles
    def order(self, msg: Order) -> list[Item]:
        return msg.items
"""
    (tmp_path / "typed.py").write_text(typed)
    end = """
import typed

async def order():
    async with Supervisor(ChildSpec(typed.Typed)) as root:
        print(await root["typed"].ask(typed.Order([{"name": "tea"}])))

if __name__ == "__main__":
    asyncio.run(order())
"""
    code, out, err = run(tmp_path, daemon=DAEMON + end)
    assert (0, "", ["[{'name': 'tea'}]"]) == (code, err, out)


MODES = """
import sys
from actors import Actor, Message, handles

AT_IMPORT = sys.get_lazy_imports()

class Modes(Message[list[str]]):
    pass

class Lazy(Actor):
    def __init__(self) -> None:
        import __main__
        self.at_start = [AT_IMPORT, sys.get_lazy_imports(), str("lazy_imports" in vars(__main__))]

    @handles
    def modes(self, msg: Modes) -> list[str]:
        return [*self.at_start, *({"subprocess", "json", "runpy", "selectors"} & set(sys.modules))]
"""


@pytest.mark.skipif(sys.version_info < (3, 15), reason="lazy imports are in 3.15 and later")
@pytest.mark.parametrize("mode", ["normal", "all"])
def test_what_multiprocessing_imports_and_does_not_use(tmp_path, mode):
    """It is not imported; imports of the actor's own module are as the user has set them."""
    (tmp_path / "lazy.py").write_text(MODES)
    end = """
import lazy

async def modes():
    async with Supervisor(ChildSpec(lazy.Lazy)) as root:
        print(*await root["lazy"].ask(lazy.Modes()))

if __name__ == "__main__":
    asyncio.run(modes())
"""
    code, out, err = run(tmp_path, *(["-X", "lazy_imports=all"] if mode == "all" else []), daemon=DAEMON + end)
    assert (0, "", [f"{mode} {mode} False"]) == (code, err, out)


def test_what_a_child_imports_for_what_its_class_needs(tmp_path):
    """Streams, state and refs come before the first message of an actor that has them, and with no other."""
    end = f"""
async def each():
    for name in {list(NEEDED)}:
        print(*await main(actor=getattr(lister, name)))

if __name__ == "__main__":
    asyncio.run(each())
"""
    code, out, err = run(tmp_path, daemon=DAEMON + end)
    assert (0, "") == (code, err)
    parts = set().union(*NEEDED.values())
    assert list(NEEDED.values()) == [parts & set(line.split()) for line in out]


def test_what_was_imported_ahead_works_without_a_free_descriptor(tmp_path):
    """An actor that can import nothing any more sends its first message to an actor."""
    end = """
async def poor():
    async with Supervisor(ChildSpec(lister.Poor, rlimits={"NOFILE": 64})) as root:
        print(await root["poor"].ask(lister.Short()))
        print(*await root["poor"].ask(lister.Modules()))

if __name__ == "__main__":
    asyncio.run(poor())
"""
    code, out, err = run(tmp_path, daemon=DAEMON + end)
    assert (0, "", ["OSError", "1"]) == (code, err, out)


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


NOT_OF_A_PLAIN_TREE = {
    *("difflib", "pathlib", "sqlite3", "structlog", "tempfile"),
    *(
        "actors.child.main",
        "actors.child.messages.inbox",
        "actors.ipc.box_file",
        "actors.output",
        "actors.queue.safe_queue",
    ),
    *("supervisor.cluster", "supervisor.ctl", "supervisor.telemetry", "supervisor.testing"),
    *("supervisor.control.socket_path", "supervisor.control.server"),
    *("supervisor.durable.durability", "supervisor.durable.mailbox", "supervisor.store", "supervisor.process.boxes"),
    *("supervisor.kinds.factory", "supervisor.core.health.task_end"),
    *("supervisor.process.command_life", "supervisor.process.function_life"),
    *("supervisor.specs.command", "supervisor.specs.function", "supervisor.specs.ready", "supervisor.specs.task"),
    *("supervisor.spec_validation.command", "supervisor.spec_validation.lone"),
    *(
        "supervisor.jobs.job_map",
        "supervisor.jobs.job_run",
        "supervisor.jobs.prepared_job",
        "supervisor.jobs.progress_bar",
    ),
    *("supervisor.core.schedule", "supervisor.root.scheduler"),
    *(
        "supervisor.io.loop_reader",
        "supervisor.messaging.tree_store",
        "supervisor.system.signals",
        "supervisor.threaded",
    ),
}
"""What a daemon needs only for what one actor, an ask and a stop are not: kinds of children, a store, jobs, schedules,
limits. Each is imported when it is first used, and never on the way of a message.
"""

IMPORTED_AHEAD = {
    "supervisor.kinds.lone_child",
    "supervisor.root.draining",
    "supervisor.tree.child_management",
    "supervisor.tree.health",
    "supervisor.tree.look",
    "supervisor.tree.snapshot",
}
"""What changes, looks at and drains a tree: a tree imports it while its children start."""

OF_PYTHON = set()
if sys.version_info >= (3, 14):
    OF_PYTHON |= {"tempfile"}  # of its multiprocessing
if sys.version_info >= (3, 15):
    OF_PYTHON |= {"pathlib"}  # of its traceback


@pytest.mark.parametrize("run_a_tree", [False, True], ids=["import supervisor", "a tree of one actor ran"])
def test_what_a_daemon_does_not_use_is_not_imported(tmp_path, run_a_tree):
    """A program pays at its start for the kinds and features that it uses."""
    end = f"""
import sys

if __name__ == "__main__":
    if {run_a_tree}:
        asyncio.run(main())
    print(*sys.modules)
"""
    code, out, err = run(tmp_path, daemon=DAEMON + end)
    assert (0, "") == (code, err)
    loaded = set(out[-1].split())
    assert set() == (NOT_OF_A_PLAIN_TREE - OF_PYTHON) & loaded
    assert (IMPORTED_AHEAD if run_a_tree else set()) == IMPORTED_AHEAD & loaded
