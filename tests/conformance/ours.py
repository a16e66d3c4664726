"""The table on our own supervisor: with scripted lives, with real processes, with children of all kinds."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from actors.exits import ExitKind
from supervisor import (
    AutoShutdown,
    Backoff,
    ChildExited,
    ChildSpec,
    ChildStarted,
    CommandSpec,
    FunctionSpec,
    Intensity,
    InvalidSpec,
    NoSuchChild,
    Ready,
    RestartIntensityExceeded,
    RestartPolicy,
    StartFailed,
    Strategy,
    Supervisor,
    SupervisorBusy,
    SupervisorGaveUp,
    SupervisorSpec,
    SupervisorStarted,
    SupervisorStopped,
    TaskSpec,
)
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.specs import AnySpec
from supervisor.testing import OnStart, OnStop, ScriptedLauncher, ScriptedLife, ScriptedSupervisor
from supervisor.tree.actor_child import ActorChild
from supervisor.tree.engine import Engine
from supervisor.tree.subtree import Subtree
from tests.conformance import plain_member
from tests.conformance.member import End, Member
from tests.conformance.scenarios import Scenario, Tree, Worker

DEADLINE = 30.0  # seconds; only a broken run reaches it
AT_ONCE = Backoff(initial=0.0, cap=0.0, jitter=0.0)  # OTP knows no other
ENDS = {"normal": ExitKind.NORMAL, "shutdown": ExitKind.SHUTDOWN, "crash": ExitKind.CRASHED, "kill": ExitKind.KILLED}
STATES = {
    ChildState.RUNNING: "up",
    ChildState.STARTING: "restarting",
    ChildState.BACKOFF: "restarting",
}


class Run:
    """One scenario on one tree.

    Args:
        scenario: what to do.
        books: a directory, when the workers shall be real.
        kinds: of which kind the workers are then, in turn: actor, task, function, command.
    """

    def __init__(self, scenario: Scenario, books: Path | None = None, kinds: tuple[str, ...] = ("actor",)) -> None:
        self.scenario = scenario
        self.lines = ["step boot"]
        self._books = books
        self._kinds = itertools.cycle(kinds)
        self.kind_of: dict[str, str] = {}  # by path without the root
        self._launcher = ScriptedLauncher()
        self._launcher.on_launch = self._launched
        self._workers: dict[str, Worker] = {}
        self._starts: dict[str, int] = {}
        self._restless: set[str] = set()
        self._ready: set[tuple[str, int]] = set()  # actors and lives; the end of any other is a start taken back
        self._root: Supervisor
        self._engine: Engine

    async def do(self) -> list[str]:
        """Everything that happened, one event a line."""
        try:
            self._root = self._make()
        except InvalidSpec:
            return [*self.lines, "answer refused"]
        self._listen()
        script: asyncio.Task[list[str]] | None = None
        try:
            async with asyncio.timeout(DEADLINE), self._root:
                script = asyncio.create_task(self._play())
                await asyncio.wait([script])
        except StartFailed:
            return [*self.lines, "answer start_failed"]
        except RestartIntensityExceeded:
            assert "give_up root" in self.lines
        assert script is not None
        return await script

    # ---- the tree

    def _make(self) -> Supervisor:
        tree = self.scenario.tree
        children = [self._spec(child, f"/{tree.name}") for child in tree.children]
        if self._books is not None:
            return Supervisor(*children, name=tree.name, spares=0, **self._terms(tree))
        return ScriptedSupervisor(*children, launcher=self._launcher, name=tree.name, **self._terms(tree))

    def _terms(self, tree: Tree) -> dict[str, Any]:
        return {
            "strategy": Strategy(tree.strategy),
            "intensity": Intensity(tree.intensity, tree.period),
            "auto_shutdown": AutoShutdown(tree.auto_shutdown),
        }

    def _spec(self, child: Worker | Tree, parent: str) -> AnySpec:
        path = f"{parent}/{child.name}"
        common: dict[str, Any] = {
            "name": child.name,
            "restart": RestartPolicy(child.restart),
            "shutdown": child.shutdown,
            "significant": child.significant,
            "backoff": AT_ONCE,
        }
        if isinstance(child, Tree):
            return SupervisorSpec(*(self._spec(each, path) for each in child.children), **common, **self._terms(child))
        self._workers[path] = child
        starts = [OnStart.FAIL if nth in child.fails else OnStart.READY for nth in range(1, 10)]
        for nth in child.fails:
            if isinstance(nth, str):
                starts[int(nth[:-1]) - 1 :] = [OnStart.FAIL]
        for nth, _, _ in child.kills:
            starts[nth - 1] = OnStart.HANG
        already = min(self._starts.get(path, 0), len(starts) - 1)
        self._launcher.plan(path, *starts[already:], on_stop=OnStop(child.on_stop))
        if self._books is None:
            return ChildSpec(Member, args=("", child.fails), **common)
        return self._real(path, child, common)

    def _real(self, path: str, child: Worker, common: dict[str, Any]) -> AnySpec:
        name = path.removeprefix(f"/{self.scenario.tree.name}/")
        kind = self.kind_of.get(name) or self.kind_of.setdefault(name, next(self._kinds))
        book = str(self._book(name))
        match kind:
            case "task":
                return TaskSpec(plain_member.task, args=(book, child.fails), **common)
            case "function":
                return FunctionSpec(plain_member.process, args=(book, child.fails), **common)
            case "command":
                argv = (sys.executable, "-S", plain_member.__file__, book, *map(str, child.fails))
                return CommandSpec(argv, ready=Ready.line("^ready$"), **common)
        return ChildSpec(Member, args=(book, child.fails), **common)

    def _book(self, name: str) -> Path:
        assert self._books is not None
        return self._books / name.replace("/", "-")

    def _launched(self, life: ScriptedLife) -> None:
        number = self._starts[life.path] = self._starts.get(life.path, 0) + 1
        kills = [(victim, how) for nth, victim, how in self._workers[life.path].kills if nth == number]
        for victim, how in kills:  # while it starts: after the launch, before it is ready
            dying = self._launcher.life(f"{self._root.path}/{victim}")
            asyncio.get_running_loop().call_soon(dying.exit, ENDS[how])
        if kills:
            asyncio.get_running_loop().call_soon(life.become_ready)

    # ---- what happens

    def _listen(self) -> None:
        self._root._reports.happenings.follow(self)

    def end(self) -> None:
        """See `Listener`."""

    def put(self, happening: Any) -> None:
        """See `Listener`."""
        match happening:
            case ChildStarted():
                self._ready.add((happening.actor, happening.life))
                self._note(f"start {self._called(happening.actor)}")
            case SupervisorStarted():
                self._note(f"start {self._called(happening.supervisor)}")
            case ChildExited():
                report = happening.report
                name = self._called(report.actor)
                tree = report.actor not in self._workers
                if report.reason.kind is ExitKind.UNSTARTED:
                    self._note(f"fail {name}")
                    if not tree and self._workers[report.actor].restless:
                        self._restless.add(report.actor)
                elif tree or (report.actor, report.life) in self._ready:
                    self._note(f"exit {name} {report.reason.kind.value}")
            case SupervisorGaveUp():
                self._note(f"give_up {self._called(happening.supervisor)}")
            case SupervisorStopped(supervisor=self._root.path):
                started = "start root" in self.lines
                self._note(f"exit root {happening.reason.kind.value}" if started else "fail root")

    def _note(self, line: str) -> None:
        self.lines.append(line)

    def _called(self, path: str) -> str:
        return path.removeprefix(f"{self._root.path}/") if path != self._root.path else "root"

    # ---- the script

    async def _play(self) -> list[str]:
        self._engine = self._root._engine  # type: ignore[assignment]
        await self._rest()
        for step in self.scenario.steps:
            self._note(f"step {step[0]}")
            await self._step(step)
            await self._rest()
        self.lines.extend(self._left(self._engine, ""))
        return list(self.lines)

    async def _step(self, step: tuple[Any, ...]) -> None:
        root = self._root
        match step:
            case ("kill", path, how):
                await self._kill(path, how)
            case ("kill_together", _, deaths):
                for path, how in deaths:
                    self._launcher.life(f"{root.path}/{path}").exit(ENDS[how])
            case ("wait", seconds):
                loop = asyncio.get_running_loop()
                now = loop.time
                loop.time = lambda: now() + seconds  # type: ignore[method-assign]
            case ("stop",):
                root.request_stop()
            case ("start_child", under, child):
                spec = self._spec(child, f"{root.path}/{under}".rstrip("/"))
                await self._answer(lambda: root.start_child(spec, under=under))
            case (call, under, name):
                target = f"{under}/{name}".lstrip("/")
                await self._answer(lambda: getattr(root, call)(target))

    async def _answer(self, call: Any) -> None:
        try:
            await call()
            answer = "ok"
        except InvalidSpec:
            answer = "refused"
        except NoSuchChild:
            answer = "not_found"
        except StartFailed:
            answer = "start_failed"
        except SupervisorBusy as busy:
            answer = busy.answer
        self._note(f"answer {answer}")

    async def _kill(self, path: str, how: str) -> None:
        full = f"{self._root.path}/{path}"
        if self._books is None:
            self._launcher.life(full).exit(ENDS[how])
            return
        ended = sum(line.startswith(f"exit {path} ") for line in self.lines)
        if self.kind_of[path] == "actor":
            self._root[path].tell_nowait(End(how))
        else:
            plain_member.order(self._book(path), how)
        await self._until(lambda: sum(line.startswith(f"exit {path} ") for line in self.lines) > ended)

    async def _rest(self) -> None:
        await self._until(lambda: self._at_rest(self._engine))

    async def _until(self, true: Any) -> None:
        deadline = time.monotonic() + DEADLINE
        while not true():
            assert time.monotonic() < deadline, f"no rest after {self.lines}"
            await asyncio.sleep(0.001)

    def _at_rest(self, engine: Engine) -> bool:
        if engine.machine.phase is SupervisorState.STOPPED:
            return True
        if engine.machine.phase is not SupervisorState.RUNNING:
            return False
        return all(self._quiet(engine, view.name, view.state) for view in engine.machine.children())

    def _quiet(self, engine: Engine, name: str, state: ChildState) -> bool:
        child = engine.children[name]
        if isinstance(child, Subtree) and state is ChildState.RUNNING:
            return self._at_rest(child.engine)
        moving = state in (ChildState.STARTING, ChildState.STOPPING, ChildState.BACKOFF)
        return not moving or (isinstance(child, ActorChild) and child.path in self._restless)

    def _left(self, engine: Engine, prefix: str) -> Iterator[str]:
        if engine.machine.phase is SupervisorState.STOPPED:
            return
        for view in engine.machine.children():
            child = engine.children[view.name]
            yield f"left {prefix}{view.name} {STATES.get(view.state, 'down')}"
            if isinstance(child, Subtree) and view.state is ChildState.RUNNING:
                yield from self._left(child.engine, f"{prefix}{view.name}/")


@contextlib.contextmanager
def clock_restored() -> Iterator[None]:
    """A scenario's waits are over with it."""
    loop = asyncio.get_running_loop()
    try:
        yield
    finally:
        loop.__dict__.pop("time", None)
