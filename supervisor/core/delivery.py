"""Delivery: what waits, what is in flight, what is over; and after a death, the fate of each message.

Law: a message is in exactly one place: the queue, one life's flight, or over. Nothing is forgotten, nothing is begun
     twice that may not be.
May import: fates, and the words of `actors`.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, cast

import msgspec

from actors.blackbox import Progress
from actors.envelope import ASK, CANCELLED, EXPIRED, FEED, STREAM, TELL, UNDECODABLE, Envelope
from actors.framing import Parcel
from supervisor.core.fates import Fate

UNKNOWN: Final = -1


class Posted(Envelope[msgspec.Raw], frozen=True, array_like=True, gc=False):
    """A message in the daemon: its envelope, the large values that travel beside it, and what it is.

    Attributes:
        parcels: the values of the fields named by `beside`, in that order.
        handler: index of its class in the actor's table, UNKNOWN for bytes that are no message of the actor.
        key: what it is routed by, None where it is not routed by key.
    """

    parcels: tuple[Parcel, ...] | None = None
    handler: int = UNKNOWN
    key: bytes | None = None

    @property
    def size(self) -> int:
        """How many bytes the message has."""
        beside = 0 if self.parcels is None else sum(len(parcel.value) for parcel in self.parcels)
        return memoryview(self.message).nbytes + beside


class _Tagged(msgspec.Struct, array_like=True):
    """The head of a message's bytes."""

    tag: str | int


_read_tag: Final = msgspec.msgpack.Decoder(_Tagged).decode


class Classes(msgspec.Struct, frozen=True):
    """The message classes of one actor, each named by its index in the actor's table. Knowing one runs no user's code.

    Attributes:
        tags: index by the tag under which the class travels.
        idempotent: whether a message of the class may be begun again.
    """

    tags: Mapping[str | int, int]
    idempotent: Sequence[bool]

    def plain_tell(self, seq: int, payload: bytes) -> Posted:
        """A tell that was kept as its bytes, checked when it was taken."""
        return Posted(seq, TELL, None, None, msgspec.Raw(payload), handler=self.tags[_read_tag(payload).tag])


class Run:
    """Tells of the daemon that came one after the other: bytes and numbers without gaps, and nothing else to keep.

    Attributes:
        seq: the sequence number of the first.
        payloads: their bytes.
        classes: what they may be.
    """

    __slots__ = ("classes", "payloads", "seq")

    def __init__(self, seq: int, payloads: list[bytes], classes: Classes) -> None:
        self.seq = seq
        self.payloads = payloads
        self.classes = classes

    def __len__(self) -> int:
        return len(self.payloads)

    def posted(self) -> Iterator[Posted]:
        """The same messages one by one."""
        for seq, payload in enumerate(self.payloads, self.seq):
            yield self.classes.plain_tell(seq, payload)

    def split(self, size: int) -> Run:
        """Keep the first `size`; the rest."""
        rest = Run(self.seq + size, self.payloads[size:], self.classes)
        del self.payloads[size:]
        return rest


class Flight:
    """What one life has in its hands, by turn; and how many messages it was ever given.

    Attributes:
        asked: turns that the life was asked to give back.
        returned: turns that are in the queue again, of which the life has not told yet that it has not begun them.
    """

    __slots__ = ("asked", "count", "given", "last_turn", "posted", "returned", "runs")

    def __init__(self) -> None:
        self.posted: dict[int, Posted] = {}
        self.runs: deque[Run] = deque()
        self.count = 0
        self.given = 0
        self.last_turn = 0
        self.asked: set[int] = set()
        self.returned: set[int] = set()


