"""Waiting for what must happen, with a deadline that only a broken run reaches."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import supervisor
from supervisor import ChildExited, ChildStarted
from tests.support.deadline import DEADLINE

ROOT = Path(__file__).parents[2]
LIBRARY = Path(supervisor.__file__).parents[1]  # where the two packages are: in ROOT, or installed


async def until(true, what="it"):
    """Look until `true()` holds."""
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen"
        await asyncio.sleep(0.002)


def until_now(true, what="it"):
    """The same without a loop."""
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.002)


async def at_rest():
    """Wait until the loop has nothing to do: every task waits for a timer, a descriptor, a thread or another task."""
    ready, deadline = asyncio.get_running_loop()._ready, time.monotonic() + DEADLINE
    await asyncio.sleep(0)
    while ready:
        assert time.monotonic() < deadline, "the loop did not come to rest"
        await asyncio.sleep(0)


class Watch:
    """The happenings of a tree, from the moment this is made."""

    def __init__(self, root):
        self.seen = []
        self._stream = root.events()

    async def find(self, wanted):
        """The next happening that is wanted."""
        async with asyncio.timeout(DEADLINE):
            while True:
                happening = await anext(self._stream)
                self.seen.append(happening)
                if wanted(happening):
                    return happening

    async def started(self, name):
        """The next start of that actor."""
        return await self.find(lambda h: isinstance(h, ChildStarted) and h.actor.endswith(f"/{name}"))

    async def exited(self, name):
        """The report of that actor's next end."""
        wanted = await self.find(lambda h: isinstance(h, ChildExited) and h.report.actor.endswith(f"/{name}"))
        return wanted.report


async def dead_letter(stream):
    """The next dead letter of a stream."""
    async with asyncio.timeout(DEADLINE):
        return await anext(stream)


def alive(pid):
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


class Script:
    """A daemon of its own: a file of code in a process group of its own, killed at the end."""

    def __init__(self, tmp_path, code, *, name="daemon.py", args=None, env=None, command=None):
        self.path = tmp_path / name
        self.path.parent.mkdir(exist_ok=True, parents=True)
        self.path.write_text(textwrap.dedent(code))
        self.process = subprocess.Popen(
            command or [sys.executable, *(args or [str(self.path)])],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()

    def line(self, beginning):
        """The rest of the next line of its output that begins so."""
        for line in self.process.stdout:
            if line.startswith(beginning):
                return line.removeprefix(beginning).strip()
        raise AssertionError(f"no line {beginning!r}; stderr: {self.process.stderr.read()}")

    def interrupt(self):
        """What a terminal does at Ctrl-C: SIGINT to everyone in the foreground."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self):
        """Exit code, and what it wrote to output and errors since the last `line`; killed when it does not end."""
        self.process.stdin.close()
        killer = threading.Timer(DEADLINE, self.process.kill)
        killer.start()
        try:
            with ThreadPoolExecutor(1) as pool:  # `communicate` would not see what `line` has read ahead
                errors = pool.submit(self.process.stderr.read)
                out = self.process.stdout.read()
                return self.process.wait(), out, errors.result()
        finally:
            killer.cancel()
            killer.join()
