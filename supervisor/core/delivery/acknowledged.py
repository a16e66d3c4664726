"""Acknowledged: what one acknowledgement of a life ends. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from supervisor.core.delivery.fates import Fate


class Acknowledged(NamedTuple):
    """What one acknowledgement of a life ends.

    Attributes:
        handled: how many messages were wanted.
        outside: the sequence numbers of those that are in no batch of tells.
        unwanted: the fates of the others.
        batches: first and last sequence number of those in batches of tells.
    """

    handled: int
    outside: list[int]
    unwanted: list[Fate]
    batches: list[tuple[int, int]]


NOTHING_NEW: Final = Acknowledged(0, [], [], [])
