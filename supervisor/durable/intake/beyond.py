"""Beyond: the place of a durable mailbox's messages that are only in the store.

Used on the loop's thread.
"""

from __future__ import annotations

from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.messages import Classes
from supervisor.core.delivery.queue import MessageQueue


class Beyond(MessageQueue):
    """Stands for the queue of messages that are only in the store.

    Args:
        classes: of the messages.

    Attributes:
        count: how many.
    """

    def __init__(self, classes: Classes) -> None:
        super().__init__(classes)
        self.count = 0

    def cancel_message(self, seq: int, fate: Fate) -> tuple[str, int] | None:
        """Nothing is queued here; the settlement deletes it from the store."""
        del seq, fate
        self.count = max(0, self.count - 1)
        return None
