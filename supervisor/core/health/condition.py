"""Condition: how the kernel treats a process at one moment. Pure."""

from __future__ import annotations

from typing import Final

import msgspec


class Condition(msgspec.Struct, frozen=True):
    """The state of a process.

    Attributes:
        state: the kernel's letter: R runs or wants to, S sleeps, D waits for a disk, T stopped, t held by a
            debugger, Z dead; empty when it cannot be read.
        starved: ns in which its main thread wanted a processor and got none; 0 when that is not counted.
    """

    state: str
    starved: int


UNSEEN: Final = Condition("", 0)
"""Of a process that cannot be looked at."""
