"""MessageSpans: the spans of the messages of one mailbox, as its lives report them, or as is known after their deaths.

    in the mailbox ─▶ begun ─▶ ended          queue: until the handler begins      handle: until it returns, or its
         └─ queue ─────┘└─ handle ─┘                                               process dies

They are made in the daemon when a message has ended, of the times that its outcome or the black box says. So the death
of a process loses no span. Nothing is kept of a message that is not sampled.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind
from opentelemetry.util.types import AttributeValue

from actors.exits import ExitReport
from actors.wire import kinds
from actors.wire.from_child import Failure, Outcome, Outcomes, Replies
from actors.wire.kinds import TELL
from actors.wire.progress import Progress
from actors.wire.traces import is_sampled
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.in_flight import InFlight
from supervisor.core.delivery.losses import LostMessage
from supervisor.core.delivery.messages import QueuedMessage
from supervisor.core.delivery.outcomes import FATES
from supervisor.core.delivery.queue import MessageQueue
from supervisor.mailbox.mailbox import Mailbox
from supervisor.ports.observers import Check
from supervisor.telemetry.trace_context import text_in
from supervisor.telemetry.tree_spans import HOW, Attributes, TreeSpans, described

_FLOWING: Final = frozenset({*kinds.ITEMS, kinds.WANT})  # outcomes after which the message goes on
_RETURNED: Final = frozenset({kinds.CANCELLED, kinds.EXPIRED, kinds.UNDECODABLE})
_WELL: Final = frozenset({Fate.HANDLED, Fate.HANDLED_UNANSWERED})


class _Open:
    """A sampled message that has not ended.

    Attributes:
        trace: its trace context.
        name: of its class.
        since: ns since which it waits.
        links: to the spans of the deliveries before.
        deliveries: how often it has been begun by lives that ended.
    """

    __slots__ = ("deliveries", "links", "name", "since", "trace")

    def __init__(self, trace: str, name: str, since: int) -> None:
        self.trace = trace
        self.name = name
        self.since = since
        self.links: list[Link] = []
        self.deliveries = 0


class MessageSpans:
    """The spans of the messages of one mailbox; its `supervisor.ports.observers.Tracer`.

    Args:
        spans: of the tree.
        mailbox: whose messages.
    """

    def __init__(self, spans: TreeSpans, mailbox: Mailbox) -> None:
        self._spans = spans
        self._now = spans.clock.monotonic_ns
        self._mailbox = mailbox
        self._open: dict[int, _Open] = {}  # by sequence number

    # ---- in

    def current(self) -> str | None:
        """See `Tracer`."""
        return text_in(self._spans.read())

    def checking(self, check: Check, turn_to: Callable[[str | None], None]) -> Check:
        """See `Tracer`."""
        read, unsampled = self._spans.read, self._spans.unsampled
        last: Context | None = None

        def checked(data: bytes) -> object:
            nonlocal last
            context = read()
            if context is not last:
                turn_to(unsampled(context))
                last = context
            return check(data)

        return checked

    def entered(self, seq: int, trace: str, name: str) -> None:
        """See `Tracer`."""
        if is_sampled(trace):
            self._open[seq] = _Open(trace, name, self._now())

    def accepted(self) -> None:
        """See `Observer`."""

    # ---- out

    def outcomes(self, queue: MessageQueue, member: str, frame: Outcomes | Replies) -> None:
        """See `Observer`."""
        if not self._open or isinstance(frame, Replies):  # what is sampled is answered one by one
            return
        flight, now = queue.flights.of(member), self._now()
        for outcome in frame.items:
            message = flight.messages.get(outcome.seq)
            if message is None or outcome.kind in _FLOWING or _comes_back(flight, outcome, message):
                continue
            opened = self._open.pop(message.seq, None)
            if opened is not None:
                self._ended(opened, message, member, outcome, now)

    def lost(self, losses: Sequence[LostMessage], progress: Progress | None, report: ExitReport) -> None:
        """See `Observer`."""
        if not self._open:
            return
        now, since = self._now(), 0 if progress is None else progress.since
        for loss in losses:
            opened = self._open.get(loss.message.seq)
            if opened is None or (loss.fate is None and not loss.deliveries):
                continue  # it was not begun, and waits as before
            if loss.fate is not None:
                del self._open[loss.message.seq]
            if loss.started is False:
                self._never_begun(opened, loss.message.seq, loss.fate or Fate.CANCELLED, now)
            else:
                self._cut_off(opened, loss, report, since, now)

    def dropped(self, seq: int, fate: Fate) -> None:
        """See `Tracer`."""
        opened = self._open.pop(seq, None)
        if opened is not None:
            self._never_begun(opened, seq, fate, self._now())

    # ---- spans

    def _ended(self, opened: _Open, message: QueuedMessage, member: str, outcome: Outcome, now: int) -> None:
        """A life has reported the end of a message."""
        fate = FATES.get(outcome.kind, Fate.HANDLED)
        if not outcome.began:
            self._never_begun(opened, message.seq, fate, now)
            return
        ended = min(now, outcome.ended or now)
        began = min(ended, max(opened.since, outcome.began))
        more: dict[str, AttributeValue] = {
            "actor.fate": fate.value,
            "actor.member": member,
            "actor.deliveries": opened.deliveries + 1,
        }
        pid = getattr(self._mailbox.consumers.served.get(member), "pid", None)
        if pid is not None:
            more["process.pid"] = pid
        error = None
        if outcome.kind in (kinds.FAILED, kinds.REJECTED):
            error = _failure(outcome, more)
        self._record_both(opened, message, (began, ended), more, error)

    def _never_begun(self, opened: _Open, seq: int, fate: Fate, now: int) -> None:
        self._record_queue(opened, seq, now, {"actor.fate": fate.value}, f"it was not begun: {fate.value}")

    def _cut_off(self, opened: _Open, loss: LostMessage, report: ExitReport, since: int, now: int) -> None:
        """A life died with a message that it had begun."""
        began = min(now, max(opened.since, since))
        opened.deliveries = loss.deliveries
        more: dict[str, AttributeValue] = {
            "actor.fate": "redelivered" if loss.fate is None else loss.fate.value,
            "actor.member": report.actor.removeprefix(f"{self._mailbox.path.rpartition('/')[0]}/"),
            "actor.deliveries": loss.deliveries,
            "actor.life": report.life,
            "actor.exit.kind": report.reason.kind.value,
            "actor.exit.reason": str(report.reason),
        }
        if report.pid is not None:
            more["process.pid"] = report.pid
        if report.signal is not None:
            more["actor.exit.signal"] = report.signal
        if report.exit_code is not None:
            more["actor.exit.code"] = report.exit_code
        well = loss.finished and loss.fate in _WELL
        error = None if well else str(report.reason)
        link = self._record_both(opened, loss.message, (began, began if loss.finished else now), more, error)
        opened.links, opened.since = [link], now

    def _record_both(
        self,
        opened: _Open,
        message: QueuedMessage,
        times: tuple[int, int],
        more: dict[str, AttributeValue],
        error: str | None,
    ) -> Link:
        """The spans of a message that was begun; returns a link to its handling."""
        name = opened.name
        more["messaging.message.id"] = str(message.seq)
        if message.sender is not None:
            more["actor.sender"] = message.sender
        self._record_queue(opened, message.seq, times[0], {})
        attributes = {**described("handle", name, HOW[message.kind], self._mailbox.path), **more}
        kind = SpanKind.CONSUMER if message.kind == TELL else SpanKind.SERVER
        span = self._spans.record(
            f"handle {name}", opened.trace, times, attributes, kind=kind, error=error, links=opened.links
        )
        return Link(span.get_span_context(), {"actor.link": "redelivery of"})

    def _record_queue(self, opened: _Open, seq: int, until: int, more: Attributes, error: str | None = None) -> None:
        name = opened.name
        attributes = {
            **described("queue", name, "message", self._mailbox.path),
            "messaging.message.id": str(seq),
            **more,
        }
        self._spans.record(f"queue {name}", opened.trace, (opened.since, until), attributes, error=error)


def _comes_back(flight: InFlight, outcome: Outcome, message: QueuedMessage) -> bool:
    """Whether a message was asked back and is queued again, not ended."""
    tag = outcome.seq
    asked = outcome.kind == kinds.CANCELLED and tag in flight.asked and message.seq not in flight.unwanted
    return asked or (outcome.kind in _RETURNED and tag in flight.returned)


def _failure(outcome: Outcome, attributes: dict[str, AttributeValue]) -> str:
    """What a handler has raised, in a line; its parts are added to the attributes."""
    try:
        if outcome.kind == kinds.REJECTED:
            return msgspec.msgpack.decode(outcome.payload, type=str)
        failure = msgspec.msgpack.decode(outcome.payload, type=Failure)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "its error does not decode"
    attributes["exception.type"] = failure.type_name
    attributes["exception.message"] = failure.message
    attributes["exception.stacktrace"] = failure.traceback
    return f"{failure.type_name}: {failure.message}" if failure.message else failure.type_name
