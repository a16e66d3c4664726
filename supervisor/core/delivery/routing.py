"""Routing: which queue of a pool a message goes into. Pure.

A function of the message and the members; the same key goes to the same member as long as that exists, over all of
its lives.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final
from zlib import crc32

import msgspec

from actors.errors import UsageError
from supervisor.core.terms import Routing

SHARED = ""  # the one queue that all members of a least-loaded pool take from

_MASK: Final = 0xFFFFFFFF
_STIR: Final = 0x45D9F3B  # odd, with its bits spread out: a well-tried multiplier for mixing 32 bits


KEYS: Final = 65_536  # keys whose member is remembered; the longest unused is dropped


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
        self._known: OrderedDict[bytes, str] = OrderedDict()  # key to member, the longest unused first

    def queue_of(self, member: str) -> str:
        """The queue that a member takes from."""
        return SHARED if self._routing is Routing.LEAST_LOADED else member

    @property
    def by_key(self) -> bool:
        """Whether a message is routed by what is in it."""
        return self._routing is Routing.BY_KEY

    def key_of(self, message: object) -> bytes | None:
        """The key a message is routed by; None where routing does not depend on the message.

        Raises:
            UsageError: its key cannot be read or encoded.
        """
        if not self.by_key:
            return None
        try:
            return msgspec.msgpack.encode(getattr(message, self._key))
        except Exception as error:  # the value of a field may be of any type
            name = type(message).__qualname__
            raise UsageError(
                f"{name} cannot be routed by its {self._key!r}: {type(error).__name__}: {error}; a key is a plain value"
            ) from error

    def choose(self, key: bytes | None, members: Sequence[str]) -> str:
        """The queue for a message; any of the members when there are several.

        Args:
            key: the message's `key_of`.
            members: names of the members, at least one.
        """
        if self._routing is Routing.LEAST_LOADED:
            return SHARED
        if self._routing is Routing.ROUND_ROBIN:
            self._turn += 1
            return members[self._turn % len(members)]
        if key is None:
            raise AssertionError("a message that is routed by key was taken without one")
        member = self._known.get(key)
        if member is not None and member in members:
            self._known.move_to_end(key)
            return member
        chosen = max(members, key=lambda member: _stirred(crc32(member.encode(), crc32(key))))
        self._known[key] = chosen
        if len(self._known) > KEYS:
            self._known.popitem(last=False)
        return chosen


def _stirred(number: int) -> int:
    """Mix the bits of a checksum, so that every bit of the result depends on all of them.

    A checksum is linear: the same members differ in the same bits whatever the key, and one of three would win half.
    """
    number = (number ^ number >> 16) * _STIR & _MASK
    number = (number ^ number >> 16) * _STIR & _MASK
    return number ^ number >> 16
