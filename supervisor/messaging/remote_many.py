"""RemoteMany: an actor that waits for the ends of the asks of one call; `post_tells`, for its tells to be taken.

    post ─▶ Bulk.post ─▶ ends, as they come ─▶ Answer(ENDS), ..., Answer(ACCEPTED)
    post_tells ─▶ Bulk.post ─▶ Answer(ACCEPTED), or Answer(ENDS) for what was taken and an Answer why not more

Replies are passed on as their bytes. Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.errors import ActorsError
from actors.protocol.protocol import Handler
from actors.wire import kinds
from actors.wire.codec import encode
from actors.wire.errors import encode_error
from actors.wire.framing import LARGE, Carried
from actors.wire.from_child import SendMany
from actors.wire.kinds import ASK, NOTHING, TELL
from actors.wire.to_child import End
from supervisor.core.delivery.fates import fate_of_withdrawn
from supervisor.core.delivery.parcel import Parcel, cut_array
from supervisor.mailbox.intake.bulk import BulkCall, Part
from supervisor.mailbox.mailbox import Mailbox
from supervisor.mailbox.many import ReadAll
from supervisor.messaging.remote_ask import RemoteAsk


class RemoteMany:
    """One call.

    Args:
        asker: gets the answer.
        mailbox: of the receiver.
        parts: the messages, checked.
    """

    def __init__(self, asker: RemoteAsk, mailbox: Mailbox, parts: Sequence[Part]) -> None:
        self._asker = asker
        self._mailbox = mailbox
        self._parts = parts
        self._open = {index for part in parts for index in _indices(part)}
        self._numbers: dict[int, int] = {}  # of what is in the mailbox, by index
        self._ends: list[End] = []  # what the actor does not know yet
        self._bytes = 0  # of their payloads

    async def post(self, frame: SendMany, sender: str) -> None:
        """Put the messages into the mailbox."""
        if self._asker.gone:  # it was withdrawn before this has begun
            return
        call = BulkCall(ASK, sender, frame.deadline, self, fail_if_down=frame.fail_if_down)
        task = asyncio.current_task()
        if task is not None:
            self._asker.withdraw = lambda: self._withdraw(task, frame.deadline)
        error: ActorsError
        try:
            await self._mailbox.bulk.post(self._parts, call)
        except TimeoutError as late:
            error = self._mailbox.not_taken("all of these messages", None, late)
        except ActorsError as refused:
            error = refused
        else:
            self._settle()
            return
        for index in self._open - self._numbers.keys():
            self.failed(index, error)
        self._settle()

    def _withdraw(self, task: asyncio.Task[Any], deadline: float | None) -> None:
        """The actor no longer waits, or its life has ended: what has not begun will not begin."""
        task.cancel()
        numbers = [self._numbers[index] for index in self._open if index in self._numbers]
        fate = fate_of_withdrawn(deadline, self._mailbox.capacity.clock())
        self._mailbox.dispatcher.withdraw_all(numbers, fate)

    # ---- as a ManyAsker

    def read_all(self, handlers: set[Handler]) -> ReadAll | None:
        """See `ManyAsker`: the replies stay bytes."""
        del handlers
        return cut_array

    def sent(self, index: int, first: int, count: int) -> None:
        """See `ManyAsker`."""
        self._numbers.update(zip(range(index, index + count), range(first, first + count), strict=True))

    def replied(self, index: int, payload: msgspec.Raw) -> None:
        """See `ManyAsker`."""
        self._end(index, kinds.REPLY, payload)

    def replied_with(self, index: int, values: list[Any]) -> None:
        """See `ManyAsker`."""
        for at, payload in enumerate(values, index):
            self._end(at, kinds.REPLY, payload)

    def replied_beside(self, index: int, attachment: Carried) -> None:
        """See `ManyAsker`."""
        self._end(index, kinds.REPLY, msgspec.Raw(encode(attachment.value)))

    def failed(self, index: int, error: ActorsError) -> None:
        """See `ManyAsker`."""
        kind, payload = encode_error(error)
        self._end(index, kind, msgspec.Raw(payload))

    def _end(self, index: int, kind: int, payload: msgspec.Raw) -> None:
        if index not in self._open:
            return
        self._open.discard(index)
        if not self._ends:
            asyncio.get_running_loop().call_soon(self._settle)
        self._ends.append(End(index, kind, payload))
        self._bytes += memoryview(payload).nbytes
        if self._bytes >= LARGE:
            self._settle()

    def _settle(self) -> None:
        """Tell the actor what has ended, and when that is all."""
        if self._ends:
            ends, self._ends, self._bytes = self._ends, [], 0
            self._asker.post(kinds.ENDS, encode(ends))
            if not self._open:
                self._asker.accepted()


async def post_tells(asker: RemoteAsk, mailbox: Mailbox, parts: Sequence[Part], sender: str) -> None:
    """Put the tells of one call of an actor into a mailbox.

    It hears how many were taken where not all are, also of a call that it withdraws. When it has ended, all of them
    count as sent: those that are refused become dead letters.
    """
    call, task = BulkCall(TELL, sender), asyncio.current_task()
    if task is not None:
        asker.withdraw = task.cancel
    if asker.gone:  # it was withdrawn before this has begun
        asker.post(kinds.CANCELLED, bytes(NOTHING))
        return
    try:
        await mailbox.bulk.post(parts, call)
    except asyncio.CancelledError:
        _tell_taken(asker, call)
        asker.post(kinds.CANCELLED, bytes(NOTHING))
        raise
    except ActorsError as error:
        if asker.heard:
            _tell_taken(asker, call)
            asker.failed(error)
            return
        for index, message in mailbox.bulk.singles(parts):
            if index >= call.taken:
                mailbox.intake.refuse(message.packed, sender, mailbox.intake.fate_of(error), str(error))
    else:
        asker.accepted()


def _tell_taken(asker: RemoteAsk, call: BulkCall) -> None:
    asker.post(kinds.ENDS, encode([End(index, kinds.ACCEPTED, NOTHING) for index in range(call.taken)]))


def _indices(part: Part) -> range:
    count = part.content.count if isinstance(part.content, Parcel) else 1
    return range(part.index, part.index + count)
