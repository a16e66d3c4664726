"""Golden flight recordings: stories that were told once, and must lead to the same decisions for ever.

Each file in `journals/` is what `Journal.lines` gives, after a first line with the terms of the supervisor and its
children. A change of what the machine decides shows here, command by command, and is then looked at and recorded
anew:  ACTORS_RECORD=1 pytest tests/supervisor/core/test_journals.py
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from actors.exits import ExitKind, ExitReason
from supervisor.core.rules.states import ChildState
from supervisor.core.terms import AutoShutdown, Backoff, ChildTerms, Intensity, RestartPolicy, Strategy, SupervisorTerms
from supervisor.core.tree import events as happened
from supervisor.core.tree.commands import AnyCommand, Terminate
from supervisor.core.tree.events import Timer, TimerKind
from supervisor.core.tree.machine import SupervisorMachine
from supervisor.specs import BRUTAL_KILL
from supervisor.testing import Entry, Journal, read_lines, replay

KEPT = Path(__file__).with_name("journals")
OLDER = sorted(Path(__file__).with_name("journals_of_old_names").glob("*.jsonl"))
RECORD = os.environ.get("ACTORS_RECORD") == "1"
SLOW = Backoff(initial=0.5, cap=2.0, jitter=0.2)


class Head(msgspec.Struct, frozen=True):
    """The first line of a recording."""

    supervisor: SupervisorTerms
    children: list[ChildTerms]

    def machine(self) -> SupervisorMachine:
        """A fresh machine of these terms."""
        return SupervisorMachine(self.supervisor, self.children)


class Teller:
    """Tells a story to a machine, in the present tense: lives and times are filled in."""

    def __init__(self, head: Head) -> None:
        self.journal = Journal(head.machine)
        self.machine = self.journal.machine
        self.now = 0.0
        self._tickets = 0

    def tell(self, event: happened.AnyEvent) -> tuple[AnyCommand, ...]:
        return self.journal.handle(self.now, event)

    def boot(self) -> None:
        """Start, and everyone is ready in turn, a tenth of a second each."""
        self.tell(happened.Boot())
        self.all_ready()

    def all_ready(self) -> None:
        while waiting := [view for view in self.machine.children() if view.state is ChildState.STARTING]:
            for view in waiting:
                self.now += 0.1
                self.tell(happened.ChildReady(view.name, view.life))

    def exit(self, child: str, kind: str = "crashed", roll: float = 0.5) -> None:
        reason = ExitReason(ExitKind(kind), f"{child} ended in this story")
        self.tell(happened.ChildExited(child, self.life(child), reason, roll))

    def fire(self, child: str, kind: str, after: float) -> None:
        self.now += after
        self.tell(happened.TimerFired(Timer(child, self.life(child) if child else 1, TimerKind(kind))))

    def stopped_in_turn(self) -> None:
        """Those who are asked to stop comply, one after the other."""
        while dying := [view.name for view in self.machine.children() if view.state is ChildState.STOPPING]:
            for name in dying:
                self.now += 0.05
                self.exit(name, "shutdown")

    def ask(self, make: Callable[[int], happened.AnyEvent]) -> None:
        self._tickets += 1
        self.tell(make(self._tickets))

    def life(self, child: str) -> int:
        return next(view.life for view in self.machine.children() if view.name == child)


def head(*children: ChildTerms | str, **terms) -> Head:
    return Head(
        SupervisorTerms(**terms),
        [ChildTerms(name=child, backoff=SLOW) if isinstance(child, str) else child for child in children],
    )


def transient(name: str, **terms) -> ChildTerms:
    return ChildTerms(name=name, restart=RestartPolicy.TRANSIENT, backoff=SLOW, **terms)


def temporary(name: str, **terms) -> ChildTerms:
    return ChildTerms(name=name, restart=RestartPolicy.TEMPORARY, backoff=SLOW, **terms)


# -- the stories ---------------------------------------------------------------------------------------------


def a_quiet_day(told: Teller) -> None:
    """Three children start in order; later all stop in reverse."""
    told.boot()
    told.now = 60.0
    told.tell(happened.StopRequested())
    told.stopped_in_turn()


def backoff_and_recovery(told: Teller) -> None:
    """One child crashes again and again, waits longer each time, and is healthy in the end."""
    told.boot()
    told.exit("b", "killed")
    told.all_ready()
    for roll in (0.0, 0.5, 0.999):
        told.now += 1.0
        told.exit("b", roll=roll)
        told.fire("b", "backoff", 2.5)
        told.all_ready()
    told.now += 3600.0
    told.exit("b")
    told.all_ready()


def all_for_one(told: Teller) -> None:
    """A crash stops everyone; a sibling's start fails, and everyone stops and starts again; a temporary one is gone."""
    told.boot()
    told.exit("a")
    told.stopped_in_turn()
    told.now += 0.1
    told.tell(happened.ChildReady("a", told.life("a")))
    told.exit("b")
    told.stopped_in_turn()
    told.fire("b", "backoff", 0.0)
    told.all_ready()
    told.tell(happened.StopRequested())
    told.stopped_in_turn()


