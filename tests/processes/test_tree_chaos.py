"""A tree of thirty processes on three levels loses actors to SIGKILL at random instants, and converges each time.

One storm runs with the suite; twenty with `make chaos` (ACTORS_LONG=1).
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Iterator

import pytest

from supervisor import (
    Backoff,
    ChildExited,
    ChildSpec,
    Intensity,
    Strategy,
    Supervisor,
    SupervisorGaveUp,
    SupervisorSpec,
)
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.engine import Engine
from supervisor.tree.subtree import Subtree
from tests.support.bank import Bank, Pid
from tests.support.waiting import until

pytestmark = pytest.mark.processes

AT_ONCE = Backoff(initial=0.0, cap=0.0)
GENEROUS = Intensity(1000, 5.0)
TIGHT = Intensity(1, 30.0)  # this one gives up now and then, and its parent brings it back
LONG = pytest.mark.skipif(os.environ.get("ACTORS_LONG") != "1", reason="takes a minute: make chaos")
ALL, REST = Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE


def actors(*names: str) -> list[ChildSpec]:
    return [ChildSpec(Bank, args=(os.devnull,), name=name, backoff=AT_ONCE) for name in names]


def tree(name: str, *children: ChildSpec | SupervisorSpec, **terms) -> SupervisorSpec:
    return SupervisorSpec(*children, name=name, **{"intensity": GENEROUS, "backoff": AT_ONCE, **terms})


def thirty() -> list[ChildSpec | SupervisorSpec]:
    return [
        *actors("a", "b", "c", "d"),
        tree("all", *actors("a", "b", "c"), tree("rest", *actors("a", "b", "c", "d"), strategy=REST), strategy=ALL),
        tree(
            "rest",
            *actors("a", "b", "c"),
            tree("tight", *actors("a", "b", "c", "d", "e"), intensity=TIGHT),
            tree("all", *actors("a", "b", "c"), strategy=ALL),
            strategy=REST,
        ),
        tree("ones", *actors("a", "b", "c", "d"), tree("parallel", *actors("a", "b", "c", "d"), start="parallel")),
    ]


def engines(engine: Engine) -> Iterator[Engine]:
    """An engine and those below it."""
    yield engine
    for child in engine.children.values():
        if isinstance(child, Subtree):
            yield from engines(child.engine)


def up(root: Supervisor) -> dict[str, int]:
    """The pids of all actors that run, by path."""
    found = {}
    for engine in engines(root._engine):
        for view in engine.machine.children():
            child = engine.children[view.name]
            if isinstance(child, ActorChild) and view.state is ChildState.RUNNING:
                found[child.path] = child.life.pid
    return found


def converged(root: Supervisor, paths: set[str], dead: set[int]) -> bool:
    """Everything that should run runs, and no pid is one that we killed."""
    if any(engine.machine.phase is not SupervisorState.RUNNING for engine in engines(root._engine)):
        return False
    now = up(root)
    return set(now) == paths and not dead & set(now.values())


class Witness:
    """Every supervisor that lived during the run, and what was told."""

    def __init__(self, root: Supervisor) -> None:
        self.engines: dict[int, Engine] = {}
        self.deaths = 0
        self.gave_up = 0
        self._root = root
        self._stream = root.events()

    async def watch(self) -> None:
        """Look at the tree whenever something happens."""
        async for happening in self._stream:
            self.look()
            self.deaths += isinstance(happening, ChildExited)
            self.gave_up += isinstance(happening, SupervisorGaveUp)

    def look(self) -> None:
        for engine in engines(self._root._engine):
            self.engines[id(engine)] = engine


def descriptors() -> int:
    return sum(1 for _ in os.scandir("/proc/self/fd"))


@pytest.mark.parametrize("storms", [1, pytest.param(20, marks=[LONG, pytest.mark.slow, pytest.mark.timeout(600)])])
async def test_a_tree_of_thirty_converges_after_every_storm(storms: int, record_property) -> None:
    """All that should run runs and answers after each round of kills, each journal replays to itself, nothing leaks."""
    dice = random.Random(30)
    async with Supervisor(*thirty(), intensity=GENEROUS) as root:
        witness = Witness(root)
        watching = asyncio.create_task(witness.watch())
        paths = set(up(root))
        assert len(paths) == 30
        await until(lambda: root.snapshot().spares == 1, "a spare")
        before = descriptors()
        for _ in range(storms):
            await storm(root, dice, paths)
            await everyone_answers(root)
        await until(lambda: descriptors() <= before, "closing what the dead left open")
        witness.look()
    await watching
    record_property("storms, deaths, give-ups", (storms, witness.deaths, witness.gave_up))
    assert len(witness.engines) >= 7
    for engine in witness.engines.values():
        assert engine.journal.replay() == engine.journal.entries(), engine.path
        assert engine.machine.phase is SupervisorState.STOPPED


async def storm(root: Supervisor, dice: random.Random, paths: set[str]) -> None:
    """Kill a few, some of them while the tree still restarts others; returns when the tree has converged."""
    dead: set[int] = set()
    for _ in range(dice.randint(1, 5)):
        pid = dice.choice(sorted(up(root).items()))[1]
        if pid not in dead:
            dead.add(pid)
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(dice.choice((0.0, 0.0, 0.01, 0.05)))  # the storm itself: at a random instant of a restart
    await until(lambda: converged(root, paths, dead), f"convergence, {root.snapshot()}")


async def everyone_answers(root: Supervisor) -> None:
    """Each actor answers, from the process that the tree says it is."""
    pids = up(root)
    answers = await asyncio.gather(*(root[path].ask(Pid(), timeout=20.0) for path in pids))
    assert list(pids.values()) == answers
