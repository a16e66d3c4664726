"""RemoteAsk: an actor that waits for the end of an ask, for a tell to be accepted, or for the end of another actor.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from actors.errors import ActorsError, WireError
from actors.ref import STREAM_CREDIT
from actors.wire import kinds
from actors.wire.attachments import arrived
from actors.wire.codec import encode
from actors.wire.errors import encode_error
from actors.wire.framing import Attachment, Carried
from actors.wire.from_child import Send, SendMany, Watch
from actors.wire.kinds import NOTHING, STREAM, TELL
from actors.wire.to_child import Answer
from supervisor.ports.life import Delivery


class Requests(Protocol):
    """The requests of the actor that waits."""

    life: Delivery | None

    def over(self, correlation: int, asker: RemoteAsk) -> None:
        """An ask has ended."""


class RemoteAsk:
    """An actor that waits for the end of an ask, or for a tell to be accepted.

    The answer goes to the life that asked, or nowhere.
    """

    def __init__(self, requests: Requests, frame: Send | SendMany | Watch) -> None:
        self._requests = requests
        self._life = requests.life
        self.correlation = frame.correlation
        self._ahead = STREAM_CREDIT if isinstance(frame, Send) and frame.kind == STREAM else 0
        self._tells = isinstance(frame, Send | SendMany) and frame.kind == TELL
        self.gone = False  # whether it was withdrawn
        self.withdraw: Callable[[], object] = _nothing
        self.credit: Callable[[int], None] = _no_credit
        self.over: Callable[[], None] = _nothing
        self.ended: Callable[[str | None], None] = _unseen  # called with the text of its error, None without one

    def replied(self, payload: msgspec.Raw) -> None:
        """See `Asker`; its values in shared memory are passed on as they came."""
        attachments = arrived()
        self._finish()
        self.post(kinds.SHARED_REPLY if attachments else kinds.REPLY, bytes(payload), attachments)

    def replied_beside(self, attachment: Attachment) -> None:
        """See `Asker`; it is passed on as it came."""
        self._finish()
        self.post(kinds.BESIDE, bytes(NOTHING), (attachment,))

    def replied_with(self, value: object) -> None:
        """A reply that the daemon itself makes."""
        self._send(kinds.REPLY, encode(value))

    def accepted(self) -> None:
        """The tell is accepted."""
        self._send(kinds.ACCEPTED, encode(None))

    def failed(self, error: ActorsError) -> None:
        """See `Asker`."""
        self._finish(str(error))
        self.post(*encode_error(error))

    def item(self, payload: msgspec.Raw) -> None:
        """See `Asker`; the reader decodes it."""
        self._ahead -= 1
        if self._ahead < 0:
            raise WireError("it streams more items than its reader takes")
        attachments = arrived()
        self.post(kinds.SHARED_ITEM if attachments else kinds.ITEM, bytes(payload), attachments)

    def grant(self, count: int) -> None:
        """The reader takes more items.

        Raises:
            WireError: more than one window of items at once.
        """
        self._ahead += count
        if self._ahead > STREAM_CREDIT:
            raise WireError(f"it takes {self._ahead} items of a stream at once, the most is {STREAM_CREDIT}")
        self.credit(count)

    def let_go(self) -> None:
        """The asker no longer waits: withdraw what was sent."""
        self.gone = True
        self._finish("it was withdrawn")
        self.withdraw()

    def life_over(self) -> None:
        """The asker's life has ended: withdraw, except a tell that waits for room, which counts as sent."""
        if self._tells:
            self._finish()
        else:
            self.let_go()

    def _send(self, kind: int, payload: bytes) -> None:
        self._finish()
        self.post(kind, payload)

    def post(self, kind: int, payload: bytes, attachments: Sequence[Carried] = ()) -> None:
        """Send the life an answer, if it is still the one that asked."""
        if self._life is not None and self._life is self._requests.life:
            self._life.answer(encode(Answer(self.correlation, kind, msgspec.Raw(payload))), attachments)

    def _finish(self, error: str | None = None) -> None:
        self._requests.over(self.correlation, self)
        over, self.over = self.over, _nothing
        over()
        ended, self.ended = self.ended, _unseen
        ended(error)


def _nothing() -> None:
    pass


def _no_credit(count: int) -> None:
    del count


def _unseen(error: str | None) -> None:
    del error
