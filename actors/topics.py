"""Topic: a name under which messages of one type are published to all subscribers.

At most once, and bounded: a subscriber that is full or down misses the message; the publisher never waits.
"""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

import msgspec

from actors.errors import UsageError
from actors.messages import Message

MAX_NAME: Final = 255  # characters of a name: the daemon keeps them

M = TypeVar("M", bound=Message[Any])


class Topic(msgspec.Struct, Generic[M], frozen=True):
    """A topic: `PRICES = Topic("prices", Price)`, at the top level of a module that publishers and subscribers import.

    Attributes:
        name: unique in the tree.
        message: the class of what is published; its reply type is None, since there is no reply.
    """

    name: str
    message: type[M]

    def __post_init__(self) -> None:
        if len(self.name) > MAX_NAME:
            raise UsageError(f"topic {self.name[:20]!r}... has a name of {len(self.name)} characters, {MAX_NAME} fit")
