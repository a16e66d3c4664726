"""Random events at the machine: at rest each call was answered once, no child is stuck, no timer runs for the dead."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import msgspec
import pytest

from actors.exits import ExitKind, ExitReason
from supervisor.core.rules.states import ALIVE, ChildState, SupervisorState
from supervisor.core.terms import AutoShutdown, Backoff, ChildTerms, Intensity, RestartPolicy, Strategy, SupervisorTerms
from supervisor.core.tree import commands as do
from supervisor.core.tree import events as happened
from supervisor.core.tree.machine import SupervisorMachine

NAMES = "abcde"
BY_ITSELF = (ExitKind.NORMAL, ExitKind.CRASHED, ExitKind.KILLED, ExitKind.SHUTDOWN, ExitKind.LOST)
ASKED = (ExitKind.SHUTDOWN, ExitKind.CRASHED, ExitKind.NORMAL, ExitKind.LOST)
CALLS = (happened.TerminateAsked, happened.RestartAsked, happened.DeleteAsked, happened.RecycleCalled)
Life = tuple[str, int]
WAIT = happened.TimerFired
RUNS, BATCHES = 500, 20


class World:
    """One supervisor, and children that do what they like; whatever happens is drawn from one seed."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.auto = self.dice.choice(list(AutoShutdown))
        terms = SupervisorTerms(
            strategy=self.dice.choice(list(Strategy)),
            auto_shutdown=self.auto,
            start=self.dice.choice(["ordered", "parallel"]),
            intensity=self.dice.choice([Intensity.unlimited(), Intensity(8, 5.0)]),
            max_children=self.dice.choice([None, 4]),
        )
        static = [self.terms(name) for name in NAMES[: self.dice.randrange(1, 4)]]
        self.machine = SupervisorMachine(terms, static)
        self.added = {child.name for child in static}
        self.now = 0.0
        self.lives: dict[Life, str] = {}  # starting, ready, or serving
        self.begun: dict[str, int] = {}  # the number of the latest life
        self.recycles: dict[int, Life] = {}  # calls, each with the latest life when it came
        self.asked: dict[Life, ExitKind | None] = {}  # how those end that were told to; None is their own choice
        self.waited_for: set[Life] = set()  # those that are to say when they have no stream in flight
        self.timers: dict[happened.Timer, float] = {}
        self.calls = 0
        self.answers: Counter[int] = Counter()
        self.over = False

    def terms(self, name: str) -> ChildTerms:
        policy = self.dice.choice(list(RestartPolicy))
        may = policy is not RestartPolicy.PERMANENT and self.auto is not AutoShutdown.NEVER
        return ChildTerms(
            name=name,
            restart=policy,
            shutdown=self.dice.choice([0.0, 1.0, 5.0, math.inf]),
            significant=may and self.dice.random() < 0.3,
            backoff=self.dice.choice([Backoff(initial=0, cap=0), Backoff(initial=1, cap=4)]),
            overlap=self.dice.random() < 0.7,
        )

    def tell(self, event: happened.AnyEvent) -> None:
        """Tell the machine, and do what it says."""
        reports = 0
        if isinstance(event, happened.RecycleCalled):
            self.recycles[event.ticket] = event.child, self.begun.get(event.child, 0)
        for command in self.machine.handle(self.now, event):
            assert not self.over or isinstance(command, do.Answer), "only answers follow Terminate"
            match command:
                case do.AddChild(child, ticket):
                    assert isinstance(event, happened.StartAsked)
                    assert event.ticket == ticket
                    assert child not in self.added
                    self.added.add(child)
                    self.begun[child] = 0
                case do.DeleteChild(child):
                    self.added.discard(child)
                case do.StartChild(child, life):
                    assert child in self.added, "it was added before"
                    others = [each for each in self.lives if each[0] == child]
                    assert all(number < life for _, number in others)
                    assert len(others) < 2, "one current life and one successor at most"
                    called = child in [name for name, _ in self.recycles.values()]
                    assert not others or called or isinstance(event, happened.RecycleAsked | WAIT)
                    self.lives[child, life] = "starting"
                    self.begun[child] = life
                case do.ReportReady(child, life):
                    assert [(child, life)] == [each for each in self.lives if each[0] == child], "one life serves"
                    assert self.lives[child, life] != "serving", "and is told once"
                    self.lives[child, life] = "serving"
                case do.ReportExit():
                    reports += 1
                case do.AwaitStreams(child, life):
                    assert self.lives[child, life] == "serving"
                    self.waited_for.add((child, life))
                case do.StopChild(child, life):
                    assert (child, life) not in self.asked
                    self.lives[child, life]  # is there
                    self.asked[child, life] = None
                case do.KillChild(child, life):
                    assert self.asked.get((child, life)) is None, "killed once"
                    self.lives[child, life]  # is there
                    self.asked[child, life] = ExitKind.KILLED
                case do.SetTimer(timer, after):
                    self.timers[timer] = self.now + after
                case do.CancelTimer(timer):
                    del self.timers[timer]
                case do.Answer(ticket, verdict):
                    self.answers[ticket] += 1
                    child, begun = self.recycles.pop(ticket, ("", 0))
                    if child and verdict is do.Verdict.OK:
                        assert self.lives[child, self.begun[child]] == "serving"
                        assert self.begun[child] > begun, "it is answered by a life that began after the call"
                case do.Terminate():
                    self.over = True
        assert reports == isinstance(event, happened.ChildExited), "one report for each life"

    def end(self, life: Life, kinds: tuple[ExitKind, ...]) -> None:
        """A life ends in one of these ways, or as it was told to."""
        kind = self.asked.pop(life, None) or self.dice.choice(kinds)
        del self.lives[life]
        self.waited_for.discard(life)
        self.tell(happened.ChildExited(*life, ExitReason(kind), self.dice.random()))

    def ready(self, life: Life) -> None:
        """A life says that it is ready."""
        self.lives[life] = "ready"
        self.tell(happened.ChildReady(*life))

    def streams_over(self, life: Life) -> None:
        """A life says that it has no stream in flight."""
        self.waited_for.discard(life)
        self.tell(happened.StreamsOver(*life))

    def fire(self) -> None:
        """Time passes until the next timer."""
        timer = min(self.timers, key=lambda each: self.timers[each])
        self.now = max(self.now, self.timers.pop(timer))
        self.tell(happened.TimerFired(timer))

    def call(self) -> None:
        """Someone calls the supervisor."""
        self.calls += 1
        name = self.dice.choice(NAMES)
        what = self.dice.random()
        if what < 0.3:
            self.tell(happened.StartAsked(self.calls, self.terms(name)))
        elif what < 0.4:
            pool = tuple(msgspec.structs.replace(self.terms(f"p/{index}"), pool="p") for index in range(3))
            self.tell(happened.StartAsked(self.calls, pool[0], "p", pool[1:]))
        elif what < 0.5:
            self.tell(happened.UndoAsked(self.calls, self.dice.randint(max(1, self.calls - 5), self.calls)))
        else:
            self.tell(self.dice.choice(CALLS)(self.calls, name))

    def step(self) -> None:
        """One thing happens."""
        self.now += self.dice.choice([0.0, 0.0, 0.1, 1.0, 3.0])
        what = self.dice.random()
        life = self.dice.choice(sorted(self.lives)) if self.lives else None
        if life is not None and what < 0.4:
            if self.lives[life] == "starting" and self.dice.random() < 0.6:
                self.ready(life)
            elif life in self.waited_for and self.dice.random() < 0.6:
                self.streams_over(life)
            else:
                self.end(life, ASKED if life in self.asked else BY_ITSELF)
        elif self.timers and what < 0.5:
            self.fire()
        elif life is not None and what < 0.6:
            self.tell(happened.RecycleAsked(*life, "a limit"))
        elif what < 0.99:
            self.call()
        else:
            self.tell(self.dice.choice([happened.StopRequested(3.0), happened.KillRequested()]))

    def settle(self) -> None:
        """From here on everything goes well."""
        for _ in range(1000):
            if self.asked:
                self.end(next(iter(self.asked)), (ExitKind.SHUTDOWN,))
                continue
            starting = [life for life, what in self.lives.items() if what == "starting"]
            if starting:
                self.ready(starting[0])
            elif self.waited_for:
                self.streams_over(min(self.waited_for))
            elif self.timers:
                self.fire()
            else:
                return
        raise AssertionError("it never comes to rest")

    def check(self) -> None:
        """What holds at rest."""
        assert dict.fromkeys(range(1, self.calls + 1), 1) == self.answers, "each call is answered once"
        assert not self.timers
        if self.over:
            assert not self.lives
            return
        assert self.machine.phase is SupervisorState.RUNNING
        for view in self.machine.children():
            assert view.state in (ChildState.RUNNING, ChildState.STOPPED, ChildState.EXITED), view
            assert view.successor is None
            lives = {number: what for (child, number), what in self.lives.items() if child == view.name}
            assert lives == ({view.life: "serving"} if view.state in ALIVE else {})


@pytest.mark.parametrize("batch", range(BATCHES))
def test_at_rest(batch):
    """Whatever happens to a supervisor, in the end nothing is left undone."""
    for seed in range(batch * RUNS, (batch + 1) * RUNS):
        world = World(seed)
        world.tell(happened.Boot())
        for _ in range(world.dice.randrange(5, 60)):
            if not world.over:
                world.step()
        world.settle()
        try:
            world.check()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
