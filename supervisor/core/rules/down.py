"""Down: how the end of a child that is not restarted is told to those who send to it. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

TERMINATED: Final = "terminate_child was called"


def by_call(because: str) -> str:
    """Why a child is down, with both ways of a call that stops it; an operator's is such a call."""
    return f"{because}, or actorctl stop" if because == TERMINATED else because


class Down(msgspec.Struct, frozen=True):
    """That a child is down and stays down.

    Attributes:
        because: why, one line.
        startable: whether `restart_child`, of it or of a supervisor above it, starts it again.
    """

    because: str
    startable: bool = False


def is_down(path: str, down: Down) -> str:
    """That an actor is down, for how long, and why: `/root/a is down for good (its supervisor gave up)`."""
    if down.startable:
        return f"{path} is down until it is started, by restart_child or actorctl start ({by_call(down.because)})"
    return f"{path} is down for good ({by_call(down.because)})"
