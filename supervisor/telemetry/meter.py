"""Meter: how long the messages of one mailbox wait, and how long asks take.

Times are kept by batch, not by message: when a batch was accepted, and when the last of those that an actor
acknowledges together began. In between they are spaced evenly; that is off by a millisecond, or by one handler, at
most. An ask is measured by itself; of eight that are answered in one frame, the first, for all. What is
counted is exact in all cases.

Runs on the loop's thread.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from weakref import proxy

from actors.exits import ExitReport
from actors.wire.from_child import Outcome, Outcomes, Replies
from actors.wire.kinds import ASK, BESIDE, FAILED, REJECTED, REPLY
from actors.wire.progress import Progress
from supervisor.core.delivery.in_flight import InFlight
from supervisor.core.delivery.losses import LostMessage
from supervisor.core.delivery.queue import MessageQueue
from supervisor.mailbox.askers import PendingAsk
from supervisor.mailbox.mailbox import Mailbox
from supervisor.telemetry.histogram import MANY, Histogram

_ANSWERS: Final = frozenset({REPLY, BESIDE, FAILED, REJECTED})
_UNASKED: Final = (None, None)
_STRIDE: Final = 8  # asks, next to each other in one frame, of which the first is measured for all
_MOST: Final = 4096  # batches whose time is remembered; of more, every second one

Runs = list[tuple[float | None, int]]
"""Messages by the time at which they were accepted, in seconds: that, and how many."""


class Marks:
    """When messages were accepted: each mark says that those with lower numbers were, by then."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._times: list[float] = []

    def note(self, following: int, now: float) -> None:
        """All messages below that number are accepted."""
        if self._numbers and self._numbers[-1] >= following:
            return
        self._numbers.append(following)
        self._times.append(now)
        if len(self._numbers) > _MOST:
            del self._numbers[:-2:2], self._times[:-2:2]

    @property
    def many(self) -> bool:
        """Whether it is worth to forget some."""
        return len(self._numbers) > _MOST // 64

    def time_of(self, seq: int) -> float | None:
        """When a message was accepted, None when that is not known."""
        at = bisect_right(self._numbers, seq)
        return self._times[at] if at < len(self._times) else None

    def runs(self, first: int, last: int) -> Runs:
        """The messages from `first` to `last` by the time at which they were accepted: that, and how many."""
        found: Runs = []
        at = bisect_right(self._numbers, first)
        while first <= last:
            known = at < len(self._numbers)
            following = min(last + 1, self._numbers[at]) if known else last + 1
            found.append((self._times[at] if known else None, following - first))
            first, at = following, at + 1
        return found

    def forget(self, seq: int) -> None:
        """Messages below that number have ended."""
        at = bisect_right(self._numbers, seq)
        del self._numbers[:at], self._times[:at]


