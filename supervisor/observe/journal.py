"""Journal: the last events a supervision machine saw and what it decided, always kept, replayable.

Bounded. It keeps a copy of the machine before the first kept entry, so any journal can be replayed.

Runs where the machine runs.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from supervisor.core.tree.commands import AddChild, AnyCommand
from supervisor.core.tree.events import AnyEvent
from supervisor.core.tree.machine import SupervisorMachine

LENGTH: Final = 1000  # entries in each half; between this and twice this many are kept


class Entry(msgspec.Struct, frozen=True):
    """One step of a machine.

    Attributes:
        now: the moment, in seconds of the machine's clock.
        event: what happened.
        commands: what it decided.
    """

    now: float
    event: AnyEvent
    commands: tuple[AnyCommand, ...]


class Journal:
    """Records the events and commands of a machine.

    Args:
        make: makes the machine; called again for a replay.

    Attributes:
        machine: decides.
    """

    def __init__(self, make: Callable[[], SupervisorMachine]) -> None:
        self.machine = make()
        self._before = self._middle = make  # they make the machine as it was before the older half, and the newer
        self._older: list[Entry] = []
        self._newer: list[Entry] = []

    def handle(self, now: float, event: AnyEvent) -> tuple[AnyCommand, ...]:
        """Let the machine handle an event, and record both."""
        if len(self._newer) >= LENGTH:
            self._before, self._older = self._middle, self._newer
            self._middle, self._newer = partial(copy.deepcopy, copy.deepcopy(self.machine)), []
        commands = self.machine.handle(now, event)
        self._newer.append(Entry(now, event, commands))
        return commands

    def entries(self) -> tuple[Entry, ...]:
        """The recorded entries, oldest first."""
        return (*self._older, *self._newer)

    def replay(self) -> tuple[Entry, ...]:
        """Run the recorded events through a copy of the machine; the result equals `entries()`."""
        machine = self._before()
        return tuple(Entry(entry.now, entry.event, machine.handle(entry.now, entry.event)) for entry in self.entries())

    def lines(self) -> list[bytes]:
        """The recorded entries as JSON, one entry a line, for a bug report."""
        return [msgspec.json.encode(_finite(msgspec.to_builtins(entry))) for entry in self.entries()]


def read_lines(lines: list[bytes]) -> list[Entry]:
    """The entries in lines that `Journal.lines` made."""
    return [msgspec.json.decode(line, type=Entry, strict=False) for line in lines]


def _finite(value: Any) -> Any:
    """Write infinity as a word, which `read_lines` reads: JSON has none."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return "inf" if value == math.inf else value


def replay(machine: SupervisorMachine, entries: list[Entry]) -> list[tuple[AnyCommand, ...]]:
    """The commands that a fresh machine gives for the events of a journal recorded from its beginning.

    A journal of a version without AddChild, where it went without saying, gets none.
    """
    return [_as_recorded(entry, machine.handle(entry.now, entry.event)) for entry in entries]


def _as_recorded(entry: Entry, commands: tuple[AnyCommand, ...]) -> tuple[AnyCommand, ...]:
    if any(isinstance(command, AddChild) for command in entry.commands):
        return commands
    return tuple(command for command in commands if not isinstance(command, AddChild))