class Numbers:
    """Where sequence numbers come from: ascending from 1."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 1

    def take(self, count: int = 1) -> int:
        """The first of so many numbers in a row."""
        first = self._next
        self._next = first + count
        return first


class Loss(msgspec.Struct, frozen=True):
    """One message that was in flight when its life ended.

    Attributes:
        posted: the message.
        fate: how it ended, None when it is queued again.
        started: whether its handler had begun, None when that is not known.
        finished: whether its handler had returned, None when that is not known.
        deliveries: how often it has been begun.
    """

    posted: Posted
    fate: Fate | None
    started: bool | None
    finished: bool | None
    deliveries: int


class Acknowledged(NamedTuple):
    """What a life is through with, by one word of it.

    Attributes:
        handled: how many messages were wanted.
        outside: the sequence numbers of those that are in no run.
        unwanted: how the others ended.
    """

    handled: int
    outside: list[int]
    unwanted: list[Fate]


_NOTHING_NEW: Final = Acknowledged(0, [], [])

_GAPS: Final = 64  # messages taken back that may lie in the queue before it is tidied


class Delivery:
    """The bookkeeping of one queue of a mailbox, and of the lives that take from it. A life is named by who lives it.

    A life must begin its messages in the order of their numbers: its black box and what it says it is through with
    rest on that. A message that a dead life had may come to a life that has later ones already; there it bears a higher
    number, its turn, for as long as that life has it. Otherwise the turn is the sequence number.

    Args:
        classes: of the messages.
        max_deliveries: how often an idempotent message may be begun.
        numbers: where sequence numbers come from; queues between which messages move share one.
        weighed: whether bytes are counted.

    Attributes:
        fresh: tells that were taken and have no number yet. Who takes one appends its bytes, if no bytes are counted.
    """

    def __init__(
        self, classes: Classes, max_deliveries: int = 3, numbers: Numbers | None = None, *, weighed: bool = False
    ) -> None:
        self.fresh: list[bytes] = []
        self.bytes = 0  # how many bytes all these have, if they are counted
        self._classes = classes
        self._weighed = weighed
        self._max_deliveries = max_deliveries
        self._numbers = Numbers() if numbers is None else numbers
        self._queue: deque[Posted | Run] = deque()
        self._queued = 0
        self._flights: dict[str, Flight] = {}
        self._deliveries: dict[int, int] = {}
        self._unwanted: dict[int, Fate] = {}  # taken back, and still in the queue or in a flight; how they end
        self._sizes: dict[int, int] = {}  # of messages, when anybody asks for the sum
        self._unsettled = 0

    def offer(
        self,
        kind: int,
        handler: int,
        sender: str | None,
        deadline: float | None,
        payload: bytes,
        *,
        beside: tuple[int, ...] | None = None,
        parcels: tuple[Parcel, ...] | None = None,
        key: bytes | None = None,
    ) -> int:
        """Put a message at the end of the queue; its sequence number."""
        if self.fresh:
            self._number()
        seq = self._numbers.take()
        posted = Posted(seq, kind, sender, deadline, msgspec.Raw(payload), beside, parcels, handler, key)
        self._queue.append(posted)
        self._queued += 1
        self._unsettled += 1
        if self._weighed:
            self._weigh(seq, posted.size)
        return seq

    def hand_over(self, life: str, kind: int, handler: int, deadline: float | None, payload: bytes) -> Posted:
        """Give a message of the daemon to a life when nothing else waits or is in flight and no bytes are counted."""
        seq = self._numbers.take()
        posted = Posted(seq, kind, None, deadline, msgspec.Raw(payload), handler=handler)
        flight = self._flights.get(life) or self._flights.setdefault(life, Flight())
        flight.posted[seq] = posted
        flight.last_turn = seq
        flight.count += 1
        flight.given += 1
        self._unsettled += 1
        return posted

    @property
    def unsettled(self) -> int:
        """How many messages wait or are in flight that somebody wants."""
        return self._unsettled + len(self.fresh)

    @property
    def queued(self) -> int:
        """How many lie in the queue, unwanted ones included."""
        return self._queued + len(self.fresh)

    def in_flight(self, life: str) -> int:
        """How many messages a life has in its hands."""
        flight = self._flights.get(life)
        return 0 if flight is None else flight.count

    def take_run(self, life: str, most: int) -> Run | None:
        """Move the run at the head of the queue into a life's hands; None when there is none that it may have whole."""
        if self.fresh:
            self._number()
        flight = self._flights.get(life) or self._flights.setdefault(life, Flight())
        run = self._queue[0] if self._queue else None
        if type(run) is not Run or run.seq <= flight.last_turn or most < 1:
            return None
        if len(run) > most:
            self._queue[0] = run.split(most)
        else:
            self._queue.popleft()
        size = len(run)
        self._queued -= size
        flight.runs.append(run)
        flight.count += size
        flight.given += size
        flight.last_turn = run.seq + size - 1
        return run

    def take(self, life: str, most: int, most_bytes: int, now: float = 0.0) -> tuple[list[Posted], list[Posted]]:
        """Move messages from the head of the queue into a life's hands: the first, and more within both bounds.

        Returns what is to be sent, with each message's turn in place of its sequence number; and what is over because
        its deadline has passed. A run that is behind them stays; one at the head is taken apart.
        """
        if self.fresh:
            self._number()
        flight = self._flights.get(life) or self._flights.setdefault(life, Flight())
        last = flight.last_turn
        taken: list[Posted] = []
        expired: list[Posted] = []
        queue, unwanted, size = self._queue, self._unwanted, 0
        while queue and len(taken) < most and size < most_bytes:
            posted = queue.popleft()
            if type(posted) is Run:
                if taken:
                    queue.appendleft(posted)
                    break
                queue.extendleft(reversed(list(posted.posted())))
                continue
            assert isinstance(posted, Posted)  # noqa: S101 - there is no third kind
            self._queued -= 1
            if unwanted and posted.seq in unwanted:
                del unwanted[posted.seq]
                continue
            if posted.deadline is not None and posted.deadline < now:
                self._over(posted.seq)
                expired.append(posted)
                continue
            if posted.seq > last:
                last = posted.seq
                taken.append(posted)
            else:
                last += 1
                taken.append(msgspec.structs.replace(posted, seq=last))
            flight.posted[last] = posted
            flight.count += 1
            size += posted.size
        flight.given += len(taken)
        flight.last_turn = last
        return taken, expired

    def held(self, life: str, turn: int) -> Posted | None:
        """A message that a life has in its hands; one of a run is nobody's to ask for."""
        flight = self._flights.get(life)
        return None if flight is None else flight.posted.get(turn)

    def flowing(self, life: str) -> bool:
        """Whether a life has a stream or a feed in its hands."""
        flight = self._flights.get(life)
        return flight is not None and any(posted.kind in (STREAM, FEED) for posted in flight.posted.values())

    def handled(self, life: str) -> int:
        """How many messages a life is through with."""
        flight = self._flights.get(life)
        return 0 if flight is None else flight.given - flight.count

    def holder(self, seq: int) -> tuple[str, int] | None:
        """The life that has a message in its hands, and its turn there."""
        for life, flight in self._flights.items():
            turn = _turn_of(seq, flight.posted)
            if turn is not None:
                return life, turn
        return None

    def finish(self, life: str, turn: int) -> Posted | None:
        """A life is done with one message; None when it had no such message."""
        flight = self._flights.get(life)
        if flight is None:
            return None
        posted = flight.posted.pop(turn, None) or _take_out(flight.runs, turn)
        if posted is not None:
            flight.count -= 1
            self._over(posted.seq)
        return posted

    def given_up(self, life: str, turn: int) -> Fate | None:
        """How a message in a life's hands ends that was taken back; None when it is wanted."""
        posted = self.held(life, turn)
        return None if posted is None else self._unwanted.get(posted.seq)

    def finish_through(self, life: str, through: int) -> Acknowledged:
        """A life is done with everything up to a turn."""
        flight = self._flights.get(life)
        if flight is None or not flight.count:
            return _NOTHING_NEW
        told = 0
        runs = flight.runs
        while runs and runs[0].seq <= through:
            run = runs.popleft()
            done = through - run.seq + 1
            if done < len(run):
                runs.appendleft(run.split(done))
            told += len(run)
        self._unsettled -= told
        over = _through(flight.posted, through)
        unwanted = [self._unwanted[seq] for seq in over if seq in self._unwanted] if self._unwanted else []
        for seq in over:
            self._over(seq)
        told += len(over)
        flight.count -= told
        return Acknowledged(told - len(unwanted), over, unwanted)

    def take_back(self, seq: int, fate: Fate) -> tuple[str, int] | None:
        """A message that is not over is not wanted any more: the life that has it and its turn, None in the queue.

        Args:
            seq: its number.
            fate: how it ends, unless a life handles it all the same.
        """
        self._unwanted[seq] = fate
        holder = self.holder(seq)
        if holder is not None:
            return holder
        self._over_unseen(seq)
        if len(self._unwanted) > _GAPS and len(self._unwanted) * 2 > self._queued:
            self._close_gaps()
        return None

    def ask_back(self, life: str, begun: int) -> list[int]:
        """A life shall give back what it has not begun: the turns to ask it for. They stay its until it does.

        Args:
            life: which.
            begun: the highest turn it has begun.
        """
        flight = self._flights.get(life) or Flight()
        flight.asked = {
            turn for turn, posted in flight.posted.items() if turn > begun and posted.seq not in self._unwanted
        }
        return sorted(flight.asked)

    def take_over(self, life: str) -> None:
        """It is certain that a life will not begin what it was asked for: that is queued again."""
        flight = self._flights[life]
        turns = flight.asked & flight.posted.keys()
        flight.returned |= turns
        flight.asked = set()
        self._return(flight, turns)

    def came_back(self, life: str, turn: int, outcome: int) -> bool:
        """Whether an outcome says that a message was given back that the life was asked for; it is queued again."""
        flight = self._flights.get(life)
        if flight is None or outcome not in (CANCELLED, EXPIRED, UNDECODABLE):
            return False
        if turn in flight.returned:
            flight.returned.discard(turn)
            return True
        if outcome != CANCELLED or turn not in flight.asked & flight.posted.keys():
            return False
        if flight.posted[turn].seq in self._unwanted:
            return False
        self._return(flight, {turn})
        return True

    def lose(self, life: str, progress: Progress | None) -> tuple[Loss, ...]:
        """A life is over: the fate of everything it had in its hands. What may go to the next life is queued again.

        Args:
            life: which.
            progress: what its black box says; None when it cannot be read.
        """
        flight = self._flights.pop(life, None) or Flight()
        told = ((posted.seq, posted) for run in flight.runs for posted in run.posted())
        held = heapq.merge(flight.posted.items(), told, key=_turn)
        losses = tuple(self._fate(turn, posted, progress) for turn, posted in held)
        self._queue_again(sorted((loss.posted for loss in losses if loss.fate is None), key=_seq))
        for loss in losses:
            if loss.fate is not None:
                self._over(loss.posted.seq)
        return losses

    def drop_oldest(self) -> Posted | None:
        """Take the message that has waited longest out of the queue; None when all are in flight."""
        self._take_apart()
        while self._queue:
            posted = self._queue.popleft()
            assert isinstance(posted, Posted)  # noqa: S101 - no run is left
            self._queued -= 1
            if posted.seq not in self._unwanted:
                self._over(posted.seq)
                return posted
            del self._unwanted[posted.seq]
        return None

    def drain(self) -> list[Posted]:
        """Empty the queue: everything in it that somebody wanted, in order."""
        left = self.waiting()
        for item in self._queue:
            self._unwanted.pop(item.seq, None)  # what is taken back is in no run
        self._queue.clear()
        self._queued = 0
        for posted in left:
            self._over(posted.seq)
        return left

    def release(self) -> list[tuple[Posted, int]]:
        """Empty the queue into other hands: everything wanted, in order, and how often it has been begun."""
        given = [(posted, self._deliveries.get(posted.seq, 0)) for posted in self.waiting()]
        self.drain()
        return given

    def adopt(self, posted: Posted, deliveries: int) -> None:
        """Take over a message that another queue released; it finds its place by its sequence number."""
        self._take_apart()
        self._queued += 1
        self._unsettled += 1
        if self._weighed:
            self._weigh(posted.seq, posted.size)
        if deliveries:
            self._deliveries[posted.seq] = deliveries
        if self._queue and self._queue[-1].seq > posted.seq:
            self._queue = deque(heapq.merge(self._queue, (posted,), key=_seq))
        else:
            self._queue.append(posted)

    def waiting(self) -> list[Posted]:
        """What lies in the queue and is wanted, in order."""
        if self.fresh:
            self._number()
        return [posted for posted in _apart(self._queue) if posted.seq not in self._unwanted]

    def deliveries(self, seq: int) -> int:
        """How often a message has been begun by lives that ended."""
        return self._deliveries.get(seq, 0)

    def _fate(self, turn: int, posted: Posted, progress: Progress | None) -> Loss:
        seq = posted.seq
        started = None if progress is None else turn <= progress.begun
        finished = None if progress is None else bool(started) and turn not in progress.active
        if started is not False:
            self._deliveries[seq] = self._deliveries.get(seq, 0) + 1
        deliveries = self._deliveries.get(seq, 0)
        idempotent = self._classes.idempotent[posted.handler]
        fate: Fate | None
        if seq in self._unwanted:
            fate = self._unwanted[seq]
        elif started is False:
            fate = None
        elif finished and posted.kind == ASK and idempotent and deliveries < self._max_deliveries:
            fate = None  # handling it again gives the asker its answer
        elif finished:
            fate = Fate.HANDLED if posted.kind == TELL else Fate.HANDLED_UNANSWERED
        elif posted.kind in (STREAM, FEED) or not idempotent:  # what has flowed cannot flow again
            fate = Fate.CRASHED
        else:
            fate = None if deliveries < self._max_deliveries else Fate.POISON
        return Loss(posted, fate, started, finished, deliveries)

    def _return(self, flight: Flight, turns: set[int]) -> None:
        self._queue_again(sorted((flight.posted.pop(turn) for turn in turns), key=_seq))
        flight.count -= len(turns)
        flight.given -= len(turns)

    def _queue_again(self, posted: list[Posted]) -> None:
        """Back to the head of the queue, by sequence number among those that came back before."""
        if not posted:
            return
        last = posted[-1].seq
        ahead = []
        while self._queue and self._queue[0].seq < last:  # a run is never between what came back
            ahead.append(self._queue.popleft())
        merged = list(heapq.merge(posted, ahead, key=_seq))
        self._queue.extendleft(reversed(merged))
        self._queued += len(posted)

    def _number(self) -> None:
        """Give the fresh tells their numbers, as a run at the end of the queue."""
        run = Run(self._numbers.take(len(self.fresh)), self.fresh.copy(), self._classes)
        self.fresh.clear()
        self._queue.append(run)
        self._queued += len(run)
        self._unsettled += len(run)

    def _take_apart(self) -> deque[Posted]:
        """The queue without runs."""
        if self.fresh:
            self._number()
        if any(type(item) is Run for item in self._queue):
            self._queue = deque(_apart(self._queue))
        return cast("deque[Posted]", self._queue)

    def _close_gaps(self) -> None:
        gone = {item.seq for item in self._queue if item.seq in self._unwanted}  # what is taken back is in no run
        self._queue = deque(item for item in self._queue if item.seq not in gone)
        self._queued -= len(gone)
        for seq in gone:
            del self._unwanted[seq]

    def _over_unseen(self, seq: int) -> None:
        self._unsettled -= 1
        self._deliveries.pop(seq, None)
        self.bytes -= self._sizes.pop(seq, 0)

    def _weigh(self, seq: int, size: int) -> None:
        self._sizes[seq] = size
        self.bytes += size

    def _over(self, seq: int) -> None:
        self._unsettled -= 1
        if self._unwanted:
            self._unwanted.pop(seq, None)
        if self._deliveries:
            self._deliveries.pop(seq, None)
        if self._sizes:
            self.bytes -= self._sizes.pop(seq, 0)


