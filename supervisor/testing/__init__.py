"""Testing: what tests of trees and actors use. Public is what `__all__` lists.

`ScriptedSupervisor` scripts lives, for tests of supervision. `InlineSupervisor` runs the actors themselves in the
test's process, on a virtual clock; `actors.testing` has the short way to it. `Puppet` is an actor that does what a
test says, inline and in a process of its own. `Trees` and `LoopClock` are the types of the fixtures `tree` and `clock`.
"""

from actors.puppet import (
    Die,
    Echo,
    Exit,
    Hang,
    IgnoreStop,
    Incarnation,
    Puppet,
    Raise,
    SendGarbage,
    die,
    hang,
)
from supervisor.observe.journal import Entry, Journal, read_lines, replay
from supervisor.testing.clock import LoopClock, VirtualClock
from supervisor.testing.fixtures import Trees
from supervisor.testing.inline import InlineSupervisor
from supervisor.testing.scripted import OnStart, OnStop, ScriptedLauncher, ScriptedLife, ScriptedSupervisor

__all__ = [
    "Die",
    "Echo",
    "Entry",
    "Exit",
    "Hang",
    "IgnoreStop",
    "Incarnation",
    "InlineSupervisor",
    "Journal",
    "LoopClock",
    "OnStart",
    "OnStop",
    "Puppet",
    "Raise",
    "ScriptedLauncher",
    "ScriptedLife",
    "ScriptedSupervisor",
    "SendGarbage",
    "Trees",
    "VirtualClock",
    "die",
    "hang",
    "read_lines",
    "replay",
]
