"""LifeEnd: the bare facts about the end of a life, as they are found. Pure."""

from __future__ import annotations

import msgspec

from actors.wire.counts import Counts
from actors.wire.from_child import CrashReport
from actors.wire.progress import NOTHING_BEGUN, Progress


class LifeEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The bare facts about the end of a life.

    Attributes:
        pid: process id, None when there never was a process.
        exit_code: as in `multiprocessing.Process.exitcode`: below 0 a signal, None when it is not known.
        crash_report: what the child sent before it exited with an error.
        goodbye: whether it had announced that it exits, with a crash report or without.
        wire_error: why the daemon ended it, or why it never began.
        traceback: where its start failed in the daemon, None when its process was started.
        stop_asked: whether it had been asked to stop.
        kill_asked: whether the daemon had sent SIGKILL.
        grace: seconds between the two, None when not both were asked.
        progress: what it was doing when it ended.
        text: the stacks in its black box.
        oom_kills: how many processes the kernel had just killed for lack of memory; None when that is not known, or
            when there was no SIGKILL to explain.
        cpu_time: seconds of CPU time, None when not known.
        peak_memory: its peak memory in bytes; None when not known.
        stderr: the last lines it wrote to standard error, or past Python.
        began: whether it had read which actor to be; what ends before that is no Python, or a Python that cannot start.
        found_first: which file it imported in place of a module that the daemon has, in words; looked at only where it
            ended before it had read that.
        left: whether it had noted that it leaves by itself.
        idle: whether the actor stopped itself because no message waited.
        lost: why nothing is known of its end, as of a life whose machine is gone; None as a rule. Then `progress` says
            nothing.
        counts: what the actor has counted.
        unended: why its process may live on, although it was to be killed; None as a rule.
        overwritten: whether a wild write of its code has hit its black box. Then `progress` says nothing, too.
    """

    pid: int | None
    exit_code: int | None
    crash_report: CrashReport | None = None
    goodbye: bool = False
    wire_error: str | None = None
    traceback: str | None = None
    stop_asked: bool = False
    kill_asked: bool = False
    grace: float | None = None
    progress: Progress = NOTHING_BEGUN
    text: str = ""
    oom_kills: int | None = None
    cpu_time: float | None = None
    peak_memory: int | None = None
    stderr: tuple[str, ...] = ()
    began: bool = True
    found_first: str | None = None
    left: bool = False
    idle: bool = False
    lost: str | None = None
    counts: Counts = {}
    overwritten: bool = False
    unended: str | None = None

    @property
    def with_its_message(self) -> bool:
        """Whether a message ended it: it was handling one, or was killed for one that had just returned."""
        return bool(self.progress.active) or (self.kill_asked and self.wire_error is None)

    @property
    def survival(self) -> str:
        """That its process may live on, in words; empty as a rule."""
        return "" if self.unended is None else f"the process could not be ended: {self.unended}"


def hung_where(place: str, end: LifeEnd) -> str:
    """Where a life was that was not ready in time, and that its process may live on, in words; both may be empty."""
    stays = "" if end.unended is None else f"a process that could not be ended: {end.unended}"
    return ", in ".join(filter(None, (place, stays)))