def _seq(posted: Posted | Run) -> int:
    return posted.seq


def _turn(held: tuple[int, Posted]) -> int:
    return held[0]


def _apart(items: Iterable[Posted | Run]) -> Iterator[Posted]:
    for item in items:
        if isinstance(item, Run):
            yield from item.posted()
        else:
            yield item


def _take_out(runs: deque[Run], seq: int) -> Posted | None:
    """Take one message out of the run that has it; None when none does."""
    for index, run in enumerate(runs):
        if run.seq <= seq < run.seq + len(run):
            rest = run.split(seq - run.seq)
            after = rest.split(1)
            runs.remove(run)
            for piece in (after, run):
                if piece:
                    runs.insert(index, piece)
            return next(rest.posted())
    return None


def _through(posted: dict[int, Posted], through: int) -> list[int]:
    """Take everything up to a turn out of a flight, which is in the order of turns; the sequence numbers."""
    turns = []
    for turn in posted:
        if turn > through:
            break
        turns.append(turn)
    over = [posted.pop(turn).seq for turn in turns]
    if not posted:
        posted.clear()  # so that the next walk does not step over the gaps of this one
    return over


def _turn_of(seq: int, flight: dict[int, Posted]) -> int | None:
    """The turn under which a flight holds a message, None when it does not; nearly always that is its number."""
    posted = flight.get(seq)
    if posted is not None and posted.seq == seq:
        return seq
    return next((turn for turn, held in flight.items() if held.seq == seq), None)
