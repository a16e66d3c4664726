"""Draining: a part of a tree takes no new messages and finishes those that it has.

Actors within the part may still send to each other, as what they finish may need. Actors that crash meanwhile are
started again by their policy and go on.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from supervisor.core.delivery.fates import Fate
from supervisor.mailbox.mailbox import Mailbox
from supervisor.messaging.registry import Registry

LOOK: Final = 0.02  # seconds between two looks; nothing on the way of a message knows of draining


async def finished(registry: Registry, part: str, timeout: float) -> bool:
    """Wait until a part of a tree that is draining has no messages.

    Args:
        registry: of the tree.
        part: path of the part.
        timeout: seconds to wait.

    Returns:
        Whether everything was finished in time, and nothing dropped by another stop meanwhile.
    """
    mailboxes = registry.mailboxes(part)
    dropped = _dropped(mailboxes)
    try:
        async with asyncio.timeout(timeout):
            while not all(mailbox.drained for mailbox in registry.mailboxes(part)):  # noqa: ASYNC110 - see LOOK
                await asyncio.sleep(LOOK)
    except TimeoutError:
        return False
    return _dropped(mailboxes) == dropped


def _dropped(mailboxes: Sequence[Mailbox]) -> int:
    """How many messages of them had not begun when their actor was stopped."""
    return sum(mailbox.fates[fate] for mailbox in mailboxes for fate in (Fate.ACTOR_STOPPED, Fate.SHUTDOWN))
