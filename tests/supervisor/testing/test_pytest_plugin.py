"""The pytest plugin, used by a project of its own: in every mode, with both engines, beside other plugins."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.waiting import DEADLINE, ROOT

SHOP = """
from actors import Actor, Message, handles

class Add(Message[int]):
    amount: int

class Tick(Message[None]):
    pass

class Counter(Actor):
    def __init__(self) -> None:
        self.total = 0

    @handles
    def add(self, msg: Add) -> int:
        self.total += msg.amount
        return self.total

    @handles
    def tick(self, msg: Tick) -> None:
        self.total += 100
"""

SUITE = """
import os
import pytest
from supervisor import ChildSpec
from supervisor.testing import Die, Incarnation, Puppet
from shop import Add, Counter, Tick

{mark}

async def test_a_tree(tree, no_leaks):
    root = await tree(ChildSpec(Counter), ChildSpec(Puppet))
    assert await root["counter"].ask(Add(2)) == 2
    root["puppet"].tell_nowait(Die())
    assert await root["puppet"].ask(Incarnation()) == 2
    inline = root.snapshot().children[0].pid is None
    assert inline is (os.environ["ENGINE"] == "inline")

async def test_time(tree, clock):
    root = await tree(ChildSpec(Counter))
    await root["counter"].tell(Tick(), delay=0.2)
    assert await root["counter"].ask(Add(1)) == 1
    await clock.advance(0.3)
    assert await root["counter"].ask(Add(1)) == 102

class TestInAClass:
    async def test_two_trees(self, tree):
        first, second = await tree(ChildSpec(Counter)), await tree(ChildSpec(Counter), name="second")
        assert await first["counter"].ask(Add(1)) == await second["counter"].ask(Add(1))
"""

ASYNCIO = ["-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function"]
AUTO, STRICT = ([*ASYNCIO, "-o", f"asyncio_mode={mode}"] for mode in ("auto", "strict"))
MARKS = {
    "auto": "",
    "strict": "pytestmark = pytest.mark.asyncio",
    "anyio": "pytestmark = pytest.mark.anyio\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'",
}


def run(tmp_path, suite, *options, engine="inline"):
    """Run a suite in a project of its own; returns pytest's exit code and output."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "test_shop.py").write_text(suite)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\nfilterwarnings = error\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ENGINE": engine, "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # each start would import all that there are
    environment["TMPDIR"] = str(tmp_path)
    command = [sys.executable, "-m", "pytest", "-p", "actors.pytest_plugin", "-p", "no:cacheprovider", "-q", *options]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("mode", "engine", "options"),
    [
        ("auto", "inline", AUTO),
        ("strict", "inline", [*STRICT, "--actors=inline"]),
        ("anyio", "inline", ["-p", "anyio"]),
        pytest.param("auto", "processes", [*AUTO, "-p", "xdist.plugin", "-n", "1"], marks=pytest.mark.processes),
    ],
    ids=["auto", "strict", "anyio", "processes under xdist"],
)
def test_the_same_suite_runs_everywhere(tmp_path, mode, engine, options):
    """In both modes of pytest-asyncio, with anyio, under pytest-xdist, inline and with processes."""
    if engine == "processes":
        options = [*options, "--actors=processes"]
    code, text = run(tmp_path, SUITE.format(mark=MARKS[mode]), *options, engine=engine)
    assert code == 0, text
    assert "3 passed" in text


def test_a_test_that_leaves_something_behind_fails(tmp_path):
    """The failure says what; the test that follows is not blamed."""
    suite = """
import os
import subprocess
import sys
import threading

import pytest
import supervisor.testing.leaks

supervisor.testing.leaks.LINGER = 0.3
kept = []

def test_a_process(no_leaks):
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

def test_a_thread(no_leaks):
    kept.append(threading.Event())
    threading.Thread(target=kept[-1].wait, name="left-over").start()

def test_a_descriptor(no_leaks):
    kept.append(os.pipe())

def test_nothing(no_leaks, clock, tree):
    pass

@pytest.fixture
def asks_as_it_runs(request):
    request.getfixturevalue("no_leaks")

def test_a_fixture_asks_as_it_runs(asks_as_it_runs):
    kept.append(os.pipe())

def test_in_the_end():
    kept[0].communicate()
    kept[1].set()
"""
    code, text = run(tmp_path, suite, *AUTO)
    assert code == 1, text
    assert "4 failed, 2 passed" in text
    assert "the test left behind processes: " in text
    assert "the test left behind threads: left-over" in text
    assert 2 == text.count("\nthe test left behind descriptors: ")


