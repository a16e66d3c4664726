"""Life jobs: which job a life of `Jobs` runs or has run last, as reports name it, and when its end was over a job.

Runs on the loop's thread.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

from actors.exits import ExitKind, ExitReason
from actors.jobs.jobs import RunJob, shown
from actors.wire.framing import Carried
from actors.wire.from_child import Outcomes, Replies
from actors.wire.progress import Progress
from supervisor.core.health.life_end import LifeEnd
from supervisor.mailbox.mailbox import Mailbox


def job_of(mailbox: Mailbox, name: str, progress: Progress) -> str | None:
    """The job that a life runs, or the last one that it has run; None when that is not known."""
    held = _job_at(mailbox, name, min(progress.active, default=progress.begun))
    return held or (None if progress.active else mailbox.consumers.last_jobs.get(name))


def settle(mailbox: Mailbox, name: str, frame: Outcomes | Replies, attachments: Sequence[Carried] = ()) -> None:
    """Settle outcomes of jobs, and keep the name of the last one: reports tell what a process has handled last."""
    if isinstance(frame, Replies):
        last = frame.first + frame.count - 1
    else:
        last = next((item.seq for item in reversed(frame.items) if item.began), 0)
    job = _job_at(mailbox, name, last)
    if job is not None:
        mailbox.consumers.last_jobs[name] = job
    mailbox.dispatcher.on_outcomes(name, frame, attachments)


def ended_it(mailbox: Mailbox, name: str, end: LifeEnd) -> bool:
    """Whether it was a job that ended a life: one that ran, or one that has returned and whose result was not out."""
    return end.with_its_message or mailbox.consumers.untold(name, end.progress)


def killed_over(mailbox: Mailbox, name: str, end: LifeEnd) -> ExitReason | None:
    """Why a life ended that was killed over its job; None for any other."""
    why = mailbox.consumers.ended.get(name, "")
    if not (why and end.kill_asked and (end.exit_code == -signal.SIGKILL or end.unended is not None)):
        return None
    return ExitReason(ExitKind.KILLED, f"{why}; {end.survival or 'killed by its supervisor'}")


def _job_at(mailbox: Mailbox, name: str, delivery_tag: int) -> str | None:
    message = mailbox.consumers.queue_of(name).flights.of(name).at(delivery_tag)
    return None if message is None else shown(RunJob, message.message)
