"""JobRun: one job, from its call until its result, its error, or its end because it took too long.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from actors.errors import ActorsError, UndecodableMessage
from actors.wire.framing import Carried
from actors.wire.kinds import ASK
from supervisor.core.delivery.fates import Fate
from supervisor.jobs.job_end import JobEnd
from supervisor.jobs.job_errors import named, took_too_long
from supervisor.jobs.job_result import JobResult
from supervisor.jobs.prepared_job import PreparedJob
from supervisor.mailbox.intake.entry import Entry, Patience, Taken, Wait
from supervisor.mailbox.mailbox import Mailbox


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
        self._result = JobResult(mailbox.intake.reader_of(job.result), shares=job.shares)
        self._sent: list[int] = []  # the number of its message, while that is under way

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
        if self.future.done():
            return
        self._sent.append(entered.seq)
        if self._job.timeout is not None:
            self._mailbox.job_times.watch(self._sent, self._job.timeout, self._late)

    def abandon(self) -> None:
        """Its result is no longer wanted: it does not begin, or its process is killed."""
        if not self.future.cancel() and not self.future.cancelled():
            self.future.exception()  # it is not wanted either, and asyncio would report it
        self._end(Fate.CANCELLED, f"its job {self._job.name} was cancelled")

    # ---- Asker

    def replied(self, payload: msgspec.Raw) -> None:
        """See `Asker`."""
        self._returned(self._result.of(payload))

    def replied_beside(self, attachment: Carried) -> None:
        """See `Asker`."""
        try:
            self._returned(self._result.beside(attachment))
        except UndecodableMessage as error:
            self.failed(error)

    def failed(self, error: ActorsError) -> None:
        """See `Asker`."""
        self._over()
        if not self.future.done():
            self.future.set_exception(named(error, self._shown(), idempotent=self._job.idempotent))

    def _returned(self, result: Any) -> None:
        self._over()
        if not self.future.done():
            self.future.set_result(result)

    # ---- its end

    def _late(self, _: int) -> None:
        timeout = self._job.timeout or 0.0
        self._end(Fate.EXPIRED, f"its job {self._job.name} ran longer than {timeout:g} s")
        self.failed(took_too_long(self._shown(), timeout))

    def _end(self, fate: Fate, why: str) -> None:
        for held in self._mailbox.dispatcher.withdraw_all(self._sent, fate).values():
            JobEnd(self._mailbox, *held, why)
        self._over()

    def _over(self) -> None:
        self._mailbox.job_times.forget(self._sent)
        self._sent.clear()

    def _shown(self) -> str:
        return self._job.shown(self._args, self._kwargs)