class Meter:
    """Measures one mailbox.

    Args:
        mailbox: what it measures.
        clock: seconds, of the mailbox and of the actors' processes.

    Attributes:
        latency: seconds from an ask to its answer.
        waits: seconds from when a message was accepted until its handler began.
    """

    def __init__(self, mailbox: Mailbox, clock: Callable[[], float] = time.monotonic) -> None:
        self.latency = Histogram()
        self.waits = Histogram()
        self._mailbox = proxy(mailbox)  # whoever keeps meters by their mailboxes keeps none of a mailbox that is gone
        self._askers = mailbox.askers
        self._clock = clock
        self._marks = Marks()
        self._began: dict[str, float] = {}  # when the last message of a member began, in seconds
        self._consumers = mailbox.consumers
        self._lone_waits, self._lone_latencies = self.waits.singles, self.latency.singles

    def accepted(self) -> None:
        """See `Observer`."""
        self._marks.note(self._mailbox.accepted, self._clock())

    def outcomes(self, queue: MessageQueue, member: str, frame: Outcomes | Replies) -> None:
        """See `Observer`."""
        if isinstance(frame, Replies):
            self._replied(member, frame)
            return
        items, upto = frame.items, frame.ack_up_to
        if len(items) == 1 and self._replied_alone(items[0]):
            if queue.unsettled == 1:
                return  # the common case
        elif items and self._replied_to(queue, items):
            if queue.unsettled == len(items):
                return  # that was all
        elif items:
            self._answered(queue.flights.of(member), items)
        if upto and frame.began and not _all_answered(flight := queue.flights.of(member), items, upto):
            self._acknowledged(flight, member, frame)
        if upto and self._marks.many:
            self._marks.forget(upto)

    def lost(self, losses: Sequence[LostMessage], progress: Progress | None, report: ExitReport) -> None:
        """See `Observer`; what a life had begun and not reported has no times."""

    def _replied(self, member: str, frame: Replies) -> None:
        """Measure consecutive asks of a batch; when each began is not told."""
        now = self._clock()
        runs = self._marks.runs(frame.first, frame.first + min(frame.count, len(self._askers)) - 1)
        for since, size in runs:
            self.latency.add_progression(0.0 if since is None else now - since, 0.0, size)
        self._spread(runs, member, now)

    def _replied_alone(self, outcome: Outcome) -> bool:
        """Measure an ask of a task, if it has got a reply; else nothing is done."""
        asker, _ = self._askers.get(outcome.seq, _UNASKED)
        if type(asker) is not PendingAsk or outcome.kind != REPLY or self._consumers.single_consumer is None:
            return False
        since, began, now = asker.since, outcome.began * 1e-9, self._clock()
        if not 0.0 < since < began < now:
            return False
        waits = self._lone_waits
        waits.append(began - since)
        self._lone_latencies.append(now - since)
        if len(waits) >= MANY:
            self.waits.fold()
            self.latency.fold()
        return True

    def _replied_to(self, queue: MessageQueue, items: list[Outcome]) -> bool:
        """Measure asks of tasks, if all are that and have got a reply; else nothing is done.

        Each ask comes here, so it does as little as possible.
        """
        if self._consumers.single_consumer is None:
            return False  # delivery tags are not the messages' numbers
        count = len(items)
        many = count - count % _STRIDE
        if many and (
            queue.cancels or items[-1].seq - items[0].seq != count - 1 or [1 for one in items if one.kind != REPLY]
        ):
            return False  # no asker may be gone, and all got a reply
        measured, waits, took = items[:many:_STRIDE] + items[many:] if many else items, [], []
        askers, now = self._askers, self._clock()
        for outcome in measured:
            asker, _ = askers.get(outcome.seq, _UNASKED)
            if type(asker) is not PendingAsk or outcome.kind != REPLY:
                return False
            since, began = asker.since, outcome.began * 1e-9
            if not 0.0 < since < began < now:
                return False
            waits.append(began - since)
            took.append(now - since)
        if many:
            strides = many // _STRIDE
            self.waits.add_all(waits[:strides], _STRIDE)
            self.latency.add_all(took[:strides], _STRIDE)
            del waits[:strides], took[:strides]
        if waits:
            self.waits.add_all(waits)
            self.latency.add_all(took)
        return True

    def _answered(self, flight: InFlight, items: list[Outcome]) -> None:
        """Measure messages that have an outcome of their own, one by one."""
        now = self._clock()
        for outcome in items:
            self._ended(flight, outcome, now)

    def _ended(self, flight: InFlight, outcome: Outcome, now: float) -> None:
        """Measure one message."""
        message, began = flight.messages.get(outcome.seq), min(now, outcome.began / 1e9)
        seq = outcome.seq if message is None else message.seq  # in a batch the tag is the number
        asker, _ = self._askers.get(seq, _UNASKED)
        if message is None and asker is None:
            if began and flight.in_batch(seq):  # a tell that failed
                self._waited(self._marks.time_of(seq), began)
            return
        since = asker.since or None if isinstance(asker, PendingAsk) else None
        since = since or self._marks.time_of(seq)
        if began:
            self._waited(since, began)
        if asker is not None and (message is None or message.kind == ASK) and outcome.kind in _ANSWERS:
            self.latency.add(max(0.0, now - since) if since is not None else 0.0)

    def _waited(self, since: float | None, began: float) -> None:
        self.waits.add(began - since if since is not None and began > since else 0.0)

    def _acknowledged(self, flight: InFlight, member: str, frame: Outcomes) -> None:
        """Measure the tells that one number acknowledges."""
        answered = frozenset(outcome.seq for outcome in frame.items)
        upto, began = frame.ack_up_to, min(self._clock(), frame.began / 1e9)
        runs: Runs = []
        for batch in flight.batches:
            if batch.seq > upto:
                break
            for first, last in _without(batch.seq, min(upto, batch.seq + len(batch) - 1), answered):
                runs += self._marks.runs(first, last)
        for tag, message in flight.messages.items():
            if tag > upto:
                break
            if tag not in answered:
                runs.append((self._marks.time_of(message.seq), 1))
        self._spread(runs, member, began)

    def _spread(self, runs: Runs, member: str, began: float) -> None:
        """Measure messages of which the last began then, and the others evenly spaced since the one before them."""
        count = sum(size for _, size in runs)
        if not count:
            return
        earliest = min((since for since, _ in runs if since is not None), default=began)
        start = min(began, max(self._began.get(member, 0.0), earliest))
        self._began[member] = began
        step, done = (began - start) / count, 0
        for since, size in runs:
            at = start + step * (done + 1)
            self.waits.add_progression(at - (at if since is None else since), step, size)
            done += size


def _all_answered(flight: InFlight, items: list[Outcome], upto: int) -> bool:
    """Whether all that a number acknowledges has an outcome of its own: of asks alone, the common case."""
    if not items or items[-1].seq != upto or upto - items[0].seq != len(items) - 1:
        return False
    messages, batches = flight.messages, flight.batches
    return items[0].seq <= min(next(iter(messages), upto), batches[0].seq if batches else upto)


def _without(first: int, last: int, tags: frozenset[int]) -> Iterator[tuple[int, int]]:
    """The parts of a range of numbers that some of them divide."""
    for tag in sorted(tag for tag in tags if first <= tag <= last):
        if first < tag:
            yield first, tag - 1
        first = tag + 1
    if first <= last:
        yield first, last
