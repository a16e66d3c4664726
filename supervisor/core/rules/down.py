"""Down: how the end of a child that is not restarted is told to those who send to it. Pure."""

from __future__ import annotations

from typing import Final

TERMINATED: Final = "terminate_child was called"


def by_call(because: str) -> str:
    """Why a child is down, with both ways of a call that stops it; an operator's is such a call."""
    return f"{because}, or actorctl stop" if because == TERMINATED else because


def is_down(path: str, because: str) -> str:
    """That an actor is down, for how long, and why: `/root/a is down for good (its supervisor gave up)`."""
    if because == TERMINATED:
        return f"{path} is down until it is started ({by_call(because)})"
    return f"{path} is down for good ({because})"
