"""A sweep: each call of the operating system fails once, at every place where the daemon makes it.

Each run ends in one of three ways: it works all the same, an error is raised or reported, or a start fails. It never
hangs, loses an ask, leaves something behind, or stops supervision. A sample runs with the suite, all of it with
`make sweep`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from supervisor import Backoff, ChildExited, ChildSpec, Intensity, StartFailed, Supervisor
from tests.chaos.figures import SWEEPS
from tests.support.actors import Puppet, WhoAreYou
from tests.support.failing_calls import FAILURES, FailingCall
from tests.support.waiting import until

LONG = os.environ.get("ACTORS_LONG") == "1"
DEADLINE = 20.0  # seconds for one run
MOST = 24  # calls of one function in one phase; more are reads and writes of the same kinds
AT_ONCE = Backoff(initial=0.02, cap=0.02, jitter=0.0)
WORKS, ERROR, FAILED = "works", "told error", "failed start"
SAMPLE = {  # by phase: which calls the suite makes fail, the first and the third
    "first start": ("mmap.mmap", "fcntl.fcntl"),
    "restart": ("os.pipe", "os.wait4", "_posixsubprocess.fork_exec", "os.set_blocking"),
    "start_child": ("os.memfd_create", "os.eventfd"),
    "resize": ("os.pidfd_open", "builtins.open"),
    "recycle": ("os.read", "select.epoll.register"),
    "spare": ("_posixsubprocess.fork_exec",),
    "stop": ("os.read", "os.waitid"),
}

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(1200 if LONG else 120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


class Run:
    """One tree, in one phase of which one call fails.

    Attributes:
        failing: the call.
        errors: what was raised or reported during the phase.
        unstarted: whether a start failed.
    """

    def __init__(self, failing, phase):
        self.failing = failing
        self.errors = []
        self.unstarted = False
        spares = 1 if phase == "spare" else 0
        pool = [ChildSpec(Puppet, name="p", size=1, backoff=AT_ONCE)] if phase == "resize" else []
        specs = [ChildSpec(Puppet, name=name, backoff=AT_ONCE) for name in "ab"]
        self.root = Supervisor(*specs, *pool, intensity=Intensity.unlimited(), spares=spares)
        self._phase = getattr(self, phase.replace(" ", "_"))

    async def __call__(self):
        """Returns how it ended."""
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.errors.append(context))
        watching = asyncio.create_task(self._watch(self.root.events()))
        try:
            async with asyncio.timeout(DEADLINE):
                await self._phase()
        finally:
            self.failing.armed = False
            watching.cancel()
        return FAILED if self.unstarted else ERROR if self.errors else WORKS

    async def _watch(self, events):
        async for event in events:
            if isinstance(event, ChildExited) and event.report.reason.kind.value == "unstarted":
                self.unstarted = True

    @contextlib.asynccontextmanager
    async def _armed(self):
        """The phase: both actors are asked all through it, and every ask ends."""
        over = asyncio.Event()
        askers = [asyncio.create_task(self._ask(name, over)) for name in "ab"]
        self.failing.armed = True
        try:
            yield
            await self.answered()
        except Exception as error:
            if self.failing.raised is None:
                raise
            self.errors.append(error)
        finally:
            self.failing.armed = False
            over.set()
        await asyncio.gather(*askers)

    async def _ask(self, name, over):
        while not over.is_set():
            try:
                await self.root[name].ask(WhoAreYou(), timeout=None)
            except Exception as error:
                self.errors.append(error)
            await asyncio.sleep(0.1)

    async def answered(self):
        """Every actor answers."""
        for name in "ab":
            await self.root[name].ask(WhoAreYou(), timeout=None)

    def pid(self, name):
        return next(child.pid for child in self.root.which_children() if child.name == name)

    # ---- the phases

    async def first_start(self):
        self.failing.armed = True
        try:
            await self.root.__aenter__()
        except (StartFailed, OSError, RuntimeError) as error:
            self.failing.armed = False
            if str(self.failing.raised) not in str(error):
                raise
            self.unstarted = True
            return
        try:
            await self.answered()
        except Exception as error:
            self.errors.append(error)
        self.failing.armed = False
        await self.answered()
        await self.root.__aexit__(None, None, None)

    async def restart(self):
        async with self.root:
            async with self._armed():
                before = self.pid("a")
                os.kill(before, signal.SIGKILL)
                await until(lambda: self.pid("a") not in {None, before}, "a restart")
            await self.answered()

    async def start_child(self):
        async with self.root:
            async with self._armed():
                await self.root.start_child(ChildSpec(Puppet, name="c", backoff=AT_ONCE))
            if all(child.name != "c" for child in self.root.which_children()):
                await self.root.start_child(ChildSpec(Puppet, name="c", backoff=AT_ONCE))
            await self.root["c"].ask(WhoAreYou(), timeout=None)
            await self.answered()

    async def resize(self):
        async with self.root:
            async with self._armed():
                await self.root.resize("p", 2)
                await self.root["p"].ask(WhoAreYou(), timeout=None)
                await self.root.resize("p", 1)
            await self.root.resize("p", 2)
            await self.root["p"].ask(WhoAreYou(), timeout=None)
            await self.answered()

    async def recycle(self):
        async with self.root:
            async with self._armed():
                await self.root.recycle("a")
            await self.root.recycle("a")
            await self.answered()

    async def spare(self):
        async with self.root:
            await until(lambda: self.root.snapshot().spares == 1, "a spare")
            (spare,) = self.root._launcher._spares._spares
            async with self._armed():
                os.kill(spare.worker.pid, signal.SIGKILL)
                await until(lambda: self._fresh(spare), "another spare")
            await until(lambda: self._fresh(spare), "another spare")
            os.kill(self.pid("a"), signal.SIGKILL)
            await until(lambda: self.root.snapshot().restarts == 1, "a restart")
            await self.answered()

    def _fresh(self, before):
        spares = self.root._launcher._spares._spares
        return self.root.snapshot().spares == 1 and before not in spares

    async def stop(self):
        async with self.root:
            await self.answered()
            self.failing.armed = True
        self.failing.armed = False


def held():
    """What this process has now, in numbers: threads, descriptors, children."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return threading.active_count(), sum(1 for _ in os.scandir("/proc/self/fd")), len(children)