def deaths_while_a_plan_runs(told: Teller) -> None:
    """While the rest is being stopped one of them dies by itself, and then one that came before."""
    told.boot()
    told.exit("b")
    told.exit("c", "killed")
    told.exit("a", "killed")
    told.stopped_in_turn()
    told.all_ready()


def one_restart_too_many(told: Teller) -> None:
    """The third death within the period ends the supervisor; a late exit of a former life changes nothing."""
    told.boot()
    for _ in range(3):
        told.now += 0.5
        told.exit("a")
        for view in told.machine.children():
            if view.state is ChildState.BACKOFF:
                told.fire(view.name, "backoff", 0.6)
        told.tell(happened.ChildExited("b", 0, ExitReason(ExitKind.CRASHED, "of another life")))
        if told.machine.phase.value == "running":
            told.all_ready()
    told.stopped_in_turn()


def the_ladder(told: Teller) -> None:
    """Asked, its grace over, killed, and gone; the next is killed at once; the last falls to the deadline."""
    told.boot()
    told.tell(happened.StopRequested(deadline=8.0))
    told.fire("c", "grace", 5.0)
    told.exit("c", "killed")
    told.exit("b", "killed")
    told.fire("", "deadline", 3.0)
    told.exit("a", "killed")


def calls_and_refusals(told: Teller) -> None:
    """Children come and go by call; what does not fit is refused in OTP's words."""
    told.boot()
    late = ChildTerms(name="late", start_timeout=1.0)
    told.ask(lambda ticket: happened.RestartAsked(ticket, "a"))
    told.ask(lambda ticket: happened.TerminateAsked(ticket, "a"))
    told.stopped_in_turn()
    told.ask(lambda ticket: happened.StartAsked(ticket, ChildTerms(name="a")))
    told.ask(lambda ticket: happened.RestartAsked(ticket, "a"))
    told.all_ready()
    told.ask(lambda ticket: happened.StartAsked(ticket, late))
    told.fire("late", "start", 1.0)
    told.exit("late", "killed")
    told.ask(lambda ticket: happened.StartAsked(ticket, late))
    told.ask(lambda ticket: happened.StartAsked(ticket, late))
    told.all_ready()
    told.ask(lambda ticket: happened.StartAsked(ticket, ChildTerms(name="one too many")))
    told.ask(lambda ticket: happened.TerminateAsked(ticket, "late"))
    told.stopped_in_turn()
    told.ask(lambda ticket: happened.DeleteAsked(ticket, "late"))
    told.ask(lambda ticket: happened.DeleteAsked(ticket, "late"))
    told.tell(happened.KillRequested())
    told.ask(lambda ticket: happened.RestartAsked(ticket, "a"))
    told.stopped_in_turn()


