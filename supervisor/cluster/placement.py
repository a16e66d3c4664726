"""Placement: on which machine a life starts. Pure.

"any" and "node:LABEL" are decided here: of those that fit, the one with the fewest lives for its processors. Resources
are reserved by Ray, which then says where.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from supervisor.core.place import NODE


class Machine(msgspec.Struct, frozen=True):
    """A machine of the cluster, as Ray describes it.

    Attributes:
        key: Ray's id of the node.
        name: for people: its name or address.
        words: everything by which a place may name it: id, name, host name, address, labels (`value`, `key=value`),
            resources of its own.
        cpus: how many processors it offers.
    """

    key: str
    name: str
    words: frozenset[str]
    cpus: float


_LEAST: Final = 0.5  # processors, where a machine offers none
DOUBT: Final = 10.0  # seconds for which a machine that failed is taken only when no other fits
LONGEST: Final = 600.0  # seconds; the doubt doubles with each failure in a row up to this


class Doubts:
    """Which machines have failed lately.

    One that cannot run an agent, for its Python say, would be tried with every restart; so it is tried less and less.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}  # by key
        self._lengths: dict[str, float] = {}

    def failed(self, key: str, now: float) -> None:
        """A machine has failed."""
        length = self._lengths.get(key, DOUBT)
        self._until[key] = now + length
        self._lengths[key] = min(2 * length, LONGEST)

    def worked(self, key: str) -> None:
        """An agent runs on it."""
        self._lengths.pop(key, None)

    def holds(self, key: str, now: float) -> bool:
        """Whether it is to be taken only when no other fits."""
        return self._until.get(key, 0.0) > now


def choose(
    place: str, machines: Sequence[Machine], lives: Mapping[str, int], doubtful: Collection[str]
) -> Machine | None:
    """The machine for one life; None when none fits.

    Args:
        place: "any" or "node:LABEL".
        machines: those that Ray says are alive.
        lives: how many lives of the tree each has, by key.
        doubtful: keys of those that failed lately; they are taken when no other fits.
    """
    label = place.removeprefix(NODE) if place.startswith(NODE) else None
    fit = [one for one in machines if label is None or label in one.words]

    def burden(one: Machine) -> tuple[bool, float, str]:
        return one.key in doubtful, (lives.get(one.key, 0) + 1) / max(one.cpus, _LEAST), one.key

    return min(fit, key=burden, default=None)
