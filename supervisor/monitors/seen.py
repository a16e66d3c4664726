"""Seen: what the monitors of a life have seen of it."""

from __future__ import annotations

from typing import Final, NamedTuple

from actors.exits import ExitReason


class Seen(NamedTuple):
    """What was seen of a life, when it has ended.

    Attributes:
        hang: why it ended, if it ended by a hang.
        stacks: of its threads, if it hung, or did not start in time.
        place: where its start waited; None when that was not looked at.
    """

    hang: ExitReason | None = None
    stacks: str | None = None
    place: str | None = None


NOTHING_SEEN: Final = Seen()
