"""What the daemon and its actors say to each other.

Every message here is idempotent: handling it twice leaves the world as handling it once does. That is a promise of
the handlers, and it lets the supervisor deliver a message again when its actor is killed in the middle of it.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from actors import Message


class Page(msgspec.Struct, frozen=True):
    """What there is to find in one source file."""

    path: str  # relative to the tree
    lines: int
    names: str  # the words of its identifiers
    prose: str  # its comments and strings


class Hit(msgspec.Struct, frozen=True):
    """One answer to a query; the smaller the rank, the better."""

    path: str
    snippet: str
    rank: float


class Parse(Message[Page]):
    """Read a file. Pure."""

    idempotent: ClassVar[bool] = True
    path: str


class Store(Message[None]):
    """Put a page into the index, in place of any page of the same path."""

    idempotent: ClassVar[bool] = True
    page: Page


class Clear(Message[None]):
    """Forget all pages."""

    idempotent: ClassVar[bool] = True


class Search(Message[list[Hit]]):
    """The best pages that contain every word. Only reads."""

    idempotent: ClassVar[bool] = True
    query: str
    limit: int = 10


class Census(Message[dict[str, int]]):
    """How often each path lies in the index: the index itself is asked, not a counter. Only reads."""

    idempotent: ClassVar[bool] = True
