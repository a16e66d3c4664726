"""PoolDesk: what the processes of one spec share, one process or a pool.

Used on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import count, islice
from typing import NamedTuple

from supervisor.mailbox.mailbox import Mailbox
from supervisor.specs import ChildSpec


class PoolDesk:
    """What the processes of one spec share.

    Attributes:
        mailbox: of all of them.
        spec: their spec.
        members: names of the existing ones, down ones included.
        retired: names of those that are down for good.
        recycling: names of those whose next life is starting.
    """

    def __init__(self, mailbox: Mailbox, spec: ChildSpec) -> None:
        self.mailbox = mailbox
        self.spec = spec
        self.members: set[str] = set()
        self.retired: set[str] = set()
        self.recycling: set[str] = set()


class Resizing(NamedTuple):
    """What makes a pool another size.

    Attributes:
        add: names of new members, in order.
        restart: members that are down for good and start again, in order.
        remove: members that go, in the order in which they are asked to.
    """

    add: tuple[str, ...]
    restart: tuple[str, ...]
    remove: tuple[str, ...]


def resized(spec: ChildSpec, members: Collection[str], down: Collection[str], size: int) -> Resizing:
    """Which members a pool of that size has: living ones stay, ones that are down for good are replaced first.

    Where none lives, the pool was terminated as a whole: its members stay as they are, and only new ones start.

    Args:
        spec: of the pool.
        members: names of the existing members.
        down: names of those of them that are down for good.
        size: how many processes it gets.
    """
    ordered = sorted(members, key=place)
    living = [name for name in ordered if name not in down] or ordered
    dead = [name for name in ordered if name not in living]
    missing = max(0, size - len(living))
    free = (index for index in count() if index not in set(map(place, ordered)))
    add = tuple(spec.member(index) for index in islice(free, max(0, missing - len(dead))))
    return Resizing(add, tuple(dead[:missing]), (*reversed(living[size:]), *reversed(dead[missing:])))


def place(member: str) -> int:
    """The index of a process in its pool."""
    return int(member.rpartition("/")[2]) if "/" in member else 0
