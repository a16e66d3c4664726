"""Suspects: messages of which one ended the process that was decoding it. Pure.

The one message that a process was decoding when it ended counts as begun. Of several, each is a suspect and goes to the
next life alone.
"""

from __future__ import annotations

from actors.wire.progress import Progress
from supervisor.core.delivery.in_flight import InFlight


def blame(flight: InFlight, progress: Progress) -> Progress:
    """What a dead life was doing. The one message that it had and was decoding counts as begun.

    Args:
        flight: what the life had.
        progress: what its black box says.
    """
    if not progress.decoding:
        return progress
    waiting = [held for held in flight.all() if held[0] > progress.begun]
    if len(waiting) != 1:
        return progress
    ((delivery_tag, message),) = waiting
    return Progress(delivery_tag, progress.active | {delivery_tag}, progress.since, message.handler)
