"""Reports: what happens in the tree, once as a typed event and once as a log line; and what deaths add up to.

The daemon's log configuration is used and never changed.

Runs on the loop's thread. Event names are `noun.past_tense`; `docs/reference/reports.md` lists them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from actors.exits import ExitKind, ExitReason, ExitReport
from actors.wire.log_lines import Record
from supervisor.core.causes import CauseKind
from supervisor.core.health.exit_reason import native_stack, signal_name
from supervisor.core.health.life_end import LifeEnd
from supervisor.core.health.lifetime_limits import TOO_LOW
from supervisor.core.rules.policy import OVER_A_JOB
from supervisor.core.tree.commands import Decision, ReportExit
from supervisor.observe.broadcast import Broadcast
from supervisor.observe.dead_letters import DeadLetter, DeadReason
from supervisor.observe.happenings import (
    ChildExited,
    ChildStarted,
    HandlerSlow,
    Happening,
    HealthChanged,
    MailboxUnclaimed,
    StoreFailed,
    SuccessorBegun,
    SupervisorGaveUp,
    SupervisorStarted,
    SupervisorStopped,
)
from supervisor.observe.logs import LEVELS, TREE, actor_logger, shows, write

_RESTARTS = frozenset({Decision.RESTART, Decision.RECYCLE})


class Ended:
    """What is known of the lives of one child that have ended.

    Attributes:
        restarts: how many of them were followed by another life, by cause.
        cpu_time: seconds of CPU time of all of them.
    """

    __slots__ = ("cpu_time", "restarts")

    def __init__(self) -> None:
        self.restarts: Counter[str] = Counter()
        self.cpu_time = 0.0


class Deaths:
    """The ends of all lives of one tree, by path."""

    def __init__(self) -> None:
        self._ended: dict[str, Ended] = {}

    def add(self, report: ExitReport) -> None:
        """A life has ended."""
        ended = self._ended.setdefault(report.actor, Ended())
        ended.cpu_time += report.cpu_time or 0.0
        if report.decision in _RESTARTS:
            ended.restarts[cause_of(report)] += 1

    def of(self, path: str) -> Ended:
        """What the lives of a child add up to."""
        return self._ended.get(path) or Ended()

    def forget(self, path: str) -> None:
        """The child at this path is gone, with everything below it."""
        for known in [known for known in self._ended if known == path or known.startswith(f"{path}/")]:
            del self._ended[known]


class Reports:
    """Reports what happens in a tree. One per tree.

    Attributes:
        deaths: what the ends of lives add up to.
    """

    def __init__(self) -> None:
        self.happenings: Broadcast[Happening] = Broadcast()
        self.dead_letters: Broadcast[DeadLetter] = Broadcast()
        self.deaths = Deaths()
        self._dead_lettered: dict[tuple[str, DeadReason], int] = {}

    def child_started(self, actor: str, life: int, pid: int | None, node: str | None = None) -> None:
        """A life is ready."""
        self._happened(ChildStarted(actor, life, pid, node))
        process = {} if pid is None else {"pid": pid}  # a task of the daemon has none
        self._write("info", "child.started", {"actor": actor, "life": life, **process, **_at(node)})

    def successor_begun(self, actor: str, life: int) -> None:
        """A life is started beside the current one."""
        self._happened(SuccessorBegun(actor, life))
        self._write("info", "successor.begun", {"actor": actor, "life": life})

    def handler_slow(self, slow: HandlerSlow) -> None:
        """A handler takes longer than its soft limit."""
        self._happened(slow)
        fields = {"actor": slow.actor, "life": slow.life, "handler": slow.handler, "seconds": round(slow.seconds, 3)}
        stacks = {} if slow.stacks is None else {"stacks": slow.stacks}
        self._write("warning", "handler.slow", {**fields, **stacks})

    def health_changed(self, changed: HealthChanged) -> None:
        """An actor says how it is."""
        self._happened(changed)
        fields = {"actor": changed.actor, "life": changed.life}
        if changed.degraded is None:
            self._write("info", "health.restored", fields)
        else:
            self._write("warning", "health.degraded", {**fields, "detail": changed.degraded})

    def child_exited(self, report: ExitReport, policy: str, restarts: int) -> None:
        """A life has ended."""
        self.deaths.add(report)
        self._happened(ChildExited(report))
        expected = report.decision == Decision.EXPECTED and not report.reason.abnormal
        level = "info" if expected or not report.reason.abnormal else "error"
        if report.because.endswith(TOO_LOW) or report.because == OVER_A_JOB:
            level = "warning"  # so is every next life, before it is of any use; or the job's caller has the error
        if shows(TREE, level):
            fields = {"policy": policy, "restarts": restarts, **_fields(report)}
            self._write(level, "child.exited", fields, line=report.line)

    def supervisor_started(self, supervisor: str) -> None:
        """All static children are ready."""
        self._happened(SupervisorStarted(supervisor))
        self._write("info", "supervisor.started", {"supervisor": supervisor})

    def supervisor_gave_up(self, supervisor: str, child: str, restarts: int) -> None:
        """The restart intensity is exceeded."""
        self._happened(SupervisorGaveUp(supervisor, child, restarts))
        fields = {"supervisor": supervisor, "child": child, "restarts": restarts}
        self._write("critical", "supervisor.gave_up", fields)

    def task_cancelled(self, supervisor: str) -> None:
        """The tree gave up and cancels the task that entered it."""
        why = (
            "the task that entered the tree is cancelled. A web server whose lifespan this is serves on without its "
            "actors: Supervisor(..., on_give_up='sigterm') stops the server"
        )
        self._write("critical", "task.cancelled", {"supervisor": supervisor, "detail": why})

    def supervisor_stopped(self, supervisor: str, reason: ExitReason) -> None:
        """Everything under a supervisor is down."""
        self._happened(SupervisorStopped(supervisor, reason))
        self._write("info", "supervisor.stopped", {"supervisor": supervisor, "reason": str(reason)})

    def orphan_reaper_lost(self, supervisor: str, why: str) -> None:
        """The orphan reaper is gone: descendants of dead actors stay until another one is started."""
        self._write("warning", "orphan_reaper.lost", {"supervisor": supervisor, "detail": why})

    def node_joined(self, node: str) -> None:
        """A machine of the cluster can start lives."""
        self._write("info", "node.joined", {"node": node})

    def node_failed(self, node: str, why: str) -> None:
        """No agent can run on a machine of the cluster; others are taken while there are some."""
        self._write("warning", "node.failed", {"node": node, "detail": why})

    def node_lost(self, node: str, why: str) -> None:
        """A machine of the cluster is gone, and every life there."""
        self._write("error", "node.lost", {"node": node, "detail": why})

    def descriptors_short(self, supervisor: str, needed: int, limit: int) -> None:
        """The daemon's limit of descriptors is too low for its tree."""
        why = "actors beyond the limit will not start; raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE=)"
        fields = {"supervisor": supervisor, "needed": needed, "limit": limit, "detail": why}
        self._write("warning", "descriptors.short", fields)

    def spare_failed(self, supervisor: str, module: str | None, why: str) -> None:
        """A spare failed. If it died while it imported a module, the next spare leaves that module out."""
        self._write("warning", "spare.failed", {"supervisor": supervisor, "module": module, "detail": why})

    def schedule_failed(self, name: str, child: str, why: str) -> None:
        """A scheduled message could not be sent when its time came; it is tried again."""
        detail = f"{why}; it is tried again, and told when that differs: root.unschedule({name!r}) ends it"
        self._write("warning", "schedule.failed", {"schedule": name, "actor": child, "detail": detail})

    def mailbox_unclaimed(self, mailbox: str, waiting: int, dead_letters: int) -> None:
        """The store has a mailbox that no durable actor of the tree has."""
        self._happened(MailboxUnclaimed(mailbox, waiting, dead_letters))
        why = "no durable actor has this path: it was renamed or removed; root.store.move(...) or .discard(...) it"
        fields = {"mailbox": mailbox, "waiting": waiting, "dead_letters": dead_letters, "detail": why}
        self._write("warning", "mailbox.unclaimed", fields)

    def states_unclaimed(self, mailbox: str, members: Sequence[str]) -> None:
        """The store has states of processes that a durable actor of the tree does not have."""
        why = "size= of its spec was another one, and these states are not loaded; with that size they are"
        names = [member or "the one of size=1" for member in members]
        self._write("warning", "states.unclaimed", {"mailbox": mailbox, "members": names, "detail": why})

    def store_failed(self, mailbox: str, error: Exception) -> None:
        """A transaction of a mailbox was not stored; it is tried again."""
        self._happened(StoreFailed(mailbox, str(error)))
        self._write("error", "store.failed", {"mailbox": mailbox, "detail": str(error)})

    def message_dead_lettered(self, letter: DeadLetter) -> None:
        """A message became a dead letter. Logged the 1st, 10th, 100th... time for each actor and reason."""
        self.dead_letters.tell(letter)
        key = (letter.actor, letter.reason)
        if len(self._dead_lettered) > _KINDS_COUNTED:
            self._dead_lettered.clear()  # names come and go with dynamic children
        count = self._dead_lettered[key] = self._dead_lettered.get(key, 0) + 1
        if _is_said(count):
            fields = {
                "actor": letter.actor,
                "message": letter.message_type,
                "reason": letter.reason.value,
                "detail": letter.detail,
                "deliveries": letter.deliveries,
                "count": count,
            }
            self._write("warning", "message.dead_lettered", fields)

    def actor_said(self, actor: str, life: int, record: Record, node: str | None = None) -> None:
        """A log line of an actor."""
        level = record.level if record.level in LEVELS else "info"
        said = record.fields  # as the actor gave them: the lines of an inner tree name its own actors
        speaker = {
            f"speaker_{name}" if name in said else name: value
            for name, value in {"actor": actor, "life": life, **_at(node)}.items()
        }
        self._write(level, record.event, {**said, **speaker}, actor_logger(actor))

    def output_dropped(self, actor: str, life: int, lines: int, size: int) -> None:
        """Output of an actor was dropped because it came too fast."""
        self._write("warning", "output.dropped", {"actor": actor, "life": life, "lines": lines, "bytes": size})

    def close(self) -> None:
        """The tree has ended: every reader ends, and the log has the number of all dead letters of each kind."""
        for (actor, reason), count in self._dead_lettered.items():
            if not _is_said(count):
                fields = {"actor": actor, "reason": reason.value, "detail": "in all", "count": count}
                self._write("warning", "message.dead_lettered", fields)
        self.happenings.close()
        self.dead_letters.close()

    def _happened(self, happening: Happening) -> None:
        """Give an event to those that follow, if there are any."""
        if self.happenings.readers:
            self.happenings.tell(happening)

    def _write(
        self, level: str, event: str, fields: Mapping[str, object], logger: str = TREE, line: str | None = None
    ) -> None:
        """Write one line; `line` is how `logging` shows it.

        What the daemon's own log processors raise goes to the loop's exception handler and stops nothing.
        """
        try:
            write(logger, level, event, fields, line)
        except Exception as error:
            context = {"message": f"the log line {event!r} could not be written", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)


