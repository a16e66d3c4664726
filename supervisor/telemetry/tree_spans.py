"""TreeSpans: the spans of what is sent in one tree, and what their recorders share.

A span of a send lasts until its sender waits no longer. It is begun where a message is sent: by `TracedRef` for the
daemon, and for an actor when its request arrives in the daemon.

Runs on the loop's thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from actors.child.messages.driver import Clock
from actors.child.spans import current_context
from actors.wire.from_child import Send, SendMany
from actors.wire.kinds import ASK, FEED, STREAM, TELL
from actors.wire.traces import is_sampled
from supervisor.telemetry.trace_context import begins_traces, context_of, text_in

_EXACT: Final = 20_000  # ns; between two readings without an interruption
_SHIFT: Final = 100_000  # ns; that a wall clock may drift before that is followed
HOW: Final = {TELL: "tell", ASK: "ask", STREAM: "stream", FEED: "feed"}

Attributes = Mapping[str, AttributeValue]


class NeedsSpan(Exception):
    """A message needs a span, so the fast path does not take it."""


class TreeSpans:
    """The spans of one tree.

    Args:
        provider: makes the tracer.
        clock: of the tree.

    Attributes:
        read: returns the current context of the OpenTelemetry API.
    """

    def __init__(self, provider: trace.TracerProvider, clock: Clock) -> None:
        self.read = current_context()
        self.clock = clock
        self._tracer: Tracer = provider.get_tracer("supervisor")
        self._begins = begins_traces(provider)
        self._clocks = Clocks(clock)
        self._unsampled: Span | None = None  # stands for all sends that begin a trace and are not sampled

    # ---- in which trace

    def unsampled(self, context: Context) -> str | None:
        """The trace context of a message that is sent in that context and needs no span; None outside of any trace.

        Raises:
            NeedsSpan: it needs one: the span that is there is sampled, or there is none and the send begins a trace.
        """
        current = trace.get_current_span(context).get_span_context()
        if current.trace_flags.sampled or (self._begins and not current.is_valid):
            raise NeedsSpan
        return text_in(context)

    def _records(self) -> bool:
        current = trace.get_current_span().get_span_context()
        return current.trace_flags.sampled or (self._begins and not current.is_valid)

    # ---- spans of the daemon's sends

    @contextmanager
    def sending(self, what: str, how: str, to: str, count: int = 1) -> Iterator[None]:
        """Inside of the span of a send; of none where nothing is recorded.

        Args:
            what: name of the message's class.
            how: tell, ask, stream, feed, run.
            to: path of the receiver.
            count: how many messages it sends.
        """
        if not self._records():
            yield
            return
        with trace.use_span(self._begin_here(what, how, to, count), end_on_exit=True):
            yield

    @contextmanager
    def flowing(self, what: str, to: str) -> Iterator[Span | None]:
        """The span of a stream, as long as it is read; it is not the current one. None where nothing is recorded."""
        if not self._records():
            yield None
            return
        span = self._begin_here(what, "stream", to, 1)
        try:
            yield span
        except Exception as error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
            raise
        finally:
            span.end()

    def _begin_here(self, what: str, how: str, to: str, count: int) -> Span:
        """Begin the span of a send, in the current context."""
        span = self._begin(self.read(), what, how, to, count)
        if not span.get_span_context().trace_flags.sampled:
            self._unsampled = span = self._unsampled or span
        return span

    def _begin(  # noqa: PLR0917 - as a span has them
        self, parent: Context, what: str, how: str, to: str, count: int, sender: str | None = None
    ) -> Span:
        attributes: dict[str, AttributeValue] = {**described("send", what, how, to)}
        if count != 1:
            attributes["messaging.batch.message_count"] = count
        if sender is not None:
            attributes["actor.sender"] = sender
        kind = SpanKind.PRODUCER if how == "tell" else SpanKind.CLIENT
        return self._tracer.start_span(f"send {what}", parent, kind, attributes)

    # ---- of actors' sends

    def sent(self, frame: Send | SendMany, sender: str) -> ActorSending | None:
        """See `supervisor.messaging.tracing.Tracing`."""
        if not (self._begins if frame.trace is None else is_sampled(frame.trace)):
            return None
        try:
            names = _names(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            names = []
        what = names[0] if len(set(names)) == 1 else "messages"
        parent = context_of(frame.trace)
        return ActorSending(self._begin(parent, what, HOW[frame.kind], frame.to, max(1, len(names)), sender))

    # ---- of what has happened

    def record(
        self,
        name: str,
        trace_text: str,
        times: tuple[int, int],
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        error: str | None = None,
        links: list[Link] | None = None,
    ) -> Span:
        """A span that has ended.

        Args:
            name: of the span.
            trace_text: trace context of its parent.
            times: its begin and end, in ns of the tree's clock.
            attributes: what is known of it.
            kind: of the span.
            error: what went wrong, None when nothing did.
            links: to other spans.
        """
        (begin, end), ahead = times, self._clocks.ahead()
        span = self._tracer.start_span(
            name, context_of(trace_text), kind, {**attributes}, links, start_time=begin + ahead
        )
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(end + ahead)
        return span


class ActorSending:
    """The span of what an actor sends; see `supervisor.messaging.tracing.Sending`."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.trace = text_in(trace.set_span_in_context(span, Context())) or ""

    def end(self, error: str | None) -> None:
        """See `Sending`."""
        if error is not None:
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end()


def described(operation: str, what: str, how: str, path: str) -> Attributes:
    """The attributes that all spans of a message have, with OpenTelemetry's names where it has some."""
    return {
        "messaging.system": "actors",
        "messaging.operation.name": operation,
        "messaging.destination.name": path,
        "actor.message": what,
        "actor.kind": how,
    }


class Clocks:
    """By how much the clock of spans is ahead of a tree's.

    It is the same as long as it is nearly so: spans that follow each other do not overlap for two readings' difference.

    Args:
        clock: of the tree.
    """

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic_ns
        self._ahead = time.time_ns() - self._now()

    def ahead(self) -> int:
        """Ns."""
        before, wall, after = self._now(), time.time_ns(), self._now()
        if after - before < _EXACT and abs(wall - before - self._ahead) > _SHIFT:  # the wall clock was set
            self._ahead = wall - before
        return self._ahead


class _Tagged(msgspec.Struct, array_like=True):
    """The head of a message's bytes."""

    tag: str | int


_read_one: Final = msgspec.msgpack.Decoder(_Tagged).decode
_read_many: Final = msgspec.msgpack.Decoder(list[_Tagged]).decode


def _names(frame: Send | SendMany) -> list[str]:
    """The names under which the messages travel."""
    tagged = [_read_one(frame.message)] if isinstance(frame, Send) else _read_many(frame.messages)
    return [str(one.tag) for one in tagged]
