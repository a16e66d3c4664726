"""JobRun: one job, from its call until its result, its error, or its end because it took too long.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from actors.errors import (
    ActorCrashed,
    ActorsError,
    ActorStopped,
    AskTimeout,
    HandlerError,
    UndecodableMessage,
)
from actors.jobs.jobs import IMPORT_LIMIT, SharingResult
from actors.wire.attachments import decode_sharing
from actors.wire.codec import decoder_of
from actors.wire.frames import ASK
from actors.wire.framing import Attachment
from supervisor.core.delivery.fates import Fate
from supervisor.jobs.job_end import JobEnd
from supervisor.jobs.prepared_job import PreparedJob
from supervisor.mailbox.intake.entry import Entry, Patience, Taken, Wait
from supervisor.mailbox.mailbox import Mailbox

_LOOK_AGAIN: Final = 0.1  # seconds; the end of an import brings the end of a job's time nearer
_READ_BYTES: Final = msgspec.msgpack.Decoder(bytes).decode
_READ_SHARING: Final[Callable[[msgspec.Raw], SharingResult]] = decoder_of(SharingResult).decode


class JobRun:
    """One job. It is the asker of its message.

    Args:
        mailbox: of the pool.
        job: what is run.
        args: its positional arguments.
        kwargs: its keyword arguments.

    Attributes:
        future: its result, or its error, which names the job.
    """

    def __init__(self, mailbox: Mailbox, job: PreparedJob, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._mailbox = mailbox
        self._job = job
        self._args = args
        self._kwargs = kwargs
        self._read = mailbox.intake.reader_of(job.result)
        self._seq = 0
        self._timer: asyncio.TimerHandle | None = None

    async def send(self) -> None:
        """Send it, as soon as the mailbox has room.

        Raises:
            UsageError: the function does not take the arguments, or the ref is used where it may not be.
            MailboxFull, ActorStopped: as `ActorRef.tell`.
        """
        intake = self._mailbox.intake
        admitted = intake.check(self._job.message(self._args, self._kwargs), ASK)
        entered = intake.post(Entry(ASK, admitted, asker=self), Patience.WAIT)
        if isinstance(entered, Wait):
            entered = await entered.taken()
        assert isinstance(entered, Taken)  # noqa: S101 - only tells are dropped
        self._seq = entered.seq
        if self._job.timeout is not None:
            self._look_in(self._job.timeout)

    def abandon(self) -> None:
        """Its result is no longer wanted: it does not begin, or its process is killed."""
        if not self.future.cancel() and not self.future.cancelled():
            self.future.exception()  # it is not wanted either, and asyncio would report it
        self._end(Fate.CANCELLED, f"its job {self._job.name} was cancelled")

    # ---- Asker

    def replied(self, payload: msgspec.Raw) -> None:
        """See `Asker`."""
        if self._job.shares:
            result = _READ_SHARING(payload)
            shared = [one.carried() for one in result.shared]
            self._returned(result.data, lambda data: decode_sharing(self._read, data, shared))
        else:
            self._returned(_READ_BYTES(payload), self._read)

    def replied_beside(self, attachment: Attachment) -> None:
        """See `Asker`."""
        try:
            self._returned(attachment.value, self._read)
        except Exception as error:
            self.failed(UndecodableMessage(f"its result does not decode: {error}"))

    def failed(self, error: ActorsError) -> None:
        """See `Asker`."""
        self._forget_time()
        if not self.future.done():
            self.future.set_exception(self._named(error))

    def _returned(self, data: bytes | bytearray, read: Callable[[msgspec.Raw], Any]) -> None:
        self._forget_time()
        if not self.future.done():
            self.future.set_result(read(msgspec.Raw(data)))

    # ---- its time

    def _look_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        left = self._time_left(self._job.timeout or 0.0)
        if left > 0:
            self._look_in(left)
        else:
            self._end(Fate.EXPIRED, f"its job {self._job.name} ran longer than {self._job.timeout:g} s")
            self.failed(
                AskTimeout(
                    f"{self._shown()} ran longer than {self._job.timeout:g} s; its process was killed", started=True
                )
            )

    def _time_left(self, timeout: float) -> float:
        """Seconds until its time may be over; all of it while it has not begun.

        Its process notes when the time is over, once its module is imported; until then it notes a later one.
        """
        held = self._mailbox.dispatcher.holder(self._seq)
        if held is None:
            return timeout
        life, delivery_tag = held
        work = life.activity().work
        if delivery_tag not in life.progress().active or not work:
            return timeout
        since, until = work[0].since, work[0].until
        over = since + int(timeout * 1e9)
        if until:
            over = min(until, over + int(IMPORT_LIMIT * 1e9))  # the process cannot put it off without end
        left = (over - time.monotonic_ns()) / 1e9
        return min(left, _LOOK_AGAIN) if until else left

    def _end(self, fate: Fate, why: str) -> None:
        self._forget_time()
        held = self._mailbox.dispatcher.withdraw(self._seq, fate) if self._seq else None
        if held is not None:
            JobEnd(self._mailbox, *held, why)

    def _forget_time(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---- in words

    def _shown(self) -> str:
        return self._job.shown(self._args, self._kwargs)

    def _named(self, error: ActorsError) -> ActorsError:
        """The same error, with the job in its text."""
        if isinstance(error, HandlerError):
            return HandlerError(error.type_name, error.message, error.traceback_text, self._shown())
        if isinstance(error, ActorCrashed):
            return ActorCrashed(
                f"{self._shown()} {self._crash(error)}",
                started=error.started,
                finished=error.finished,
                report=error.report,
            )
        if isinstance(error, ActorStopped):
            return ActorStopped(f"{self._shown()} was not run: {error}")
        if isinstance(error, UndecodableMessage):
            return UndecodableMessage(f"{self._shown()}: {error}")
        return error

    def _crash(self, error: ActorCrashed) -> str:
        reason = str(error) if error.report is None else str(error.report.reason)
        if error.finished:
            return f"was run, and its process ended before its result was out: {reason}"
        if self._job.idempotent:
            return f"ended its process ({reason}), each time it was run; it is not run again"
        return f"ended its process: {reason}"
