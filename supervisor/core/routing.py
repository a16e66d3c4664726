"""Routing: which queue of a pool a message goes into.

Law: a function of the message and of who is a member; the same key goes to the same member for as long as that is one,
     over all of its lives.
May import: specs.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import msgspec

from supervisor.specs import Routing

SHARED = ""  # the one queue that all members of a least-loaded pool take from


class Router:
    """Chooses queues for one pool, or for one actor, which is a pool of one.

    Args:
        routing: the rule.
        key: name of the message attribute that `Routing.BY_KEY` looks at.
    """

    def __init__(self, routing: Routing, key: str) -> None:
        self._routing = routing
        self._key = key
        self._turn = 0

    def queue_of(self, member: str) -> str:
        """The queue that a member takes from."""
        return SHARED if self._routing is Routing.LEAST_LOADED else member

    def choose(self, message: object, members: Sequence[str]) -> str:
        """The queue for a message; any of the members when there are several.

        Args:
            message: the message itself.
            members: names of the members, at least one.
        """
        if self._routing is Routing.LEAST_LOADED:
            return SHARED
        if self._routing is Routing.ROUND_ROBIN:
            self._turn += 1
            return members[self._turn % len(members)]
        key = msgspec.msgpack.encode(getattr(message, self._key))
        return max(members, key=lambda member: crc32(key + member.encode()))
