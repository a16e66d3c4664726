"""`actorctl run`: a tree of specs as a daemon, anew after each change of a file; what is no tree is refused."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from supervisor.ctl.app import actorctl
from supervisor.ctl.client import connect
from tests.support.control import CTL, environment, short_folder
from tests.support.taking_time import FOREVER
from tests.support.waiting import DEADLINE, alive, until_now

pytestmark = pytest.mark.processes

SHOP = """
from actors import Actor, Message, handles
from supervisor import ChildSpec

class Add(Message[int]):
    amount: int

class Shop(Actor):
    def on_start(self) -> None:
        print({said!r})

    @handles
    def add(self, msg: Add) -> int:
        return msg.amount + {more}

tree = [ChildSpec(Shop, name="shop")]

def made():
    return tree

def sized(size):
    return tree

none = 5
"""


@pytest.fixture
def folder():
    with short_folder() as folder:
        (folder / "shop.py").write_text(SHOP.format(said="first", more=1))
        yield folder


class Running:
    """A running `actorctl run`, with its log."""

    def __init__(self, folder, *words):
        self._folder = folder
        self.process = subprocess.Popen(
            [*CTL, "run", *words],
            cwd=folder,
            env=environment(folder),
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def until(self, words):
        """Wait for a line that has some words."""
        seen = []
        for line in self.process.stderr:
            seen.append(line)
            if words in line:
                return line
        raise AssertionError("".join(seen))

    @property
    def socket(self):
        """The control socket of the daemon, of which there is one."""
        (path,) = (self._folder / "actors").iterdir()
        return path

    def ask(self, amount):
        """What the shop answers."""
        with connect(self.socket) as daemon:
            return daemon.ask("shop", "Add", f'{{"amount": {amount}}}', timeout=DEADLINE)

    def ended(self, number):
        """Its exit code after a signal."""
        self.process.send_signal(number)
        _, self.rest = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize(("tree", "number"), [("tree", signal.SIGTERM), ("made", signal.SIGINT)])
def test_a_tree_until_a_signal(folder, tree, number):
    """A list of specs, or a function that returns one; it has a control socket, and a log."""
    with Running(folder, f"shop:{tree}") as running:
        running.until("first")
        assert "3" == running.ask(2)
        assert 0 == running.ended(number)
    assert [] == list((folder / "actors").iterdir())


def test_a_change_starts_it_anew(folder):
    """A file that cannot be imported is said, and the next change is waited for; Ctrl-C ends all of it."""
    shop = folder / "shop.py"
    with Running(folder, "shop:tree", "--reload") as running:
        running.until("first")
        assert "3" == running.ask(2)
        shop.write_text("this is no Python")
        running.until("shop.py changed; starting anew")
        running.until("ended with exit code 1; waits for a change")
        shop.write_text(SHOP.format(said="second", more=10))
        running.until("second")
        assert "12" == running.ask(2)
        assert 0 == running.ended(signal.SIGINT)
    assert [] == list((folder / "actors").iterdir())


def test_it_is_stopped_while_it_starts(folder):
    """A tree that is still imported has nothing to stop: that is no failure."""
    (folder / "shop.py").write_text(f"import sys, time; print('imported', file=sys.stderr); time.sleep({FOREVER})")
    with Running(folder, "shop:tree", "--reload") as running:
        running.until("imported")
        assert 0 == running.ended(signal.SIGINT)


HALF_STARTED = f"""
import time
from actors import Actor
from supervisor import ChildSpec

class Shop(Actor):
    def on_start(self) -> None:
        print("on_start")
        time.sleep({FOREVER})

tree = [ChildSpec(Shop, name="shop", shutdown=0.1)]
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_children_start(folder, number):
    """Is a stop as any other: exit code 0, nothing is left, and no traceback is shown."""
    (folder / "shop.py").write_text(HALF_STARTED)
    with Running(folder, "shop:tree") as running:
        running.until("on_start")
        assert 0 == running.ended(number)
        assert "Traceback" not in running.rest
    assert [] == list((folder / "actors").iterdir())


PEACEFUL = """
import asyncio, signal, sys
from supervisor import TaskSpec

async def hold():
    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # it does not serve yet
        await asyncio.sleep(0.01)
    print("begun", file=sys.stderr)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(1)
        print("put away", file=sys.stderr)

tree = TaskSpec(hold)
"""

DEAF = f"""
import os, signal, sys, time

signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}})
print("begun", os.getpid(), file=sys.stderr)
time.sleep({FOREVER})
"""


