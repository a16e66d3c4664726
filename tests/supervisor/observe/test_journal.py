"""Journal: what a machine saw and decided, kept and replayable."""

from __future__ import annotations

import msgspec
import pytest

import supervisor.observe.journal
from actors.exits import ExitKind, ExitReason
from supervisor.core.terms import ChildTerms, Intensity, SupervisorTerms
from supervisor.core.tree import events as happened
from supervisor.core.tree.commands import StartChild, StopChild
from supervisor.core.tree.machine import SupervisorMachine
from supervisor.observe.journal import Entry, Journal, read_lines, replay
from supervisor.specs import INFINITY

TERMS = SupervisorTerms(intensity=Intensity.unlimited())
CHILDREN = [ChildTerms(name="a"), ChildTerms(name="b")]


def machine():
    return SupervisorMachine(TERMS, CHILDREN)


def live(journal, rounds, start=0.0):
    """Boot, and let children die in turn."""
    journal.handle(start, happened.Boot())
    lives = {"a": 1, "b": 1}
    journal.handle(start, happened.ChildReady("a", 1))
    journal.handle(start, happened.ChildReady("b", 1))
    now = start
    for number in range(rounds):
        name = "ab"[number % 2]
        now += 100.0
        crash = ExitReason(ExitKind.CRASHED, str(number))
        journal.handle(now, happened.ChildExited(name, lives[name], crash, (number % 7) / 7))
        lives[name] += 1
        journal.handle(now, happened.ChildReady(name, lives[name]))


def test_decides_like_its_machine():
    """The journal adds nothing and takes nothing away."""
    journal, alone = Journal(machine), machine()
    events = [happened.Boot(), happened.ChildReady("a", 1), happened.StopRequested(), happened.KillRequested()]
    for now, event in enumerate(events):
        assert alone.handle(float(now), event) == journal.handle(float(now), event)
    assert events == [entry.event for entry in journal.entries()]
    assert [0.0, 1.0, 2.0, 3.0] == [entry.now for entry in journal.entries()]


def test_replay_gives_the_same():
    """The same events at the same times give the same commands."""
    journal = Journal(machine)
    live(journal, 40)
    assert journal.entries() == journal.replay()
    assert [entry.commands for entry in journal.entries()] == replay(machine(), list(journal.entries()))
    assert any(isinstance(command, StartChild) for entry in journal.entries() for command in entry.commands)


def test_a_replay_changes_nothing():
    """It goes through a machine of its own, however often."""
    journal, alone = Journal(machine), Journal(machine)
    live(journal, 40)
    live(alone, 40)
    assert journal.replay() == journal.replay() == alone.entries()
    for one in (journal, alone):
        one.handle(1e6, happened.StopRequested())
    assert journal.entries() == alone.entries()


def test_bounded_and_still_replayable(monkeypatch):
    """The oldest half goes, and what is kept starts with the machine as it was then."""
    monkeypatch.setattr(supervisor.observe.journal, "LENGTH", 10)
    journal = Journal(machine)
    live(journal, 100)
    assert 10 <= len(journal.entries()) <= 20
    assert journal.entries() == journal.replay()


def test_as_lines():
    """One entry a line of JSON, read back as the same values."""
    journal = Journal(machine)
    live(journal, 5)
    journal.handle(9_999.0, happened.StopRequested(deadline=3.0))
    lines = journal.lines()
    assert all(b"\n" not in line for line in lines)
    assert list(journal.entries()) == read_lines(lines)
    assert any(isinstance(command, StopChild) for command in journal.entries()[-1].commands)


@pytest.mark.parametrize("shutdown", [5.0, 0.0, INFINITY])
def test_every_event_survives_the_lines(shutdown):
    """Also the addition of a child with all the time in the world."""
    terms = ChildTerms(name="c", shutdown=shutdown, start_timeout=INFINITY)
    events = [
        happened.Boot(),
        happened.ChildReady("a", 1),
        happened.ChildReady("b", 1),
        happened.StartAsked(1, terms),
        happened.TerminateAsked(2, "c"),
        happened.RestartAsked(3, "c"),
        happened.DeleteAsked(4, "c"),
        happened.TimerFired(happened.Timer("a", 1, happened.TimerKind.GRACE)),
        happened.StopRequested(),
        happened.KillRequested(),
    ]
    journal = Journal(machine)
    for now, event in enumerate(events):
        journal.handle(float(now), event)
    assert list(journal.entries()) == read_lines(journal.lines())


def test_an_entry_is_a_value():
    """Frozen, comparable."""
    assert Entry(1.0, happened.Boot(), ()) == Entry(1.0, happened.Boot(), ())
    with pytest.raises(AttributeError):
        Entry(1.0, happened.Boot(), ()).now = 2.0
    assert isinstance(Entry(1.0, happened.Boot(), ()), msgspec.Struct)
