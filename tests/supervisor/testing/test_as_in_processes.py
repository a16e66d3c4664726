"""Random scripts on small trees: what comes of them inline comes of them in processes.

The inline run says how many things happen at each step. The run with processes waits for as many before the next one,
however long they take there; so no outcome depends on a time.
"""

from __future__ import annotations

import asyncio
import random
import re
import signal
from itertools import zip_longest

import pytest

from actors import ActorsError
from actors.testing import clock, kill
from supervisor import (
    Backoff,
    Cause,
    ChildExited,
    ChildSpec,
    Intensity,
    Restart,
    RestartPolicy,
    Strategy,
    Supervisor,
    SupervisorSpec,
)
from supervisor.testing import Die, Echo, Exit, Incarnation, InlineSupervisor, Puppet, Raise
from tests.support.inlined import Add, Counter, Fail, Numbers, Perish, Sleeper, Slow, Through, Ticks
from tests.support.long import often
from tests.support.waiting import DEADLINE, until

PUPPET = [Echo("x"), Incarnation(), Raise("r"), Exit(0), Exit(3), Die(), Die(signal.SIGSEGV)]
COUNTER = [Add(1), Add(2), Fail(), Fail("exit"), Fail("refuse"), Echo("not handled")]
SLEEPER = [Ticks(), Perish(), Add("no number")]
CALLS = ["terminate_child", "restart_child", "recycle"]
ACTORS = {"a": (Puppet, PUPPET), "b": (Counter, COUNTER), "c": (Sleeper, SLEEPER)}
RULES = [
    {Cause.exit_code(3): "stop"},
    {Cause.signal("SIGKILL"): "restart_uncounted"},
    {Cause.exception("ValueError"): "stop"},
]
FACTS = (
    "life",
    "exit_code",
    "signal",
    "last_message",
    "last_message_begun",
    "last_message_failed",
    "deliveries",
    "decision",
)
QUICK = Backoff(initial=0.01, cap=0.02)


def specs(dice):
    """The children of a small tree."""
    children = []
    for name, (actor, _) in ACTORS.items():
        policy = dice.choice(list(RestartPolicy))
        restart = policy
        if policy is not RestartPolicy.TEMPORARY and dice.random() < 0.4:
            restart = Restart(policy, dice.choice(RULES))
        deliveries = dice.choice([1, 2, 3])
        children.append(ChildSpec(actor, name=name, restart=restart, backoff=QUICK, max_deliveries=deliveries))
    children.append(ChildSpec(Slow, name="d"))
    if dice.random() < 0.4:
        strategy = dice.choice(list(Strategy))
        below = SupervisorSpec(*children[1:3], name="s", strategy=strategy, intensity=Intensity(99, 999))
        return [children[0], below, children[3]]
    return children


def script(dice, paths, *, alone):
    """Steps: whom they concern, and what is asked of it or called.

    Where siblings restart together (not `alone`), none is a message that is begun again: that may end its actor while
    the others still start, or after that.
    """
    steps = []
    for _ in range(14):
        name = dice.choice("abc")
        kind = dice.random()
        if kind < 0.65:
            step = dice.choice([one for one in ACTORS[name][1] if alone or not getattr(one, "idempotent", False)])
        elif kind < 0.9:
            step = dice.choice([*CALLS, "kill"])
        else:
            name, step = "b", dice.choice(["through", "stream"])
        steps.append((paths[name], step))
    return steps


async def outcome(root, path, step):
    """What a step returns or raises, in words."""
    try:
        if step == "kill":
            kill(root[path])
            return "killed"
        if step == "stream":
            return [item async for item in root["d"].stream(Numbers(0))]
        if isinstance(step, str) and step != "through":
            return await getattr(root, step)(path)
        message = Through(root[path], 1) if step == "through" else step
        return await root[path].ask(message, timeout=DEADLINE)
    except ActorsError as error:
        known = [getattr(error, name, None) for name in ("started", "finished")]
        return f"{type(error).__name__}: {plain(error)} {known}"


def plain(text):
    """Without what is another thing in each run."""
    return re.sub(r", pid \d+|\d+(\.\d+)? s\b", "", str(text))


def told(happening):
    """Whom a happening concerns, and what it says."""
    if not isinstance(happening, ChildExited):
        return getattr(happening, "actor", "/root"), type(happening).__name__, getattr(happening, "life", 0)
    report = happening.report
    facts = [getattr(report, name) for name in FACTS]
    return report.actor, plain(report.reason), plain(report.because), facts


async def run(tree, steps, expected=None):
    """The outcome of each step, and how many things had happened then; and what has happened to each actor."""
    stream, happened, outcomes = tree.events(), {}, []

    def count():
        return sum(map(len, happened.values()))

    async def read():
        async for happening in stream:
            path, *what = told(happening)
            happened.setdefault(path, []).append(what)

    reading = asyncio.create_task(read())
    async with tree as root:
        for number, (path, step) in enumerate(steps):
            said = await outcome(root, path, step)
            if expected is None:
                await clock.advance(10)
            else:
                await until(lambda at=expected[number][-1]: count() >= at)
            outcomes.append((path, step, said, count()))
        fates = {child.path: child.fates for child in _actors(root.snapshot())}
    await reading
    return outcomes, happened, fates


def _actors(node):
    for child in node.children:
        yield from [child] if hasattr(child, "fates") else _actors(child)


@pytest.mark.processes
@pytest.mark.parametrize("seed", range(often(4, 200)))
async def test_inline_is_as_in_processes(seed):
    """Replies, errors, reports, decisions and fates are the same."""
    dice = random.Random(seed)
    children, strategy = specs(dice), dice.choice(list(Strategy))
    below = {child.name for child in children} >= {"s"}
    paths = {name: f"s/{name}" if below and name != "a" else name for name in "abc"}
    strategies = {strategy, *(child.strategy for child in children if isinstance(child, SupervisorSpec))}
    steps = script(dice, paths, alone=strategies == {Strategy.ONE_FOR_ONE})
    options = {"strategy": strategy, "intensity": Intensity(99, 999)}
    inline, *rest = await run(InlineSupervisor(*children, **options), steps)
    processes, *others = await run(Supervisor(*children, **options), steps, inline)
    for one, other in zip_longest(inline, processes):
        assert one == other
    assert rest == others
