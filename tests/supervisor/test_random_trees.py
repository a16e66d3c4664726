"""The laws over random trees: real engines, scripted lives, a clock that jumps, and everything goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from actors.exits import ExitKind
from supervisor import (
    AutoShutdown,
    ChildSpec,
    Intensity,
    NoSuchChild,
    RestartIntensityExceeded,
    RestartPolicy,
    StartFailed,
    Strategy,
    SupervisorBusy,
    SupervisorSpec,
)
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.testing import OnStart, OnStop, ScriptedLauncher, ScriptedLife, ScriptedSupervisor
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.engine import Engine
from supervisor.tree.subtree import Subtree
from tests.support.actors import Puppet
from tests.support.long import often

MOVING = {ChildState.STARTING, ChildState.STOPPING, ChildState.BACKOFF}
PATIENCE = 5_000  # turns of the loop; no run needs a tenth
PACE = 5  # turns between two jumps of the clock: what is under way without a timer takes fewer
KINDS = [kind for kind in ExitKind if kind is not ExitKind.UNSTARTED]
PHASES = [phase for phase in Phase if phase is not Phase.explain]
PERIOD = 100_000.0  # seconds: nothing leaves the window, so every run comes to an end

policies = st.sampled_from(RestartPolicy)
graces = st.sampled_from([0.0, 1.0, 5.0])


@st.composite
def actors(draw, name: str) -> ChildSpec:
    return ChildSpec(Puppet, name=name, restart=draw(policies), shutdown=draw(graces), start_timeout=2.0)


@st.composite
def trees(draw, name: str = "root", depth: int = 2) -> SupervisorSpec:
    children = []
    for index in range(draw(st.integers(1, 4 if depth == 2 else 3))):
        child = f"{'abcd'[index]}"
        below = depth > 0 and draw(st.integers(0, 2)) == 0
        children.append(draw(trees(name=child, depth=depth - 1) if below else actors(child)))
    return SupervisorSpec(
        *children,
        name=name,
        strategy=draw(st.sampled_from(Strategy)),
        intensity=Intensity(draw(st.integers(0, 4)), PERIOD),
        auto_shutdown=AutoShutdown.NEVER,
        start=draw(st.sampled_from(["ordered", "parallel"])),
        restart=draw(policies),
    )


def steps() -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Deaths, several at once or one by one, and calls; whom they concern is a number, taken modulo what there is."""
    number = st.integers(0, 30)
    return st.lists(
        st.one_of(
            st.tuples(st.just("die"), number, st.sampled_from(KINDS)),
            st.tuples(st.just("die"), number, st.sampled_from(KINDS)),
            st.tuples(st.sampled_from(["terminate_child", "restart_child", "delete_child"]), number),
            st.tuples(st.just("rest")),
            st.tuples(st.just("turn")),
        ),
        max_size=14,
    )


