"""Testing: what tests of trees and actors use. Public is what `__all__` lists.

`ScriptedSupervisor` scripts lives, for tests of supervision. `InlineSupervisor` runs the actors themselves in the
test's process, on a virtual clock; `actors.testing` has the short way to it.
"""

from supervisor.observe.journal import Entry, Journal, read_lines, replay
from supervisor.testing.clock import VirtualClock
from supervisor.testing.inline import InlineSupervisor
from supervisor.testing.scripted import OnStart, OnStop, ScriptedLauncher, ScriptedLife, ScriptedSupervisor

__all__ = [
    "Entry",
    "InlineSupervisor",
    "Journal",
    "OnStart",
    "OnStop",
    "ScriptedLauncher",
    "ScriptedLife",
    "ScriptedSupervisor",
    "VirtualClock",
    "read_lines",
    "replay",
]
