"""A sweep: each call of the operating system fails, at every place where the daemon makes it, in every phase of a tree.

Each run ends in one of three ways: it works all the same, an error is raised or reported, or a start fails. It never
hangs, loses a message, leaves something behind, or stops supervision. A sample runs with the suite, all of it with
`make sweep`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from multiprocessing import resource_tracker

import pytest

from actors import UsageError
from supervisor import StartFailed
from tests.faults.phases import AROUND, DEADLINE, ERROR, FAILED, LIVING, WORKS, Tree, held
from tests.support.failing_calls import FAILURES, FailingCalls, Failure
from tests.support.figures import PHASES, SWEEPS

LONG = os.environ.get("ACTORS_LONG") == "1"
TIMES = int(os.environ.get("ACTORS_ROUNDS") or 1)  # the first so many calls at one place fail
MOST = int(os.environ.get("ACTORS_RUNS") or 0) or None  # runs in each phase of `make sweep`, spread evenly
LEARNING = 2 if LONG else 1  # runs in which nothing fails, to learn the places
SAMPLE = {
    "first start": 2,
    "messages": 3,
    "restart": 2,
    "reading=loop": 2,
    "function": 1,
    "command": 1,
    "recycle": 2,
    "stop": 2,
}  # runs that the suite makes

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(4 * 3600 if LONG else 120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


class Sweep:
    """All failures of one phase, one after another; a tree lives through as many as it can.

    Args:
        phase: which.
        monkeypatch: of the test.
        folder: for files of the actors.
        sample: how many failures are tried, None for all.

    Attributes:
        wrong: what went wrong, in words.
        ended: how each failure ended, by function.
    """

    def __init__(self, phase, monkeypatch, folder, sample=None):
        monkeypatch.setattr("supervisor.process.spares.CALM", 0.02)
        monkeypatch.setattr("supervisor.process.spares.MAX_PAUSE", 0.02)
        monkeypatch.setattr("supervisor.system.orphans.LONGEST_BREATH", 0.02)
        self.phase = phase
        self.calls = FailingCalls(monkeypatch)
        self.wrong = []
        self.ended = []
        self._folder = folder
        self._sample = sample
        self._learned = 0
        self._known = set()
        self._waiting = []

    def run(self):
        """Try everything; a tree that a failure has broken is followed by another."""
        resource_tracker.ensure_running()  # multiprocessing keeps it from its first process on
        session = self._around if self.phase in AROUND else self._living
        while self._learned < LEARNING or self._waiting:
            before = held()
            failures, wrongs = len(self.ended), len(self.wrong)
            loop = asyncio.new_event_loop()
            try:
                loop.run_until_complete(session())
            finally:
                self.calls.disarm()
                loop.close()  # at once: a tree that hangs is abandoned
            if (failures, wrongs) == (len(self.ended), len(self.wrong)) and self._waiting:
                return
            until = time.monotonic() + 5.0
            while held() != before and time.monotonic() < until:
                time.sleep(0.005)
            if held() != before and wrongs == len(self.wrong):
                self.wrong.append(f"left behind after the tree: {held()}, before: {before}")

    async def _living(self):
        """One tree; ends early when a failure has broken it."""
        options = LIVING[self.phase][1]
        tree = Tree(self._folder, **options)
        asyncio.get_running_loop().set_exception_handler(lambda _, context: tree.errors.append(context))
        await tree.root.__aenter__()
        await tree.in_order()
        while self._learned < LEARNING:
            await self._once(tree, None)
        before = held()
        while self._waiting:
            failure = self._waiting.pop(0)
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._once(tree, failure)
                    await tree.holds_no_more_than(before)
            except Exception as error:
                self.wrong.append(f"{failure}: {error!r}")
                break
        await self._leave(tree)

    async def _leave(self, tree):
        """Stop a tree; one that does not stop is reported, and left as it is."""
        self.calls.disarm()
        leaving = asyncio.ensure_future(tree.root.__aexit__(None, None, None))
        await asyncio.wait({leaving}, timeout=DEADLINE)
        tree.forget()
        if not leaving.done():
            self.wrong.append("and that tree does not stop")
        elif leaving.exception() is not None:
            self.wrong.append(f"and that tree stops with {leaving.exception()!r}")

    async def _once(self, tree, failure):
        deed = LIVING[self.phase][0]
        async with tree.messages():
            self.calls.arm(failure)
            try:
                await deed(tree)
            except Exception as error:
                if self.calls.raised is None:
                    raise
                tree.unstarted |= isinstance(error, StartFailed)
                tree.errors.append(error)
        self.calls.disarm()
        await tree.in_order()
        tree.judge()
        self._note(failure, tree.outcome())

    async def _around(self):
        """One tree after another, each started and stopped."""
        loop = asyncio.get_running_loop()
        while self._learned < LEARNING or self._waiting:
            failure = self._waiting.pop(0) if self._learned >= LEARNING else None
            tree = Tree(self._folder)
            loop.set_exception_handler(lambda _, context, tree=tree: tree.errors.append(context))
            before = held()
            run = asyncio.ensure_future(
                (self._first_start if self.phase == "first start" else self._stop)(tree, failure)
            )
            await asyncio.wait({run}, timeout=DEADLINE)
            tree.forget()
            try:
                assert run.done(), "it hangs"
                run.result()
                await tree.holds_no_more_than(before)
            except Exception as error:
                self.wrong.append(f"{failure}: {error!r}")
                return

    async def _first_start(self, tree, failure):
        self.calls.arm(failure)
        try:
            await tree.root.__aenter__()
        except (StartFailed, UsageError, OSError, RuntimeError):
            self.calls.disarm()
            if self.calls.raised is None:
                raise
            tree.unstarted = True
        else:
            self.calls.disarm()
            async with tree.messages():
                await tree.in_order()
            tree.judge()
            await tree.root.__aexit__(None, None, None)
        self._note(failure, tree.outcome())

    async def _stop(self, tree, failure):
        async with tree.root:
            async with tree.messages():
                await tree.in_order()
            tree.judge()
            self.calls.arm(failure)
        self.calls.disarm()
        self._note(failure, tree.outcome())

    def _note(self, failure, outcome):
        """How a run ended."""
        if failure is not None:
            if self.calls.raised is not None:
                self.ended.append((failure.function, outcome))
            if self._sample is None:
                self._learn()
            return
        self._learned += 1
        if outcome != WORKS:
            self.wrong.append(f"without a failure: {outcome}")
        self._learn()
        if self._sample is not None and self._learned == LEARNING:
            self._waiting = self._waiting[:: len(self._waiting) // self._sample + 1]

    def _learn(self):
        """Calls that are new are to fail later."""
        for (function, place), times in sorted(self.calls.seen.items()):
            for nth in range(1, min(times, TIMES) + 1):
                fresh = {Failure(function, place, nth, error) for error in FAILURES[function]} - self._known
                self._known |= fresh
                self._waiting += sorted(fresh)


def swept(phase, monkeypatch, folder, sample=None):
    """Sweep a phase; everything that is wrong is listed, not only the first."""
    sweep = Sweep(phase, monkeypatch, folder, sample)
    sweep.run()
    assert not sweep.wrong, "\n".join(sweep.wrong)
    return sweep.ended


@pytest.mark.parametrize("phase", SAMPLE)
def test_a_sample(monkeypatch, tmp_path, phase):
    """A few failures in some phases."""
    assert swept(phase, monkeypatch, tmp_path, SAMPLE[phase])


@pytest.mark.skipif(not LONG, reason="make sweep runs it")
@pytest.mark.parametrize("phase", PHASES)
def test_every_call(monkeypatch, tmp_path, phase):
    """Every call in each phase."""
    ended = swept(phase, monkeypatch, tmp_path, MOST)
    for function in FAILURES:
        counts = [ended.count((function, outcome)) for outcome in (WORKS, ERROR, FAILED)]
        if any(counts):
            SWEEPS.append((phase, function, *counts))
