"""Asks of durable actors: what their askers hear is stored first.

`HeldAsk` is around one asker. `KeyedAsk` is the asker of a message with a key, for all that have asked with it.

Used on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import msgspec

from actors.errors import ActorCrashed, ActorsError, AskTimeout
from actors.wire import kinds
from actors.wire.codec import encode
from actors.wire.errors import decode_error
from actors.wire.framing import Carried
from supervisor.core.delivery.outcomes import unreadable
from supervisor.durable.stored import StoredMailbox
from supervisor.mailbox.askers import Asker, FeedSource, PendingAsk, StreamSink


class DurableAsk(PendingAsk):
    """As `PendingAsk`; its future ends when that is stored.

    Attributes:
        held: the mailbox's side of the store, None while nothing has been sent.
    """

    held: StoredMailbox | None = None

    def replied(self, payload: msgspec.Raw) -> None:
        """See `Asker`; what does not decode is refused before it is stored."""
        value = self.read(payload)
        _then(self.held, lambda: None if self.future.done() else self.future.set_result(value))

    def replied_beside(self, attachment: Carried) -> None:
        """See `Asker`."""
        _then(self.held, lambda: None if self.future.done() else self.future.set_result(attachment.value))

    def failed(self, error: ActorsError) -> None:
        """See `Asker`."""
        _then(self.held, lambda: None if self.future.done() else self.future.set_exception(error))


class HeldAsk:
    """An asker of another kind. Items flow at once; the end waits until it is stored."""

    def __init__(self, asker: Asker, held: StoredMailbox) -> None:
        self._asker = asker
        self._held = held

    def replied(self, payload: msgspec.Raw) -> None:
        """See `Asker`."""
        kept = msgspec.Raw(bytes(payload))
        self._held.then(lambda: end(self._asker, "", kinds.REPLY, kept))

    def replied_beside(self, attachment: Carried) -> None:
        """See `Asker`."""
        self._held.then(lambda: self._asker.replied_beside(attachment))

    def failed(self, error: ActorsError) -> None:
        """See `Asker`."""
        self._held.then(lambda: self._asker.failed(error))

    def item(self, payload: msgspec.Raw) -> None:
        """See `StreamSink`."""
        cast("StreamSink", self._asker).item(payload)

    def wants(self, count: int) -> None:
        """See `FeedSource`."""
        cast("FeedSource", self._asker).wants(count)


class KeyedAsk:
    """All that wait for the outcome of one key. The message ends as it does, also when they go away.

    Args:
        path: of the actor.
        on_end: called when the outcome is known.
    """

    def __init__(self, path: str, on_end: Callable[[], None]) -> None:
        self._path = path
        self.entered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.entered.add_done_callback(lambda number: number.cancelled() or number.exception())
        self._waiting: list[Asker] = []
        self._timers: list[asyncio.TimerHandle] = []
        self._on_end = on_end

    @property
    def awaited(self) -> bool:
        """Whether somebody waits; who waited has been told otherwise."""
        return bool(self._waiting)

    def join(self, asker: Asker, now: float) -> None:
        """Wait, too; a `PendingAsk` until its deadline."""
        self._waiting.append(asker)
        if isinstance(asker, PendingAsk) and asker.deadline is not None:
            late = AskTimeout(
                f"{asker.path} did not answer {asker.name} within {asker.timeout} s; it is not withdrawn: the same key "
                f"gets its outcome later",
                started=None,
            )
            left = max(0.0, asker.deadline - now)
            self._timers.append(asyncio.get_running_loop().call_later(left, self._leave, asker, late))

    def replied(self, payload: msgspec.Raw) -> None:
        """See `Asker`."""
        self.ended(kinds.REPLY, msgspec.Raw(bytes(payload)))

    def replied_beside(self, attachment: Carried) -> None:
        """See `Asker`."""
        self.ended(kinds.REPLY, msgspec.Raw(encode(bytes(attachment.value))))

    def failed(self, error: ActorsError) -> None:
        """See `Asker`."""
        waiting = self._end()
        for asker in waiting:
            asker.failed(error)

    def ended(self, kind: int, payload: msgspec.Raw) -> None:
        """This is the outcome."""
        for asker in self._end():
            end(asker, self._path, kind, payload)

    def forget(self) -> None:
        """The message could not be stored: its senders hear that by themselves."""
        self._end()

    def _end(self) -> list[Asker]:
        self._on_end()
        for timer in self._timers:  # each would keep what was asked and answered until its time
            timer.cancel()
        self._timers.clear()
        waiting, self._waiting = self._waiting, []
        return waiting

    def _leave(self, asker: Asker, late: AskTimeout) -> None:
        if asker in self._waiting:
            self._waiting.remove(asker)
            asker.failed(late)


def end(asker: Asker, path: str, kind: int, payload: msgspec.Raw) -> None:
    """Tell an asker an outcome of an actor; one that it cannot read is an error."""
    try:
        if kind in (kinds.REPLY, kinds.BESIDE, kinds.DONE):
            asker.replied(payload)
        elif kind == kinds.UNDECODABLE:  # of a stored message: its actor could not read it
            asker.failed(unreadable(path, msgspec.msgpack.decode(payload, type=str)))
        else:
            asker.failed(decode_error(kind, payload))
    except Exception as error:  # the bytes may be of another version, a codec may raise anything
        if kind == kinds.DONE:
            why = "the first message with this key was a tell, which keeps no reply; it was handled"
        else:
            why = (
                f"the stored reply to the first message with this key does not decode as one to this message, which "
                f"was not handled: {error}"
            )
        asker.failed(ActorCrashed(why, started=True, finished=True))


def _then(held: StoredMailbox | None, effect: Callable[[], None]) -> None:
    if held is None:
        effect()
    else:
        held.then(effect)