def run(monkeypatch, phase, function, nth):
    """One run in a loop of its own; how it ended, None when the call was not made so often."""
    before = held()
    with monkeypatch.context() as patch:
        patch.setattr("supervisor.process.spares.CALM", 0.02)
        failing = FailingCall(patch, function, nth)
        ended = asyncio.run(Run(failing, phase)())
    until_then = time.monotonic() + 2.0
    while held() != before and time.monotonic() < until_then:
        time.sleep(0.005)
    assert before == held(), "threads, descriptors, children are not as before"
    return None if failing.left > 0 else ended


@pytest.mark.parametrize(("phase", "function"), [(phase, one) for phase, some in SAMPLE.items() for one in some])
def test_a_sample(monkeypatch, phase, function):
    """The first and the third call in a phase."""
    assert run(monkeypatch, phase, function, 1) is not None, "the daemon does not make this call"
    run(monkeypatch, phase, function, 3)


@pytest.mark.chaos
@pytest.mark.skipif(not LONG, reason="make sweep runs it")
@pytest.mark.parametrize("function", FAILURES)
@pytest.mark.parametrize("phase", SAMPLE)
def test_every_call(monkeypatch, phase, function):
    """Every call in a phase, one after another; all failures are listed, not only the first."""
    ends, wrong = [], []
    for nth in range(1, MOST + 1):
        try:
            ended = run(monkeypatch, phase, function, nth)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            wrong.append(f"call {nth}: {error!r}")
            continue
        if ended is None:
            break
        ends.append(ended)
    if ends:
        SWEEPS.append((phase, function, *(ends.count(end) for end in (WORKS, ERROR, FAILED))))
    assert not wrong, "\n".join(wrong)