def _is_said(count: int) -> bool:
    """Whether the dead letter of that number has a line: the 1st, 10th, 100th..."""
    return str(count).strip("0") == "1"


_KINDS_COUNTED = 10_000


def _at(node: str | None) -> dict[str, object]:
    """The field that names a machine; none for the daemon's own."""
    return {} if node is None else {"node": node}


def _fields(report: ExitReport) -> dict[str, Any]:
    """The fields of one log line: only what is known."""
    fields: dict[str, Any] = {
        "actor": report.actor,
        "life": report.life,
        "pid": report.pid,
        "node": report.node,
        "reason": report.reason.kind.value,
        "error" if report.reason.abnormal else "detail": report.reason.detail,
        "exit_code": report.exit_code,
        "signal": report.signal,
        "last_message": report.last_message,
        "last_message_begun": report.last_message_begun,
        "last_message_failed": report.last_message_failed or None,
        "deliveries": report.deliveries,
        "out_of_memory": report.out_of_memory,
        "cpu_time": None if report.cpu_time is None else round(report.cpu_time, 3),
        "peak_memory": report.peak_memory,
        "cause": report.cause,
        "uptime": round(report.uptime, 3),
        "decision": report.decision,
        "because": report.because,
        "delay": None if report.delay is None else round(report.delay, 3),
        "traceback": report.traceback,
        "native_stack": report.native_stack,
        "stderr": "\n".join(report.stderr) if report.reason.abnormal and report.stderr else None,
        "stacks": report.stacks,
    }
    return {name: value for name, value in fields.items() if value is not None}


