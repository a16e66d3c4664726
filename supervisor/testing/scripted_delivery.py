"""ScriptedDelivery: what a scripted life was given, for a test to look at.

Runs on the thread of the loop that entered the supervisor.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from actors.wire.framing import Carried
from supervisor.core.delivery.messages import Batch, QueuedMessage


class ScriptedDelivery:
    """The part `supervisor.ports.life.Delivery` of a scripted life, but for what its black box says.

    Attributes:
        received: the messages it was given, oldest first.
        answers: the encoded `Answer` frames it was given.
        taken_back: sequence numbers of messages that were cancelled.
        recalled: sequence numbers of messages it was asked to give back if it has not begun them.
        state: what the life before has saved, None when it was given nothing. A test saves with `say(Saved(...))`.
    """

    def __init__(self, state: bytes | None) -> None:
        self.received: list[QueuedMessage] = []
        self.answers: list[bytes] = []
        self.credits: dict[int, int] = {}
        self.followed: list[tuple[int, list[bytes], bool]] = []
        self.taken_back: list[int] = []
        self.recalled: list[int] = []
        self.state = state

    def restore(self, state: bytes) -> None:
        """See `Life`."""
        self.state = state

    @property
    def boxed(self) -> bool:
        """See `Life`; the daemon of a test does not die."""
        return True

    def note_given(self, given: Iterable[tuple[int, int]]) -> None:
        """See `Life`."""

    def post(self, batch: list[QueuedMessage]) -> None:
        """See `Life`."""
        self.received.extend(batch)

    def post_batch(self, batch: Batch) -> None:
        """See `Life`."""
        self.post(list(batch.messages()))

    def cancel(self, seqs: list[int]) -> None:
        """See `Life`."""
        self.taken_back.extend(seqs)

    def recall(self, seqs: list[int]) -> None:
        """See `Life`."""
        self.recalled.extend(seqs)

    def credit(self, seq: int, count: int) -> None:
        """See `Life`."""
        self.credits[seq] = self.credits.get(seq, 0) + count

    def follow(self, seq: int, items: list[bytes], attachments: Sequence[Carried] = (), *, over: bool) -> None:
        """See `Life`."""
        del attachments
        self.followed.append((seq, items, over))

    def answer(self, frame: bytes, attachments: Sequence[Carried] = ()) -> None:
        """See `Life`."""
        del attachments
        self.answers.append(frame)

    @property
    def at_once(self) -> bool:
        """See `Life`."""
        return True

    @property
    def window(self) -> int:
        """See `Life`."""
        return sys.maxsize

    @property
    def caught_up(self) -> bool:
        """See `Life`."""
        return True