@pytest.mark.processes
def test_a_tree_of_a_fixture_is_no_leak(tmp_path):
    """Its processes come and go; what it leaves when it has ended is an error, whatever the order of the fixtures."""
    suite = """
import os
import subprocess
import sys
import pytest
import supervisor.testing.leaks
from supervisor import ChildSpec
from shop import Add, Counter

kept = []

@pytest.fixture
async def root(tree):
    async with tree.new(ChildSpec(Counter)) as root:
        yield root

async def test_one_process_more(root, no_leaks):
    await root.start_child(ChildSpec(Counter, name="second"))
    assert await root["second"].ask(Add(1)) == 1

async def test_in_the_other_order(no_leaks, root):
    await root.start_child(ChildSpec(Counter, name="second"))

async def test_its_function_leaves_a_process(root, no_leaks):
    supervisor.testing.leaks.LINGER = 0.3
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

def test_in_the_end():
    kept[0].communicate()
"""
    code, text = run(tmp_path, suite, *AUTO, "--actors=processes")
    assert code == 1, text
    assert "4 passed, 1 error" in text
    assert "ERROR at teardown of test_its_function_leaves_a_process" in text
    assert "the test left behind processes: " in text


def test_a_wrong_use_says_what_to_do(tmp_path):
    """Out of an async test `tree` refuses, and a tree that gives up fails its test."""
    suite = """
import asyncio
import pytest
from supervisor import ChildSpec, Intensity, RestartIntensityExceeded
from supervisor.testing import Puppet, Raise
from actors import UsageError

@pytest.fixture
async def root(tree):
    return await tree(ChildSpec(Puppet))

async def test_in_a_fixture(root):
    pass

def test_in_a_sync_test(tree):
    tree(ChildSpec(Puppet))

@pytest.mark.xfail(raises=RestartIntensityExceeded, strict=True)
async def test_a_tree_that_gives_up(tree):
    root = await tree(ChildSpec(Puppet), intensity=Intensity(0))
    root["puppet"].tell_nowait(Raise())
    await asyncio.Event().wait()
"""
    code, text = run(tmp_path, suite, *AUTO)
    assert code == 1, text
    assert "1 failed, 1 xfailed, 1 error" in text
    assert 2 == text.count(
        "\nE       actors.errors.UsageError: `await tree(...)` works inside of an async test function"
    )


def test_a_failure_shows_the_lines_of_the_test(tmp_path):
    """Of an error that the library raises on purpose no line of the library is shown; --full-trace shows them."""
    suite = """
import asyncio
from actors.testing import inline
from supervisor import ChildSpec, Intensity
from supervisor.testing import Puppet, Raise
from shop import Add

async def test_a_handler_fails(tree):
    root = await tree(ChildSpec(Puppet))
    await root["puppet"].ask(Raise("it has failed"))

async def test_its_tree_gives_up(tree):
    root = await tree(ChildSpec(Puppet), intensity=Intensity(0))
    root["puppet"].tell_nowait(Raise())
    await asyncio.Event().wait()

async def test_a_start_fails(tree):
    await tree(ChildSpec(Puppet, kwargs={"bad_starts": 1, "how": "raise"}))

async def test_inline(tree):
    async with inline(Puppet) as puppet:
        await puppet.ask(Add(1))
"""
    shown = {
        '>       await root["puppet"].ask(Raise("it has failed"))': "HandlerError",
        ">       await asyncio.Event().wait()": "RestartIntensityExceeded",
        '>       await tree(ChildSpec(Puppet, kwargs={"bad_starts": 1, "how": "raise"}))': "StartFailed",
        ">           await puppet.ask(Add(1))": "UsageError",
    }
    code, text = run(tmp_path, suite, *AUTO, "--show-capture=no")
    assert code == 1, text
    lines = text.splitlines()
    assert list(shown) == [line for line in lines if line.startswith(">")]
    places = [line.split(": ") for line in lines if line.startswith("test_shop.py:")]
    assert list(shown.values()) == [error for _, error in places]
    code, text = run(tmp_path, suite, *AUTO, "--show-capture=no", "--full-trace", "-k", "handler")
    assert "refs.py" in text


def test_loading_the_plugin_loads_no_supervisor():
    """It costs a project that does not use it next to nothing, and imports no asyncio for it."""
    code = (
        "import pytest, sys; before = set(sys.modules); import actors.pytest_plugin; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert set() == loaded & {"supervisor", "asyncio", "structlog"}
