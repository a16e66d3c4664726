"""Ctrl-C and SIGTERM before `actorctl` has begun anything: they are not forgotten, and say nothing."""

from __future__ import annotations

import signal
import subprocess

import pytest

from supervisor.ctl.interrupt import ends_at_once
from tests.support.control import CTL, environment, short_folder

pytestmark = pytest.mark.processes

INTERRUPTED = "import signal; signal.raise_signal(signal.SIGINT)\n"


def ended(folder, *words):
    """How it ends where a module of its imports, or of those before its loop, is interrupted."""
    variables = environment(folder)
    variables["PYTHONPATH"] = f"{folder}:{variables['PYTHONPATH']}"
    return subprocess.run([*CTL, *words], cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("module", "words"), [("click", ("ps",)), ("uvicorn", ("web",))])
def test_it_is_quiet(module, words, number):
    with short_folder() as folder:
        (folder / f"{module}.py").write_text(INTERRUPTED.replace("SIGINT", number.name))
        done = ended(folder, *words)
        assert (128 + number, "", "") == (done.returncode, done.stdout, done.stderr)


def test_sigterm_while_the_tree_is_imported():
    """It has a handler: as the first process of a container it would hear nothing else."""
    with short_folder() as folder:
        (folder / "shop.py").write_text(INTERRUPTED.replace("SIGINT", "SIGTERM"))
        done = ended(folder, "run", "shop:tree")
        assert (143, "", "") == (done.returncode, done.stdout, done.stderr)


def test_before_the_loop_of_a_tree_runs():
    """The coroutine that shall run it is there already: it is no one's fault that none awaits it."""
    with short_folder() as folder:
        (folder / "shop.py").write_text(LATE)
        done = ended(folder, "run", "shop:tree")
        assert (130, "", "") == (done.returncode, done.stdout, done.stderr)


LATE = """
import asyncio, signal, threading
from supervisor import TaskSpec

async def idle():
    await asyncio.Event().wait()

made = asyncio.new_event_loop

def interrupted():
    signal.raise_signal(signal.SIGINT)
    return made()

asyncio.new_event_loop = asyncio.events.new_event_loop = interrupted
tree = TaskSpec(idle)
"""


def test_before_the_loop_of_the_page_runs(running):
    """Uvicorn makes its coroutine before its loop, too."""
    (path,) = (running[0] / "actors").iterdir()
    with short_folder() as folder:
        (folder / "sitecustomize.py").write_text(BEFORE_A_LOOP)
        done = ended(folder, "web", "-d", str(path), "-p", "0")
        assert (130, "") == (done.returncode, done.stderr)


BEFORE_A_LOOP = """
import asyncio.runners, signal

made = asyncio.runners.Runner._lazy_init

def interrupted(self):
    signal.raise_signal(signal.SIGINT)
    made(self)

asyncio.runners.Runner._lazy_init = interrupted
"""


def test_an_ignored_one_stays_ignored():
    """As of a job in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ends_at_once(signal.SIGINT):
            assert signal.SIG_IGN is signal.getsignal(signal.SIGINT)
        assert signal.SIG_IGN is signal.getsignal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_handled_it_before_does_so_again():
    with ends_at_once(signal.SIGINT):
        assert signal.default_int_handler is not signal.getsignal(signal.SIGINT)
    assert signal.default_int_handler is signal.getsignal(signal.SIGINT)
