"""PoolDesk: what the processes of one spec share, whether they are one or a pool.

Used on the loop's thread.
"""

from __future__ import annotations

from supervisor.mailbox.mailbox import Mailbox
from supervisor.specs import ChildSpec


class PoolDesk:
    """What the processes of one spec share.

    Attributes:
        mailbox: where their messages are.
        spec: what they are.
        members: names of those that are there, down ones included.
        retired: names of those that are down for good.
        recycling: names of those whose next life is on its way.
    """

    def __init__(self, mailbox: Mailbox, spec: ChildSpec) -> None:
        self.mailbox = mailbox
        self.spec = spec
        self.members = set(spec.members())
        self.retired: set[str] = set()
        self.recycling: set[str] = set()


def place(member: str) -> int:
    """The place of a process in its pool, counted from 0."""
    return int(member.rpartition("/")[2]) if "/" in member else 0