def test_ctrl_c_in_a_terminal_is_one_signal_to_the_tree(folder):
    """It stops in peace; a second one would kill what it runs. The terminal's process group gets it."""
    (folder / "shop.py").write_text(PEACEFUL)
    with Running(folder, "shop:tree", "--reload") as running:
        running.until("begun")
        os.killpg(running.process.pid, signal.SIGINT)
        running.until("put away")
        assert 0 == running.process.wait(DEADLINE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_tree_that_does_not_stop_is_killed_at_the_second_signal(folder, number):
    """None is left behind."""
    (folder / "shop.py").write_text(DEAF)
    with Running(folder, "shop:tree", "--reload") as running:
        pid = int(running.until("begun").split()[1])
        running.process.send_signal(number)
        until_now(lambda: pending(pid, signal.SIGTERM), "the first is passed on")
        running.process.send_signal(number)
        running.process.wait(DEADLINE)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells it")
def test_the_tree_is_killed_with_what_reloads_it(folder):
    """A kill -9 leaves no tree behind that would hold its port, its socket and its store; here it hears no SIGTERM."""
    (folder / "shop.py").write_text(DEAF)
    with Running(folder, "shop:tree", "--reload") as running:
        pid = int(running.until("begun").split()[1])
        running.process.kill()
        until_now(lambda: not alive(pid), "the end of the tree")


def pending(pid, number):
    """Whether a process has got a signal that it blocks."""
    mask = re.search(r"ShdPnd:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())[1]
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("shop", "write MODULE:TREE"),
        ("nowhere:tree", "there is no module 'nowhere'"),
        ("shop:nothing", "shop has no 'nothing'"),
        ("shop:sized", "shop:sized is called without arguments, and missing a required argument: 'size'"),
        ("shop:none", "must be a Supervisor or a list of one spec or more"),
    ],
)
def test_what_is_no_tree_is_refused(folder, monkeypatch, target, said):
    """Before anything starts."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    refused = CliRunner().invoke(actorctl, ["run", target])
    sys.modules.pop("shop", None)
    assert 2 == refused.exit_code
    assert said in " ".join(refused.output.split())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def tree(:", 'File "shop.py", line 1'),
        ("import absent_module", 'File "shop.py", line 1, in <module>'),
        ("def tree():\n    return 1 / 0", 'File "shop.py", line 2, in tree'),
    ],
)
def test_a_tree_that_raises_is_told_from_its_own_code_on(folder, monkeypatch, source, said):
    """The frames of the command line and of the import system say nothing to its author."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (folder / "shop.py").write_text(source)
    importlib.invalidate_caches()
    failed = CliRunner().invoke(actorctl, ["run", "shop:tree"])
    sys.modules.pop("shop", None)
    assert 1 == failed.exit_code
    first = next(line for line in failed.output.splitlines() if "File" in line)
    assert said in first.replace(f"{folder}/", "")
    assert "actorctl: shop:tree cannot be loaded, see above" == failed.output.splitlines()[-1]


def test_what_only_a_daemon_needs_is_not_loaded_by_the_other_verbs():
    """They are clients of one, and a shell waits for each."""
    script = "import sys, supervisor.ctl.app; print({'structlog', 'supervisor.specs.command'} & sys.modules.keys())"
    loaded = subprocess.run([sys.executable, "-c", script], env=environment("."), capture_output=True, check=True)
    assert b"set()\n" == loaded.stdout


@pytest.mark.skipif(sys.version_info < (3, 15), reason="imports are lazy from 3.15 on")
def test_a_daemon_with_lazy_imports(folder, monkeypatch):
    """The program that runs the tree, the tree, and the verbs that look at it."""
    monkeypatch.setenv("PYTHON_LAZY_IMPORTS", "all")
    with Running(folder, "shop:tree") as running:
        running.until("first")
        words = [*CTL, "tree", "-d", str(running.socket)]
        done = subprocess.run(words, env=environment(folder), capture_output=True, text=True, check=True)
        assert "shop" in done.stdout.split()
        assert 0 == running.ended(signal.SIGTERM)


def test_completion_in_a_shell(folder):
    """What bash is offered for the first characters of a verb, and of a child of the running daemon."""

    def offered(*words):
        line = {"COMP_WORDS": " ".join(("actorctl", *words)), "COMP_CWORD": str(len(words))}
        variables = {**environment(folder), "_ACTORCTL_COMPLETE": "bash_complete", **line}
        done = subprocess.run(CTL, cwd=folder, env=variables, capture_output=True, text=True, check=True)
        return {word.partition(",")[2] for word in done.stdout.split()}

    assert {"restart", "resize"} == offered("re")
    with Running(folder, "shop:tree") as running:
        running.until("first")
        assert {"shop"} == offered("restart", "-d", str(running.socket), "sh")  # others may run on this machine
        assert 0 == running.ended(signal.SIGTERM)