def the_last_significant_one(told: Teller) -> None:
    """One significant child ends, one is terminated, the last one ends: so does the supervisor."""
    told.boot()
    told.exit("b", "normal")
    told.ask(lambda ticket: happened.TerminateAsked(ticket, "c"))
    told.stopped_in_turn()
    told.exit("d")
    told.all_ready()
    told.exit("d", "shutdown")
    told.stopped_in_turn()


def a_start_that_fails(told: Teller) -> None:
    """The second child's first start takes too long: the first is stopped again and nothing runs."""
    told.tell(happened.Boot())
    told.tell(happened.ChildReady("a", 1))
    told.fire("b", "start", 30.0)
    told.exit("b", "killed")
    told.stopped_in_turn()


STORIES: dict[Callable[[Teller], None], Head] = {
    a_quiet_day: head("a", "b", "c"),
    backoff_and_recovery: head("a", "b", intensity=Intensity(5, 20.0)),
    all_for_one: head("a", "b", temporary("c"), transient("d"), strategy=Strategy.ONE_FOR_ALL),
    deaths_while_a_plan_runs: head("a", "b", "c", "d", strategy=Strategy.REST_FOR_ONE),
    one_restart_too_many: head("a", "b", intensity=Intensity(2, 5.0)),
    the_ladder: head("a", ChildTerms(name="b", shutdown=BRUTAL_KILL), "c"),
    calls_and_refusals: head("a", "b", max_children=3),
    the_last_significant_one: head(
        "a",
        temporary("b", significant=True),
        transient("c", significant=True),
        transient("d", significant=True),
        auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
    ),
    a_start_that_fails: head("a", "b", "c"),
}

every_story = pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)


def kept(story: Callable[[Teller], None]) -> Path:
    return KEPT / f"{story.__name__}.jsonl"


def read(path: Path) -> tuple[Head, Sequence[Entry]]:
    first, *lines = path.read_bytes().splitlines()
    return msgspec.json.decode(first, type=Head), read_lines(lines)


def told(story: Callable[[Teller], None]) -> Teller:
    teller = Teller(STORIES[story])
    story(teller)
    return teller


@pytest.fixture(scope="module", autouse=True)
def recorded_anew() -> None:
    """If asked to, write down what the machine decides today."""
    if RECORD:
        for story, first in STORIES.items():
            kept(story).write_bytes(b"\n".join([msgspec.json.encode(first), *told(story).journal.lines(), b""]))


@every_story
def test_a_recording_leads_to_the_same_commands(story) -> None:
    """A fresh machine decides as the one of the recording did."""
    first, entries = read(kept(story))
    assert [entry.commands for entry in entries] == replay(first.machine(), list(entries))


@pytest.mark.parametrize("path", OLDER, ids=lambda path: path.stem)
def test_a_journal_of_an_older_version_leads_to_the_same_commands(path) -> None:
    """Commands and events keep the tags, and terms the defaults, with which they were recorded. Never recorded anew."""
    first, entries = read(path)
    assert entries
    assert [entry.commands for entry in entries] == replay(first.machine(), list(entries))


@every_story
def test_the_recording_is_the_story(story) -> None:
    """The files are what the stories produce: neither was edited alone."""
    first, entries = read(kept(story))
    assert first == STORIES[story]
    assert list(entries) == list(told(story).journal.entries())


def test_no_recording_without_its_story() -> None:
    """The directory holds these files and no other; and the stories go to their end where they have one."""
    assert {kept(story) for story in STORIES} == set(KEPT.iterdir())
    ended = {
        story for story in STORIES if any(isinstance(c, Terminate) for e in read(kept(story))[1] for c in e.commands)
    }
    assert {backoff_and_recovery, deaths_while_a_plan_runs} == STORIES.keys() - ended
