"""RemoteAsk: an actor that waits for the end of an ask, for a tell to be accepted, or for the end of another actor.

    RemoteAsks, those of one life, by correlation number ─▶ RemoteAsk ─▶ Answer

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from actors.errors import ActorsError, MailboxFull, WireError
from actors.ref import STREAM_CREDIT, credit_of
from actors.wire import kinds
from actors.wire.attachments import arrived
from actors.wire.codec import encode
from actors.wire.errors import encode_error
from actors.wire.framing import Carried
from actors.wire.from_child import Send, SendMany, Watch
from actors.wire.kinds import NOTHING, STREAM, TELL
from actors.wire.to_child import Answer
from supervisor.ports.life import Delivery

MAX_ASKS: Final = 65_536  # asks, streams, watches and awaited tells of one life at the same time


class RemoteAsks:
    """What waits in one life of an actor.

    Args:
        path: of its process.
        life: gets the answers.

    Attributes:
        life: as above; None when it has ended.
    """

    def __init__(self, path: str, life: Delivery | None) -> None:
        self.life = life
        self._path = path
        self._waiting: dict[int, RemoteAsk] = {}  # by correlation

    def begin(self, asker: RemoteAsk) -> None:
        """A call in the life waits from now on.

        Raises:
            WireError: its correlation number is in use.
            MailboxFull: as many wait as may.
        """
        number = asker.correlation
        if number in self._waiting:
            raise WireError(f"two of it wait under the number {number}")
        if len(self._waiting) >= MAX_ASKS:
            raise MailboxFull(f"{self._path} waits for {MAX_ASKS} answers, which is the most; wait for some of them")
        self._waiting[number] = asker

    def over(self, correlation: int, asker: RemoteAsk) -> None:
        """One has ended; its correlation number is free again."""
        if self._waiting.get(correlation) is asker:
            del self._waiting[correlation]

    def grant(self, correlation: int, count: int) -> None:
        """The reader of a stream takes more items; of one that has ended it may say so, too late.

        Raises:
            WireError: more than one window of items at once.
        """
        asker = self._waiting.get(correlation)
        if asker is not None:
            asker.grant(count)

    def withdraw(self, correlation: int) -> None:
        """One no longer waits."""
        asker = self._waiting.get(correlation)
        if asker is not None:
            asker.let_go()

    def end(self) -> None:
        """The life has ended."""
        self.life = None
        for asker in tuple(self._waiting.values()):
            asker.life_over()


class RemoteAsk:
    """An actor that waits for the end of an ask, or for a tell to be accepted.

    The answer goes to the life that asked, or nowhere.
    """

    def __init__(self, asks: RemoteAsks, frame: Send | SendMany | Watch) -> None:
        self._asks = asks
        self._life = asks.life
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

    def replied_beside(self, attachment: Carried) -> None:
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
        if self._ahead <= 0:
            raise WireError("it streams more items than its reader takes")
        attachments = arrived()
        self._ahead -= credit_of(attachments)
        self.post(kinds.SHARED_ITEM if attachments else kinds.ITEM, bytes(payload), attachments)

    def broken(self, error: ActorsError) -> None:
        """See `StreamSink`."""
        self.failed(error)
        self.withdraw()

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

    @property
    def heard(self) -> bool:
        """Whether the life that asked is there to hear of the end."""
        return self._asks.life is not None

    def post(self, kind: int, payload: bytes, attachments: Sequence[Carried] = ()) -> None:
        """Send the life an answer, if it is still the one that asked."""
        if self._life is not None and self._life is self._asks.life:
            self._life.answer(encode(Answer(self.correlation, kind, msgspec.Raw(payload))), attachments)

    def _finish(self, error: str | None = None) -> None:
        self._asks.over(self.correlation, self)
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
