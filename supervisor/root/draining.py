"""Draining: a part of a tree takes no new messages and finishes those that it has.

Actors within the part may still send to each other, as what they finish may need. Actors that crash meanwhile are
started again by their policy and go on.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from typing import Final

from supervisor.messaging.registry import Registry

LOOK: Final = 0.02  # seconds between two looks; nothing on the way of a message knows of draining


async def drain(registry: Registry, part: str, timeout: float) -> bool:
    """Refuse new messages to a part of a tree and wait until it has none.

    Args:
        registry: of the tree.
        part: path of the part.
        timeout: seconds to wait.

    Returns:
        Whether everything was finished in time. The part refuses messages from then on.

    Raises:
        asyncio.CancelledError: the part takes messages again.
    """
    mailboxes = registry.mailboxes(part)
    for mailbox in mailboxes:
        mailbox.intake.drain(part)
    try:
        async with asyncio.timeout(timeout):
            while not all(mailbox.drained for mailbox in mailboxes):  # noqa: ASYNC110 - see LOOK
                await asyncio.sleep(LOOK)
    except TimeoutError:
        return False
    except asyncio.CancelledError:
        for mailbox in mailboxes:
            mailbox.intake.resume()
        raise
    return True