class World:
    """A tree of scripted lives on a loop whose clock jumps to the next timer as soon as nothing else is ready."""

    def __init__(self, spec: SupervisorSpec, starts: list[OnStart], stops: list[OnStop]) -> None:
        self.launcher = ScriptedLauncher()
        self.launcher.on_launch = self._launched
        self.spec = spec
        self._starts = starts
        self._stops = stops
        self._time = 0.0
        self.told = 0
        self._given_up: set[str] = set()
        self._policies: dict[str, RestartPolicy] = {}

    async def run(self, script: list[tuple[Any, ...]]) -> None:
        loop = asyncio.get_running_loop()
        loop.time = lambda: self._time  # type: ignore[method-assign]
        spec = self.spec
        self._plan(spec, f"/{spec.name}")
        root = ScriptedSupervisor(
            *spec.children, launcher=self.launcher, name=spec.name, strategy=spec.strategy,
            intensity=spec.intensity, start=spec.start,
        )  # fmt: skip
        self.root = root
        body = asyncio.create_task(self._body(root, script))
        for delivery_tag in range(2 * PATIENCE):
            await asyncio.sleep(0)
            if body.done():
                break
            if delivery_tag % PACE == 0 and loop._scheduled:  # type: ignore[attr-defined]
                self._time = max(self._time, min(timer._when for timer in loop._scheduled))  # type: ignore[attr-defined]
        assert body.done(), f"the tree does not end:\n{root.snapshot()}"
        await body
        assert all(life.over for life in self.launcher.lives), "a life outlived its tree"

    async def _body(self, root: ScriptedSupervisor, script: list[tuple[Any, ...]]) -> None:
        stopping: list[str] = []
        try:
            async with root:
                playing = asyncio.create_task(self._play(root, script))
                await asyncio.wait([playing])
                await playing
                stopping = [life.path for life in self.launcher.lives if not life.over]
                expected = [path for path in reversed(list(running(root._engine))) if path in stopping]
                ended: list[str] = []
                for life in self.launcher.lives:
                    watch_end(life, ended)
            assert expected == ended, "stopped in another order than the reverse of the start"
        except (StartFailed, RestartIntensityExceeded) as error:
            note(f"{type(error).__name__}")
        for engine in engines(root._engine):
            assert engine.journal.replay() == engine.journal.entries()
            assert engine.machine.phase in (SupervisorState.STOPPED, SupervisorState.NEW)

    async def _play(self, root: ScriptedSupervisor, script: list[tuple[Any, ...]]) -> None:
        calls: list[asyncio.Task[None]] = []
        for step in script:
            match step:
                case ("die", number, kind):
                    alive = [life for life in self.launcher.lives if not life.over]
                    if alive:
                        alive[number % len(alive)].exit(kind)
                case ("rest",):
                    await self._rest(root)
                case ("turn",):
                    await asyncio.sleep(0)
                case (call, number):
                    paths = sorted(self._policies)
                    calls.append(asyncio.create_task(self._call(root, call, paths[number % len(paths)])))
        await self._rest(root)
        for task in calls:
            await task
        await self._rest(root)
        self._check(root)

    async def _call(self, root: ScriptedSupervisor, call: str, path: str) -> None:
        try:
            await getattr(root, call)(path)
        except (NoSuchChild, StartFailed, SupervisorBusy) as error:
            note(f"{call} {path}: {error}")
            if isinstance(error, StartFailed):
                self._given_up.add(path)  # a start that was called for is not repeated

    async def _rest(self, root: ScriptedSupervisor) -> None:
        for _ in range(PATIENCE):
            if at_rest(root._engine):
                return
            await asyncio.sleep(0)
        raise AssertionError(f"the tree does not come to rest:\n{root.snapshot()}")

    def _check(self, root: ScriptedSupervisor) -> None:
        """Whenever the tree is at rest: running children, and no others, have a life."""
        living = [life.path for life in self.launcher.lives if not life.over]
        assert sorted(running(root._engine)) == sorted(living)
        for engine in engines(root._engine):
            if engine.machine.phase is SupervisorState.RUNNING:
                for view in engine.machine.children():
                    if view.terms.restart is RestartPolicy.PERMANENT:
                        down = ChildState.EXITED if f"{engine.path}/{view.name}" in self._given_up else None
                        assert view.state in (ChildState.RUNNING, ChildState.STOPPED, down), view

    def _launched(self, life: ScriptedLife) -> None:
        others = [other for other in self.launcher.lives if other.path == life.path and other is not life]
        assert all(other.over for other in others), f"two lives of {life.path}"
        assert 1 == life.number or self._policies[life.path] is not RestartPolicy.TEMPORARY, (
            "a temporary child came back"
        )

    def _plan(self, spec: SupervisorSpec, path: str) -> None:
        for index, child in enumerate(spec.children):
            below = f"{path}/{child.name}"
            self._policies[below] = child.restart
            if isinstance(child, SupervisorSpec):
                self._plan(child, below)
            else:
                delivery_tag = (index + len(self._policies)) % len(self._starts)
                starts = self._starts[delivery_tag:] + self._starts[:delivery_tag]
                self.launcher.plan(below, OnStart.READY, *starts, on_stop=self._stops[delivery_tag % len(self._stops)])


def watch_end(life: ScriptedLife, ended: list[str]) -> None:
    """Write down when the life's end is told."""
    tell = life._listener.life_exited

    def told(end: Any) -> None:
        ended.append(life.path)
        tell(end)

    if not life.over:
        life._listener.life_exited = told  # type: ignore[method-assign]


def engines(engine: Engine) -> Iterator[Engine]:
    yield engine
    for child in engine.children.values():
        if isinstance(child, Subtree):
            yield from engines(child.engine)


def running(engine: Engine) -> Iterator[str]:
    """The paths of the actors that run, in order of start."""
    if engine.machine.phase is SupervisorState.RUNNING:
        for view in engine.machine.children():
            child = engine.children[view.name]
            if isinstance(child, Subtree):
                yield from running(child.engine)
            elif isinstance(child, ActorChild) and view.state is ChildState.RUNNING:
                yield child.path


def at_rest(engine: Engine) -> bool:
    if engine.machine.phase in (SupervisorState.STOPPED, SupervisorState.NEW):
        return True
    views = engine.machine.children()
    below = [child.engine for child in engine.children.values() if isinstance(child, Subtree)]
    return (
        engine.machine.phase is SupervisorState.RUNNING
        and not any(view.state in MOVING for view in views)
        and all(at_rest(inner) for inner in below)
    )


@settings(max_examples=often(50, 500), suppress_health_check=list(HealthCheck), phases=PHASES)
@given(
    spec=trees(),
    starts=st.lists(
        st.sampled_from([OnStart.READY, OnStart.READY, OnStart.FAIL, OnStart.HANG]), min_size=1, max_size=4
    ),
    stops=st.lists(st.sampled_from(OnStop), min_size=1, max_size=3),
    script=steps(),
)
def test_the_laws_hold_in_random_trees(spec, starts, stops, script) -> None:
    """No actor has two lives, temporary ones never come back, the tree comes to rest, stops in reverse, and replays."""
    asyncio.run(World(spec, starts, stops).run(script))
