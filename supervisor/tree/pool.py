"""Pool: the members of one spec, one process or several, and what they share.

Used on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import count, islice
from typing import NamedTuple

from actors.wire.to_child import StartActor
from supervisor.mailbox.mailbox import Mailbox
from supervisor.ports.launching import ActorLauncher
from supervisor.process.spawn.lean_spawn import main_module
from supervisor.specs import ChildSpec
from supervisor.specs.common import rules_of


class Pool:
    """The members of one spec, one process or several, and what they share. A single process is a pool of one.

    Attributes:
        mailbox: of all of them.
        spec: their spec.
        launcher: starts their lives, at the place of the spec.
        members: the existing ones, down ones included: name to index, in the order of the index.
        retired: names of those that are down for good.
        recycling: names of those whose next life is starting.
        leaving: names of those that a resize has asked to go.
        template: the first frame of their lives, as the spec says it; `ActorChild` adds what belongs to one life (path,
            number, log level, state) or to the tree (heartbeat for all, tracing).
        by_cause: whether what follows from a death depends on its cause.
        limited: whether a life is replaced when it reaches a limit.
        monitored: whether anything is looked at while a life serves.
    """

    def __init__(self, mailbox: Mailbox, spec: ChildSpec, launcher: ActorLauncher) -> None:
        self.mailbox = mailbox
        self.spec = spec
        self.launcher = launcher
        self.members: dict[str, int] = {}
        self.retired: set[str] = set()
        self.recycling: set[str] = set()
        self.leaving: set[str] = set()
        self.by_cause = bool(rules_of(spec.restart))
        self.limited = not (spec.max_messages is None and spec.max_age is None and spec.max_rss is None)
        self.monitored = self.limited or spec.has_heartbeat or mailbox.protocol.says_health
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
            durable=spec.durable,
        )

    @property
    def first(self) -> str | None:
        """The name of the member that stands for all of them; None when there is none."""
        return next(iter(self.members), None)

    @property
    def down(self) -> bool:
        """Whether all members are down for good."""
        return self.retired >= self.members.keys()

    def add(self, name: str) -> None:
        """A new member."""
        members = {**self.members, name: index_of(self.spec, name)}
        self.members = dict(sorted(members.items(), key=lambda member: member[1]))

    def remove(self, name: str) -> None:
        """A member is deleted."""
        self.members.pop(name, None)
        self.retired.discard(name)

    def resized(self, size: int) -> Resizing:
        """What makes it another size."""
        return resized(self.spec, self.members, self.retired, size, leaving=self.leaving)


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


def resized(
    spec: ChildSpec, members: Mapping[str, int], down: Collection[str], size: int, *, leaving: Collection[str] = ()
) -> Resizing:
    """Which members a pool of that size has: living ones stay, ones that are down for good are replaced first.

    Where none lives, the pool was terminated as a whole: its members stay as they are, and only new ones start.

    Args:
        spec: of the pool.
        members: the existing members, name to index, in the order of the index.
        down: names of those of them that are down for good.
        size: how many processes it gets.
        leaving: names of members that go already, and keep their index until they are gone.
    """
    staying = [name for name in members if name not in leaving]
    living = [name for name in staying if name not in down] or staying
    dead = [name for name in staying if name not in living]
    missing = max(0, size - len(living))
    free = (index for index in count() if index not in members.values())
    add = tuple(spec.member(index) for index in islice(free, max(0, missing - len(dead))))
    return Resizing(add, tuple(dead[:missing]), (*reversed(living[size:]), *reversed(dead[missing:])))


def index_of(spec: ChildSpec, member: str) -> int:
    """The index of a member in its pool, from 0; the only process of a spec has its name."""
    return 0 if member == spec.name else next(index for index in count() if spec.member(index) == member)
