"""ActorChild: a child that is an actor in a process.

It carries out and tells; its lives come and go, its mailbox stays.

Runs on the loop's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from actors.exits import ExitKind, ExitReport
from actors.ipc.blackbox import NOTHING_BEGUN
from actors.wire.frames import Outcomes, StartActor
from actors.wire.framing import Attachment
from actors.wire.log_lines import Record
from actors.wire.progress import Progress
from supervisor.core.health.exit_cause import exit_reason, native_stack, signal_name
from supervisor.core.health.hang_detector import Health, health
from supervisor.core.health.life_end import LifeEnd
from supervisor.core.tree import events as happened
from supervisor.core.tree.commands import ReportExit
from supervisor.core.tree.events import AnyEvent
from supervisor.mailbox.mailbox import Mailbox
from supervisor.messaging.actor_requests import Outgoing
from supervisor.messaging.shared import TreeContext
from supervisor.observe.logs import actor_logger, level_of
from supervisor.ports import Life, Said
from supervisor.process.lean_spawn import main_module
from supervisor.specs import ChildSpec
from supervisor.system.procfs import condition
from supervisor.tree.recycler import Recycler, recycler_of
from supervisor.tree.watchdog import Watchdog

Post = Callable[[AnyEvent], None]


class PoolDesk:
    """What the processes of one spec share: their mailbox."""

    def __init__(self, mailbox: Mailbox, spec: ChildSpec) -> None:
        self.mailbox = mailbox
        self.spec = spec
        self.members = set(spec.members())
        self.retired: set[str] = set()


def place(member: str) -> int:
    """The place of a process in its pool, counted from 0."""
    return int(member.rpartition("/")[2]) if "/" in member else 0


class ActorChild:
    """A child that is an actor in a process: its current life, and the way of its messages."""

    def __init__(self, supervisor: str, name: str, desk: PoolDesk, tree: TreeContext, post: Post) -> None:
        self.path = f"{supervisor}/{name}"
        self.life: Life | None = None
        self.number = 0
        self.started_at = 0.0
        self._post = post
        self._name = name
        self.mailbox = desk.mailbox
        self.last_report: ExitReport | None = None
        self.desk = desk
        self._tree = tree
        self._outgoing = Outgoing(self.path, desk.mailbox, tree)
        self._end: LifeEnd | None = None
        self._watch: Watchdog | None = None
        self._recycler: Recycler | None = None
        self._making_room = False

    @property
    def spec(self) -> ChildSpec:
        """What it is, as one of a pool or alone."""
        return self.desk.spec

    # ---- deeds

    def start(self, life: int) -> None:
        """Begin a life."""
        spec = self.desk.spec
        self.desk.retired.discard(self._name)
        self.mailbox.open()
        self.mailbox.add_member(self._name)
        for down in self.desk.retired:  # those may have been the last ones before
            self.mailbox.remove_member(down)
        self.number = life
        self._making_room = False
        self.started_at = self._tree.loop.time()
        part = StartActor(
            path=self.path,
            life=life,
            module=spec.actor.__module__,
            qualname=spec.actor.__qualname__,
            arguments=spec.arguments,
            address=self.mailbox.path,
            conditions=spec.conditions(),
            main=main_module() if spec.needs_main else {},
            captured=spec.output == "capture",
            handler_timeout=spec.handler_timeout or 0.0,
            max_frame=spec.max_frame_bytes,
            log_level=level_of(actor_logger(self.path)),
        )
        self.life = self._tree.launcher.launch(part, spec.actor.concurrency, self)
        self._outgoing.begin(self.life)

    def stop(self) -> None:
        """Ask the life to stop; it gets no more messages. Its handlers are watched on."""
        if self._recycler is not None:
            self._recycler.close()
        if self._making_room:
            self.mailbox.make_room(self._name)
        else:
            self.mailbox.disconnect(self._name)
        if self.life is not None:
            self.life.stop()

    def kill(self) -> None:
        """End the life at once."""
        self._look_no_more()
        self.mailbox.disconnect(self._name)
        if self.life is not None:
            self.life.kill()

    def retire(self, because: str) -> None:
        """Down for good. A pool's mailbox closes with its last member; what waited for another goes to the rest."""
        self.desk.retired.add(self._name)
        if self.desk.retired >= self.desk.members:
            self.mailbox.close(because)
        else:
            self.mailbox.remove_member(self._name)

    def forget(self) -> None:
        """The spec is gone."""
        desk = self.desk
        desk.members.discard(self._name)
        desk.retired.discard(self._name)
        if desk.members:
            self.mailbox.remove_member(self._name)
        else:
            self._tree.registry.remove(self.mailbox.path, self.mailbox)
            self.mailbox.forget()

    def ready(self, life: int) -> None:
        """Let messages flow."""
        self.started_at = self._tree.loop.time()
        if self.life is not None:
            self._tree.reports.child_started(self.path, life, self.life.pid)
            self.mailbox.connect(self._name, self.life)
            self._recycler = recycler_of(self.spec, self, self._tree)
            if self.spec.handler_timeout is not None:
                self._watch = Watchdog(self.spec.handler_timeout, self, self.life, self._tree.loop)

    @property
    def pid(self) -> int | None:
        """Of its process, None when it has none."""
        return None if self.life is None else self.life.pid

    @property
    def busy(self) -> bool:
        """Whether its life has messages in its hands, and was not asked to stop."""
        return self.mailbox.awaits(self._name)

    def handler_name(self, index: int) -> str:
        """A handler in words, `Index.search`; a place in the table that a process made up has none."""
        protocol = self.mailbox.protocol
        names = [handler.name for handler in protocol.handlers.values()]
        return f"{protocol.actor.__qualname__}.{names[index]}" if 0 <= index < len(names) else "a handler"

    @property
    def handled(self) -> int:
        """How many messages its life is through with."""
        return self.mailbox.handled(self._name)

    def make_room(self, because: str) -> bool:
        """Ask for the next life in place of this one; False while that would break off a stream or thin out a pool."""
        if self.mailbox.flowing(self._name) or not self.mailbox.complete:
            return False
        self._making_room = True
        self._post(happened.RecycleAsked(self._name, self.number, because))
        return True

    def report(self, command: ReportExit) -> ExitReport:
        """Tell the world of the life that ended, then each of its messages its fate."""
        life, end = self.life, self._end
        if life is None or end is None:  # it could not be started
            end, progress = LifeEnd(pid=None, exit_code=None), NOTHING_BEGUN
        else:
            progress = life.progress()
        message, begun = self._last_message(progress)
        report = ExitReport(
            actor=self.path,
            life=command.life,
            pid=end.pid,
            reason=command.reason,
            exit_code=end.exit_code if end.exit_code is not None and end.exit_code >= 0 else None,
            signal=signal_name(-end.exit_code) if end.exit_code is not None and end.exit_code < 0 else None,
            traceback=end.crash_report.failure.traceback if end.crash_report is not None else None,
            native_stack=native_stack(end.text),
            last_message=message,
            last_message_begun=begun,
            deliveries=self.mailbox.deliveries(self._name, progress) if begun else None,
            out_of_memory=None if end.oom_kills is None else end.oom_kills > 0,
            cpu_time=end.cpu_time,
            peak_memory=end.peak_memory,
            stderr=end.stderr,
            stacks=None if self._watch is None else self._watch.stacks,
            uptime=self._tree.loop.time() - self.started_at,
            decision=command.decision.value,
            because=command.because,
            delay=command.delay,
        )
        self.life, self._end = None, None
        self._recycler, self._watch = None, None
        self._outgoing.end()
        self.last_report = report
        self._tree.reports.child_exited(report, command.policy.value, command.restarts)
        self.mailbox.lost(self._name, progress, report)
        return report

    def _look_no_more(self) -> None:
        for looks in (self._recycler, self._watch):
            if looks is not None:
                looks.close()

    def health(self) -> Health | None:
        """How its life is; None without a process."""
        if self.life is None or self.life.pid is None:
            return None
        limit = self.spec.handler_timeout
        state = condition(self.life.pid).state
        return health(self.life.activity(), state, time.monotonic_ns(), None if limit is None else int(limit * 1e9))

    def handling(self) -> tuple[str | None, int | None]:
        """Type name of the message being handled now and time.monotonic_ns() of its beginning; None when idle."""
        if self.life is None:
            return None, None
        progress = self.life.progress()
        message, begun = self._last_message(progress)
        return (message, progress.since) if begun else (None, None)

    def _last_message(self, progress: Progress) -> tuple[str | None, bool | None]:
        """Type name of the message a life began last, and whether it is still being handled."""
        handlers = tuple(self.mailbox.protocol.handlers)
        if not 0 <= progress.handler < len(handlers):
            return None, None
        return handlers[progress.handler].__qualname__, bool(progress.active)

    # ---- what its life tells (LifeListener)

    def life_ready(self) -> None:
        """See `LifeListener`."""
        self._post(happened.ChildReady(self._name, self.number))

    def life_writable(self) -> None:
        """See `LifeListener`."""
        self.mailbox.dispatch()

    def life_said(self, frame: Said, attachments: Sequence[Attachment] = ()) -> None:
        """See `LifeListener`."""
        if isinstance(frame, Outcomes):
            self.mailbox.heard(self._name, frame, attachments)
            if self._recycler is not None:
                self._recycler.heard()
        else:
            self._outgoing.take(frame, attachments)

    def life_wrote(self, life: int, record: Record) -> None:
        """See `LifeListener`."""
        self._tree.reports.actor_said(self.path, life, record)

    def life_lost(self, life: int, lines: int, size: int) -> None:
        """See `LifeListener`."""
        self._tree.reports.output_dropped(self.path, life, lines, size)

    def life_exited(self, end: LifeEnd) -> None:
        """See `LifeListener`."""
        self._end = end
        self._look_no_more()
        hang = None if self._watch is None else self._watch.reason(end.exit_code)
        reason = hang or exit_reason(end)
        wanted = end.idle and reason.kind is ExitKind.NORMAL and self.mailbox.waits_for(self._name)
        if wanted:
            self.mailbox.make_room(self._name)
        self._post(happened.ChildExited(self._name, self.number, reason, self._tree.dice.random(), wanted))
