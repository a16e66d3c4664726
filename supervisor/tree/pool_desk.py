"""PoolDesk: what the processes of one spec share, one process or a pool.

Used on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import count, islice
from typing import NamedTuple

from actors.wire.frames import StartActor
from supervisor.mailbox.mailbox import Mailbox
from supervisor.process.lean_spawn import main_module
from supervisor.specs import ChildSpec


class PoolDesk:
    """What the processes of one spec share.

    Attributes:
        mailbox: of all of them.
        spec: their spec.
        members: names of the existing ones, down ones included.
        retired: names of those that are down for good.
        recycling: names of those whose next life is starting.
        template: the first frame of their lives, but for the path, the number and the log level of each.
        by_cause: whether what follows from a death depends on its cause.
        limited: whether a life is replaced when it reaches a limit.
    """

    def __init__(self, mailbox: Mailbox, spec: ChildSpec) -> None:
        self.mailbox = mailbox
        self.spec = spec
        self.members: set[str] = set()
        self.retired: set[str] = set()
        self.recycling: set[str] = set()
        self.by_cause = bool(spec.terms_of(spec.name).rules)
        self.limited = not (spec.max_messages is None and spec.max_age is None and spec.max_rss is None)
        self.template = StartActor(
            path=mailbox.path,
            life=0,
            module=spec.actor.__module__,
            qualname=spec.actor.__qualname__,
            arguments=spec.arguments,
            address=mailbox.path,
            conditions=spec.conditions(),
            main=main_module() if spec.needs_main else {},
            captured=spec.output == "capture",
            handler_timeout=spec.handler_timeout or 0.0,
            max_frame=spec.max_frame_bytes,
            heartbeat=spec.has_heartbeat,
        )


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
