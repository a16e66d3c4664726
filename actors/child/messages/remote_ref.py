"""RemoteRef: how an actor sends to other actors; everything goes through the daemon.

The sender encodes, the daemon routes, the receiver decodes; no two actors share a descriptor.

Runs in the actor's process. `tell_nowait` works in every thread; what waits, in the thread of the handlers alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import Any, TypeVar

import msgspec

from actors.bounds import check_time
from actors.child.messages.calls import Calls, LargeAnswer, SentMany, SharedAnswer
from actors.child.messages.chunks import Chunk, chunks
from actors.child.messages.passing import shared
from actors.errors import ActorsError, AskTimeout, UsageError
from actors.messages import Fed, Message, Terminated, item_type, name_of, reply_type
from actors.protocol.protocol import no_message, sent_by_actor
from actors.ref import (
    ASK_TIMEOUT,
    STREAM_CREDIT,
    ActorRef,
    WhenDown,
    check_ask,
    check_key,
    credit_of,
    listed,
    note_taken,
)
from actors.wire import kinds
from actors.wire.attachments import EncodedMessage, decode_sharing
from actors.wire.codec import ReplyCodec, encode, reply_codec
from actors.wire.errors import decode_error
from actors.wire.framing import MAX_MESSAGE
from actors.wire.from_child import BulkKind, MoreItems, Send, SendKind, SendMany, Watch
from actors.wire.kinds import ASK, STREAM, TELL
from actors.wire.to_child import Answer

R = TypeVar("R")
T = TypeVar("T")


class RemoteRef(ActorRef):
    """The ref of another actor (or this one) in an actor's process."""

    __slots__ = ("_transport",)

    def __init__(self, path: str, transport: Calls) -> None:
        super().__init__(path)
        self._transport = transport

    async def ask(
        self,
        message: Message[R],
        *,
        timeout: float | None = ASK_TIMEOUT,
        when_down: WhenDown = "wait",
        key: str | None = None,
    ) -> R:
        """As `ActorRef.ask`; only from async handlers. Ends no later than the deadline of the asking handler."""
        self._transport.check_thread("ref.ask")
        check_ask(self.path, timeout, when_down)
        check_key(self.path, key)
        until = self._until(timeout)
        blocks = self._transport.blocks()
        correlation = self._send(message, ASK, until, fail_if_down=when_down == "fail", blocking=blocks, key=key)
        try:
            answer = await self._transport.answer(correlation, until)
        except TimeoutError:
            raise self._too_late(message, timeout) from None
        reply: R = _open(answer, reply_type(type(message)))
        return reply

    def call(self, message: Message[R], *, timeout: float | None = ASK_TIMEOUT) -> R:
        """As `ActorRef.call`; only from sync handlers. Ends no later than the deadline of the calling handler."""
        self._transport.check_thread("ref.call")
        check_ask(self.path, timeout)
        until = self._until(timeout)
        correlation = self._send(message, ASK, until, blocking=True)
        try:
            answer = self._transport.block(correlation, until)
        except TimeoutError:
            raise self._too_late(message, timeout) from None
        reply: R = _open(answer, reply_type(type(message)))
        return reply

    async def stream(
        self, message: Message[AsyncIterator[T]], *, timeout: float | None = None
    ) -> AsyncGenerator[T, None]:
        """As `ActorRef.stream`; only from async handlers."""
        self._transport.check_thread("ref.stream")
        check_ask(self.path, timeout)
        transport, codec = self._transport, reply_codec(item_type(type(message)))
        correlation = self._send(message, STREAM, transport.deadline(), blocking=transport.blocks())
        taken = 0
        async with aclosing(transport.answers(correlation, timeout)) as answers:
            while True:
                try:
                    answer = await anext(answers)
                except TimeoutError:
                    late = f"{self.path} sent no further item of {name_of(message)} within {timeout} s"
                    raise AskTimeout(late) from None
                if answer.kind not in kinds.ITEMS:
                    _open(answer, None)
                    return
                yield _decoded(answer, codec)
                taken += credit_of(answer.attachments) if isinstance(answer, SharedAnswer) else 1
                if taken >= STREAM_CREDIT // 2:
                    transport.send(encode(MoreItems(correlation, taken)))
                    taken = 0

    async def feed(self, message: Fed[R, T], items: AsyncIterable[T] | Iterable[T]) -> R:
        """Refused: only the daemon feeds. An actor sends several messages instead."""
        del items
        raise UsageError(f"{name_of(message)} cannot be fed from inside an actor; send its items as messages")

    async def tell(self, message: Message[Any], *, delay: float = 0.0, key: str | None = None) -> None:
        """As `ActorRef.tell`; only from async handlers. Returns when the mailbox has accepted the message."""
        self._transport.check_thread("ref.tell")
        if delay != 0.0:
            check_time(f"delay of tell to {self.path}", delay)
        check_key(self.path, key)
        correlation = self._send(message, TELL, None, delay=delay, key=key)
        _open(await self._transport.answer(correlation, None), None)

    async def tell_many(self, messages: Iterable[Message[Any]]) -> None:
        """As `ActorRef.tell_many`; only from async handlers. Messages are checked and taken by the thousand."""
        self._transport.check_thread("ref.tell_many")
        taken = 0
        try:
            for chunk in chunks(listed(self.path, messages)):
                if isinstance(chunk, Message):
                    await self._tell_one(chunk, taken)
                    taken += 1
                    continue
                with self._sent_many(chunk, TELL, None, first=taken) as sent:
                    try:
                        answer = await self._transport.answer(sent.correlation, None)
                    except BaseException as error:
                        if not isinstance(error, GeneratorExit):  # a coroutine that is closed tells nobody
                            self._transport.settle(sent)
                        raise
                    finally:
                        taken += sent.taken
                _open(answer, None)
        except BaseException as error:
            note_taken(error, taken)
            raise

    async def _tell_one(self, message: Message[Any], index: int) -> None:
        try:
            await self.tell(message)
        except UsageError as error:
            raise UsageError(f"message {index} of this call: {error}") from None

    async def ask_many(
        self, messages: Iterable[Message[R]], *, timeout: float | None = ASK_TIMEOUT, when_down: WhenDown = "wait"
    ) -> list[R | ActorsError]:
        """As `ActorRef.ask_many`; only from async handlers. Ends no later than the deadline of the asking handler."""
        self._transport.check_thread("ref.ask_many")
        check_ask(self.path, timeout, when_down)
        results: list[R | ActorsError] = []
        until = self._until(timeout)
        for chunk in chunks(listed(self.path, messages)):
            if isinstance(chunk, Message):
                results.append(await self._settled(chunk, until, when_down))
                continue
            blocking, fails = self._transport.blocks(), when_down == "fail"
            sending = self._sent_many(chunk, ASK, until, fail_if_down=fails, blocking=blocking, first=len(results))
            with sending as sent, suppress(TimeoutError):
                await self._transport.answer(sent.correlation, until)
            results += self._results(sent, timeout)
        return results

    async def _settled(self, message: Message[R], until: float | None, when_down: WhenDown) -> R | ActorsError:
        left = None if until is None else max(0.0, until - self._transport.now())
        try:
            return await self.ask(message, timeout=left, when_down=when_down)
        except ActorsError as error:
            return error

    def call_many(
        self, messages: Iterable[Message[R]], *, timeout: float | None = ASK_TIMEOUT
    ) -> list[R | ActorsError]:
        """As `ActorRef.call_many`; only from sync handlers. Ends no later than the deadline of the calling handler."""
        self._transport.check_thread("ref.call_many")
        check_ask(self.path, timeout)
        results: list[R | ActorsError] = []
        until = self._until(timeout)
        for chunk in chunks(listed(self.path, messages)):
            if isinstance(chunk, Message):
                left = None if until is None else max(0.0, until - self._transport.now())
                results += super().call_many([chunk], timeout=left)
                continue
            sending = self._sent_many(chunk, ASK, until, blocking=True, first=len(results))
            with sending as sent, suppress(TimeoutError):
                self._transport.block(sent.correlation, until)
            results += self._results(sent, timeout)
        return results

    @contextmanager
    def _sent_many(
        self,
        messages: Chunk,
        kind: BulkKind,
        until: float | None,
        *,
        first: int,
        fail_if_down: bool = False,
        blocking: bool = False,
    ) -> Iterator[SentMany]:
        """Send messages of a call together, from this index on."""
        number = self._transport.correlate()
        sent = self._transport.many[number] = SentMany(number, messages)
        raw = msgspec.Raw(messages.encoded)
        try:
            trace = self._transport.trace()
            options = (until, fail_if_down, blocking)
            self._transport.send(encode(SendMany(self.path, kind, number, *options, raw, trace, first)))
            yield sent
        finally:
            del self._transport.many[number]

    def _results(self, sent: SentMany, timeout: float | None) -> list[Any]:
        """What became of each message, by its index."""
        messages, answer = sent.messages, sent.answer
        results: list[Any] = [None] * len(messages)
        missing = set(range(len(messages)))
        for end in sent.ends:
            missing.discard(end.index)
            if end.kind == kinds.REPLY:
                results[end.index] = reply_codec(reply_type(type(messages[end.index]))).decode(end.payload)
            else:
                results[end.index] = decode_error(end.kind, end.payload)
        for index in missing:
            refused = answer is not None and answer.kind != kinds.ACCEPTED
            error = decode_error(answer.kind, answer.payload) if answer is not None and refused else None
            if isinstance(error, UsageError):
                raise error
            results[index] = error or self._too_late(messages[index], timeout)
        return results

    def tell_nowait(self, message: Message[Any]) -> None:
        """As `ActorRef.tell_nowait`, but a full mailbox, which cannot be seen from here, makes a dead letter."""
        self._post(message, TELL, 0)

    async def terminated(self) -> Terminated:
        """As `ActorRef.terminated`; only from async handlers."""
        self._transport.check_thread("ref.terminated")
        correlation = self._transport.correlate()
        self._transport.send(encode(Watch(self.path, correlation)))
        end: Terminated = _open(await self._transport.answer(correlation, None), Terminated)
        return end

    def _send(
        self,
        message: Message[Any],
        kind: SendKind,
        until: float | None,
        *,
        delay: float = 0.0,
        fail_if_down: bool = False,
        blocking: bool = False,
        key: str | None = None,
    ) -> int:
        correlation = self._transport.correlate()
        self._post(
            message, kind, correlation, until, delay=delay, fail_if_down=fail_if_down, blocking=blocking, key=key
        )
        return correlation

    def _post(
        self,
        message: Message[Any],
        kind: SendKind,
        correlation: int,
        until: float | None = None,
        *,
        delay: float = 0.0,
        fail_if_down: bool = False,
        blocking: bool = False,
        key: str | None = None,
    ) -> None:
        packed = _pack(message)
        raw = msgspec.Raw(packed.data)
        options = (until, delay, fail_if_down, blocking)
        frame = Send(self.path, kind, correlation, *options, raw, packed.beside, key, self._transport.trace())
        self._transport.send(encode(frame), shared(packed.attachments or ()))

    def _until(self, timeout: float | None) -> float | None:
        """When an ask ends: after its timeout, or at the deadline of the asking handler."""
        inherited = self._transport.deadline()
        if timeout is None:
            return inherited
        own = self._transport.now() + timeout
        return own if inherited is None else min(own, inherited)

    def _too_late(self, message: Message[Any], timeout: float | None) -> AskTimeout:
        deadline, within = self._transport.deadline(), f"within {timeout} s"
        if deadline is not None and deadline <= self._transport.now():
            within = "before the deadline of the message being handled, whose own asker waits no longer"
        return AskTimeout(f"{self.path} did not answer {name_of(message)} {within}")


def _pack(message: Message[Any]) -> EncodedMessage:
    if not isinstance(message, Message):
        raise UsageError(no_message(message))
    packed = sent_by_actor(message)
    if packed.size > MAX_MESSAGE:
        raise UsageError(f"{name_of(message)} has {packed.size} bytes, the most is {MAX_MESSAGE}")
    return packed


def _open(answer: Answer, promised: Any) -> Any:
    if isinstance(answer, LargeAnswer):
        return answer.attachment.value
    if answer.kind in (kinds.REPLY, kinds.SHARED_REPLY):
        return _decoded(answer, reply_codec(promised))
    if answer.kind == kinds.ACCEPTED:
        return None
    raise decode_error(answer.kind, answer.payload)


def _decoded(answer: Answer, codec: ReplyCodec) -> Any:
    """The reply or the item in an answer."""
    if isinstance(answer, SharedAnswer):
        return decode_sharing(codec.decode, answer.payload, answer.attachments)
    return codec.decode(answer.payload)