RESTART_CAUSES: Final = (
    "recycle",
    *(kind.value for kind in CauseKind),
    "normal",
    "shutdown",
    "crashed",
    "killed",
    "lost",
)
"""What `cause_of` may say."""


def cause_of(report: ExitReport) -> str:
    """The cause of a death in one word: the kind of a `Cause`, `recycle`, or the kind of the reason."""
    reason = report.reason
    words = {
        "recycle": report.decision == Decision.RECYCLE,
        CauseKind.HANG.value: reason.detail.startswith("hung:"),
        CauseKind.OUT_OF_MEMORY.value: bool(report.out_of_memory),
        CauseKind.FAILED_START.value: reason.kind is ExitKind.UNSTARTED,
        CauseKind.SIGNAL.value: reason.kind is ExitKind.KILLED and report.signal is not None,
        CauseKind.EXCEPTION.value: reason.kind is ExitKind.CRASHED and report.traceback is not None,
        CauseKind.EXIT_CODE.value: reason.kind is ExitKind.CRASHED and report.exit_code is not None,
    }
    return next((word for word, holds in words.items() if holds), reason.kind.value)


def report_of(path: str, end: LifeEnd, command: ReportExit, uptime: float) -> ExitReport:
    """The report of the end of a process.

    Args:
        path: of the child.
        end: the bare facts.
        command: what follows.
        uptime: seconds since it was ready; since its start, if it never was.
    """
    code = end.exit_code
    return ExitReport(
        actor=path,
        life=command.life,
        pid=end.pid,
        reason=command.reason,
        exit_code=code if code is not None and code >= 0 else None,
        signal=signal_name(-code) if code is not None and code < 0 else None,
        traceback=end.traceback if end.crash_report is None else end.crash_report.failure.traceback,
        native_stack=native_stack(end.text),
        out_of_memory=None if end.oom_kills is None else end.oom_kills > 0,
        cpu_time=end.cpu_time,
        peak_memory=end.peak_memory,
        stderr=end.stderr,
        uptime=uptime,
        decision=command.decision.value,
        because=command.because,
        delay=command.delay,
    )
