"""Outbox: how messages ended, on its way to the daemon.

The code that runs next may hang, crash or keep the interpreter. So a reply is sent at once, or it is kept in the black
box, where the daemon finds it after a death, and soon after a frame that tells it to look. What is kept leaves in one
frame: when no message waits, or before a handler that begins a millisecond after the last such frame.

Acknowledgements of tells, for which no sender waits, share a frame. Where the daemon does not see the black box, so do
the replies to one `ask_many`, whose sender waits for the last of them, for a millisecond at most.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.ipc.channel import Channel
from actors.ipc.reply_area import MOST, ReplyArea
from actors.wire import kinds
from actors.wire.codec import encode
from actors.wire.framing import LARGE, Carried
from actors.wire.from_child import KeptReplies, Outcome, Outcomes, Replies
from actors.wire.kinds import NOTHING

if TYPE_CHECKING:
    from actors.child.messages.driver import Clock
    from actors.child.messages.keeping import Keeper

ACK_AGE: Final = 1_000_000  # ns; an older acknowledgement does not wait for the next handler
NEVER: Final = 2**63  # ns
ACK_EVERY: Final = 1024  # messages; a quarter of the daemon's window, so that it never runs dry


class Outbox:
    """What the daemon does not know yet.

    Args:
        channel: where it is sent.
        clock: of the life.
        sequential: whether messages end in their order, so that one number acknowledges all before it.

    Attributes:
        oldest: ns at which the first of what waits ended or began, 0 when nothing waits.
        due: ns from which on `before_handler` sends what waits.
        held: replies to consecutive asks of a batch that wait in this process for those that follow, where there is no
            black box to keep them; numbers as they are, others encoded.
    """

    def __init__(self, channel: Channel, clock: Clock, *, sequential: bool) -> None:
        self.send = channel.send
        self._channel = channel
        self._clock = clock
        self._sequential = sequential
        self._ack_up_to = 0
        self._told = 0  # what the daemon knows of that
        self._waiting: list[Outcome] = []  # outcomes that wait for the next frame
        self._count = 0  # ended messages that the daemon does not know of
        self.oldest = 0
        self.due = NEVER
        self._urgent = False  # whether a sender waits for one of them
        self.held: list[Any] = []  # replies to consecutive asks of a batch; numbers as they are, others encoded
        self._held_from = 0  # the number of the first of these asks
        self._held_bytes = 0
        self._began = 0  # ns at which the last acknowledged handler began
        self._area: ReplyArea | None = None
        self._put: Callable[[bytes], bool] | None = None  # into the area
        self._pending: Sized = ()
        self._kept = False  # whether replies in the area are not announced yet
        self._looking = 0  # ns at which the daemon was asked to look for more

    def keep_replies(self, area: ReplyArea, pending: Sized) -> None:
        """From now on keep replies in the area: those to a batch, and others while messages are pending.

        Whatever may take long runs after `before_handler` or `flush`.
        """
        self._channel.count_in(area.sent_cell())
        self._area = area
        self._put = area.put
        self._pending = pending

    def reply(  # noqa: PLR0917 - as the outcome has them
        self,
        seq: int,
        kind: int,
        payload: msgspec.Raw,
        began: int,
        attachments: tuple[Carried, ...] = (),
        ended: int = 0,
    ) -> None:
        """A handler has ended: send what its sender gets.

        Args:
            seq: number of its message.
            kind: how it ended.
            payload: what belongs to that.
            began: ns at which it began.
            attachments: what travels before the frame.
            ended: as of `acknowledge`.
        """
        small = kind == kinds.REPLY and not attachments
        if small and (self._pending or self._kept) and self.keep_reply(seq, payload, began, ended):
            return
        if self._waiting or self.held or self._kept:
            self.flush()
        if self._sequential:
            self._ack_up_to = self._told = seq
            self.oldest = self._count = 0
            self.due = NEVER
        self.send(encode(Outcomes(self._ack_up_to, [Outcome(seq, kind, payload, began, ended)], began)), attachments)

    def keep_reply(self, seq: int, reply: object, began: int, ended: int = 0) -> bool:
        """The handler of an ask has returned, which began at that time (ns): keep its reply, if that is possible.

        Args:
            seq: its number.
            reply: its bytes, or the value itself, whose type is checked.
            began: ns at which its handler began.
            ended: as of `acknowledge`.
        """
        if self._put is None:
            return False
        outcome = encode((seq, kinds.REPLY, reply, began, ended))
        if len(outcome) > MOST or not self._put(outcome):
            return False
        self.note_kept(seq, began)
        return True

    def hold(self, seq: int, reply: float | bool | msgspec.Raw | None, began: int) -> None:
        """An ask of a batch has its reply, which may leave with those that follow; until then it is kept.

        Args:
            seq: its number.
            reply: its bytes, or the value itself if that is a few bytes that cannot change.
            began: ns at which its handler began.
        """
        if self._area is None:
            self._hold_here(seq, reply, began)
            return
        data = encode(reply)
        if len(data) <= MOST and self._area.put_reply(seq, data):
            self.note_kept(seq, began)
        else:
            self.reply(seq, kinds.REPLY, msgspec.Raw(data), began)

    def open_run(self, first: int, count: int, kind: Any) -> tuple[memoryview[Any], int] | None:
        """See `ReplyCells.open`; None also where nothing is kept."""
        return None if self._area is None else self._area.open_run(first, count, kind)

    def end_run(self) -> None:
        """See `ReplyCells.end`."""
        if self._area is not None:
            self._area.end_run()

    def note_kept(self, seq: int, began: int) -> None:
        """A reply was kept, and every message up to this one has ended, which began at that time (ns)."""
        if self._sequential:
            self._ack_up_to = seq
        self._began = began
        self._kept = True
        if not self.oldest:
            self.oldest = began
            self.due = min(began, self._looking) + ACK_AGE

    def _hold_here(self, seq: int, reply: float | bool | msgspec.Raw | None, began: int) -> None:
        """Let a reply wait in this process, since there is no black box for it."""
        held = self.held
        if not self._sequential:
            self._waiting.append(Outcome(seq, kinds.REPLY, reply if isinstance(reply, msgspec.Raw) else _raw(reply)))
        elif held and seq == self._held_from + len(held):
            held.append(reply)
        else:
            if self.oldest:
                self.flush()
            self._held_from = seq
            held.append(reply)
        if isinstance(reply, msgspec.Raw):
            self._held_bytes += memoryview(reply).nbytes
        self._note(began)
        if self._held_bytes >= LARGE:
            self.flush()

    def acknowledge(self, seq: int, began: int, ended: int = 0) -> None:
        """The handler of a tell has returned; the daemon may hear of it later.

        Args:
            seq: its number.
            began: ns at which its handler began.
            ended: ns at which it ended, where the daemon is to know that: of a message that is traced.
        """
        if self._sequential:
            self._ack_up_to = seq
            self._began = began
        if ended or not self._sequential:
            self._waiting.append(Outcome(seq, kinds.DONE, NOTHING, began, ended))
        self._note(began)

    def acknowledge_now(self, seq: int, began: int) -> None:
        """Everything up to there has ended; the last began at that time (ns). The daemon hears of it now."""
        self._ack_up_to = seq
        self._began = began
        self._note(1)
        self.flush()

    def batch_over(self, seq: int, began: int) -> None:
        """As `acknowledge_now`; no handler of the same batch follows."""
        self.acknowledge_now(seq, began)

    def skip(self, seq: int, kind: int, payload: msgspec.Raw = NOTHING, *, over: bool = True) -> None:
        """A message has ended that did not begin; it leaves before the next one begins.

        Args:
            seq: its number.
            kind: how it ended.
            payload: the text of its error.
            over: whether the messages before it have ended, too.
        """
        if self.held:
            self.flush()
        self._waiting.append(Outcome(seq, kind, payload))
        if over and self._sequential:
            self._ack_up_to = seq
        self._urgent = True
        self._note(1)
        self.due = 0

    def item(self, seq: int, kind: int, payload: msgspec.Raw, attachments: tuple[Carried, ...] = ()) -> None:
        """Send an item of a stream, or the wish for items, of a running message."""
        if attachments:
            self.flush()
            self.send(encode(Outcomes(self._ack_up_to, [Outcome(seq, kind, payload)])), attachments)
            return
        self._waiting.append(Outcome(seq, kind, payload))
        self._note(1)
        self.flush()

    def before_handler(self, now: int) -> None:
        """Something waits, and a handler is about to be called at that time (ns): it is not known how long it takes."""
        if self._kept:
            if now - self._looking > ACK_AGE or now - self.oldest > ACK_AGE or self._urgent:
                self._looking = now
                self._flush(more=True)
        elif self._urgent or now - self.oldest > ACK_AGE or self._count >= ACK_EVERY:
            self._flush(more=False)

    def lingers(self) -> float:
        """Seconds for which what waits may wait for more, while the actor is idle."""
        return 0.0

    def before_batch(self) -> None:
        """A batch is about to be handled: it is not known how long its messages take."""
        self.flush()

    def flush(self) -> None:
        """Send everything that waits."""
        if self.oldest:
            self._flush(more=False)

    def _flush(self, *, more: bool) -> None:
        if self._kept:
            self._announce(more=more)
        if self.held:
            self.send(encode(Replies(self._held_from, len(self.held), _raw(self.held))))
            self.held.clear()
        if self._waiting or self._ack_up_to > self._told:
            self._send_outcomes()
        self.oldest = self._count = self._held_bytes = 0
        self.due = NEVER
        self._urgent = False

    def _announce(self, *, more: bool) -> None:
        """Tell the daemon how far kept replies are written."""
        assert self._area is not None  # noqa: S101 - it keeps them
        self._area.checkpoint()
        up_to = 0 if self._waiting else self._ack_up_to  # what waits is no acknowledgement
        self.send(encode(KeptReplies(self._area.mark, up_to, self._began, more)))
        self._told = up_to or self._told
        self._kept = False

    def _send_outcomes(self) -> None:
        frame = encode(Outcomes(self._ack_up_to, self._waiting, self._began))
        if len(frame) <= self._channel.most:
            self.send(frame)
        else:  # each by itself fits
            for outcome in self._waiting:
                self.send(encode(Outcomes(0, [outcome])))
            self.send(encode(Outcomes(self._ack_up_to, [], self._began)))
        self._told = self._ack_up_to
        self._waiting.clear()

    def keep(self, keeper: Keeper) -> None:
        """The actor has a state; here it leaves by itself, at the end of the life."""

    def own_ended(self) -> None:
        """The handler of a timer's message has ended, which has no outcome."""

    def _note(self, since: int) -> None:
        self._count += 1
        if not self.oldest:
            self.oldest = since or self._clock.monotonic_ns()
            self.due = self.oldest + ACK_AGE


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(encode(value))
