"""PoolDesk: what the processes of one spec share, one process or a pool.

Used on the loop's thread.
"""

from __future__ import annotations

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
        self.members = set(spec.members())
        self.retired: set[str] = set()
        self.recycling: set[str] = set()


def place(member: str) -> int:
    """The index of a process in its pool."""
    return int(member.rpartition("/")[2]) if "/" in member else 0
