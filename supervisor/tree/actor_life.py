"""ActorLife: one life of an actor, from the start of its process until its end is reported.

It gets the events of the process and posts them to the supervisor. A life that was started beside the current one
gets no messages before it serves.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

import msgspec

from actors.errors import WireError
from actors.exits import ExitKind, ExitReason, ExitReport
from actors.jobs.jobs import Jobs
from actors.wire.framing import Carried
from actors.wire.from_child import HealthIs, Outcomes, Replies, Saved, Settled
from actors.wire.log_lines import Record
from actors.wire.progress import NOTHING_BEGUN, Progress
from actors.wire.to_child import StartActor
from supervisor.core.health.causes import causes_of
from supervisor.core.health.exit_reason import exit_reason
from supervisor.core.health.hang_detector import Health, health
from supervisor.core.health.life_end import LifeEnd, hung_where
from supervisor.core.rules.policy import OVER_A_JOB
from supervisor.core.tree import events as happened
from supervisor.core.tree.commands import ReportExit
from supervisor.jobs import life_jobs
from supervisor.mailbox.mailbox import Mailbox
from supervisor.messaging.actor_requests import ActorRequests
from supervisor.messaging.tree_context import TreeContext
from supervisor.monitors.monitors import Monitors
from supervisor.monitors.seen import NOTHING_SEEN
from supervisor.observe.reports import report_of
from supervisor.ports.life import Life, Said
from supervisor.tree.child import Post
from supervisor.tree.pool import Pool

if TYPE_CHECKING:
    from supervisor.durable.mailbox import DurableMailbox

OnOutcomes = Callable[[Outcomes | Replies, Sequence[Carried]], None]


class ActorLife:
    """One life of an actor.

    Args:
        name: of the child.
        path: of the actor, or of one of a pool.
        number: of the life.
        pool: what it shares with the others of its pool.
        tree: what it shares with the rest of the tree.
        post: takes its events.

    Attributes:
        life: its process, None when that could not be started.
        serves: whether it ever got messages.
        saved: its state after its last message, in msgpack; None as long as it has not said it.
        monitors: what looks at it; None as long as there is nothing to look for.
        life_outcomes: see `LifeListener`; once it serves, the mailbox's own, unless more has to be done.
    """

    def __init__(self, name: str, path: str, number: int, pool: Pool, tree: TreeContext, *, post: Post) -> None:
        self.number = number
        self.life: Life | None = None
        self.serves = False
        self.saved: bytes | None = None
        self.life_outcomes: OnOutcomes = _refuse_outcomes
        self.monitors: Monitors | None = None
        self._path = path
        self._name = name
        self._pool = pool
        self._mailbox = pool.mailbox
        self._runs_jobs = issubclass(pool.spec.actor, Jobs)
        self._tree = tree
        self._post = post
        self._since = tree.loop.time()
        self._requests: ActorRequests | None = None  # once it asks the tree for something
        self._ready = False
        self._end: LifeEnd | None = None
        self._seen = NOTHING_SEEN  # of its end
        self._asked = False  # whether the next life was asked for
        self._awaits_streams = False

    # ---- deeds

    def begin(self, start: StartActor) -> None:
        """Start its process.

        Raises:
            OSError: the system has no descriptor or no memory left for it.
        """
        self.life = self._pool.launcher.launch(start, self._pool.spec.actor.concurrency, self)
        self._mailbox.counted.begin(self.life)

    def serve(self, state: bytes | None) -> None:
        """Take messages from the mailbox from now on.

        Args:
            state: what the life before has saved; None when it has said nothing, or this life was started with it.
        """
        if self.monitors is not None:
            self.monitors.ready()
        self._since = self._tree.loop.time()
        if self.life is None:
            return
        self.serves = True
        if state is not None:
            self.life.restore(state)
        if self._mailbox.durable:
            self._on_outcomes = partial(self._settle, None)
        elif self._runs_jobs:
            self._on_outcomes = partial(life_jobs.settle, self._mailbox, self._name)
        else:
            self._on_outcomes = partial(self._mailbox.dispatcher.on_outcomes, self._name)
        self.life_outcomes = self._outcomes if self._pool.limited else self._on_outcomes
        self._mailbox.connect(self._name, self.life)
        if self._pool.monitored:
            self._watch().begin(self, self.life, says_health=self._mailbox.protocol.says_health)

    def await_streams(self) -> None:
        """Post StreamsOver when no stream or feed is in flight."""
        self._awaits_streams = True
        if self.serves:
            self.life_outcomes = self._outcomes
        self._tell_streams_over()

    def stop(self) -> None:
        """Ask it to stop. Its handlers are watched on."""
        if self.monitors is not None:
            self.monitors.stop()
        if self.life is not None:
            self.life.stop()

    def examine(self, then: Callable[[], None]) -> None:
        """Ask it for its stacks, then call `then`; at once when it has no process."""
        if self.life is None or self.life.pid is None:
            then()
        else:
            self._watch().examine(self.life, then)

    def kill(self) -> None:
        """Kill it."""
        if self.monitors is not None:
            self.monitors.close()
        if self.life is not None:
            self.life.kill()

    def recycle_failed(self) -> None:
        """The next life that was asked for did not start; a limit asks again."""
        self._asked = False

    # ---- what is known of it

    @property
    def node(self) -> str | None:
        """Name of the machine it runs on; None on the daemon's, and before it has one."""
        return None if self.life is None else self.life.node

    def resident_bytes(self) -> int | None:
        """The resident memory of its process."""
        return None if self.life is None else self.life.resident_bytes()

    @property
    def busy(self) -> bool:
        """Whether messages are in flight to it, and it was not asked to stop."""
        return self._mailbox.consumers.awaits(self._name)

    def handler_name(self, index: int) -> str:
        """A handler in words, `Index.search`; empty for an index that is not in the table."""
        protocol = self._mailbox.protocol
        names = [handler.name for handler in protocol.handlers.values()]
        if not 0 <= index < len(names):
            return "a handler"
        if self._runs_jobs:
            return life_jobs.job_of(self._mailbox, self._name, self.progress()) or "a job"
        return f"{protocol.actor.__qualname__}.{names[index]}"

    @property
    def handled(self) -> int:
        """How many of its messages have ended."""
        return self._mailbox.consumers.handled(self._name)

    def make_room(self, because: str) -> None:
        """Ask for the next life, once; not while a stream is in flight, or another of its pool is being replaced."""
        if self._asked or self._mailbox.consumers.flowing(self._name) or self._pool.recycling - {self._name}:
            return
        self._asked = True
        self._pool.recycling.add(self._name)
        self._post(happened.RecycleAsked(self._name, self.number, because))

    def blamed(self) -> Progress | None:
        """What its black box said at the end; None when it was lost with its machine, or overwritten."""
        end = self._end
        return None if end is not None and (end.lost is not None or end.overwritten) else self.progress()

    def progress(self) -> Progress:
        """What its black box says."""
        if self._end is not None:
            return self._end.progress
        return NOTHING_BEGUN if self.life is None else self.life.progress()

    def report(self, command: ReportExit) -> ExitReport:
        """The report of its end. Its own requests are withdrawn."""
        end = self._end or LifeEnd(pid=None, exit_code=None)  # it could not be started
        if self._requests is not None:
            self._requests.end(end)
        progress = end.progress
        message, begun = _last_message(self._mailbox, self._name, progress)
        return msgspec.structs.replace(
            report_of(self._path, end, command, self._tree.loop.time() - self._since),
            node=self.node,
            last_message=message,
            last_message_begun=begun,
            last_message_failed=begun is False and _is_where(end, self.handler_name(progress.handler)),
            deliveries=self._mailbox.consumers.deliveries(self._name, progress) if begun else None,
            stacks=self._seen.stacks,
        )

    def health(self) -> Health | None:
        """Its health; None without a process."""
        if self.life is None or self.life.pid is None:
            return None
        limit = self._pool.spec.handler_timeout
        state = self.life.condition().state
        return health(
            self.life.activity(), state, self._tree.clock.monotonic_ns(), None if limit is None else int(limit * 1e9)
        )

    def handling(self) -> tuple[str | None, int | None]:
        """Type name of the message being handled now and time.monotonic_ns() of its beginning; None when idle."""
        progress = self.progress()
        message, begun = _last_message(self._mailbox, self._name, progress)
        return (message, progress.since) if begun else (None, None)

    def _outcomes(self, frame: Outcomes | Replies, attachments: Sequence[Carried] = ()) -> None:
        """Settle outcomes, and look what follows from them for this life."""
        self._on_outcomes(frame, attachments)
        self._heard()

    def _settle(
        self,
        state: bytes | None,
        frame: Outcomes | Replies,
        attachments: Sequence[Carried] = (),
    ) -> None:
        """Settle outcomes of a durable actor with what it has sent since the last ones.

        An exception that ends a life with state is settled alone: what it has sent is not, nor what it has changed.
        """
        mailbox = cast("DurableMailbox", self._mailbox)
        alone = state is None and mailbox.protocol.state is not None
        held = [] if alone or self._requests is None else self._requests.take_held()
        mailbox.settle(self._name, frame, state, attachments, held)

    def _watch(self) -> Monitors:
        """What looks at it, from now on."""
        if self.monitors is None:
            self.monitors = Monitors(self._path, self.number, self._pool.spec, self._tree)
        return self.monitors

    def _heard(self) -> None:
        if self.monitors is not None:
            self.monitors.heard()
        if self._awaits_streams:
            self._tell_streams_over()

    def _tell_streams_over(self) -> None:
        if not self._mailbox.consumers.flowing(self._name):
            self._awaits_streams = False
            self._post(happened.StreamsOver(self._name, self.number))

    # ---- what its process tells (LifeListener)

    def life_ready(self) -> None:
        """See `LifeListener`."""
        self._ready = True
        if self._requests is not None:
            self._requests.life_ready()
        self._post(happened.ChildReady(self._name, self.number))

    def life_writable(self) -> None:
        """See `LifeListener`."""
        self._mailbox.dispatcher.dispatch()

    def life_said(self, frame: Said, attachments: Sequence[Carried] = ()) -> None:
        """See `LifeListener`."""
        if isinstance(frame, HealthIs):
            self._watch().health_said(frame.degraded)
        elif isinstance(frame, Settled):
            if not self._mailbox.durable or self._mailbox.protocol.state is None or not self.serves:
                raise WireError(
                    "it settles messages with a state, and is not durable, has no state, or has no messages"
                )
            self._settle(bytes(frame.state), Outcomes(frame.ack_up_to, frame.items), attachments)
            self._heard()
        elif isinstance(frame, Saved):
            if self._mailbox.protocol.state is None:
                raise WireError("it saves a state, and its class has no save")
            self.saved = bytes(frame.state)
        else:
            if self._requests is None:
                self._requests = ActorRequests(self._path, self._mailbox, self._tree, self.life, ready=self._ready)
            self._requests.take(frame, attachments)

    def life_wrote(self, life: int, record: Record) -> None:
        """See `LifeListener`."""
        self._tree.reports.actor_said(self._path, life, record, self.node)

    def life_lost(self, life: int, lines: int, size: int) -> None:
        """See `LifeListener`."""
        self._tree.reports.output_dropped(self._path, life, lines, size)

    def life_exited(self, end: LifeEnd) -> None:
        """See `LifeListener`."""
        if self.serves and end.progress.decoding:
            end = msgspec.structs.replace(end, progress=self._mailbox.consumers.blame(self._name, end.progress))
        self._end = end
        if end.counts:
            self._mailbox.counted.end(end.counts)
        if self.monitors is not None:
            self._seen = self.monitors.end(end)
        killed = life_jobs.killed_over(self._mailbox, self._name, end) if self._runs_jobs else None
        reason = self._seen.hang or killed or exit_reason(end)
        over_a_job = self._runs_jobs and self.serves and life_jobs.ended_it(self._mailbox, self._name, end)
        wanted = over_a_job or (self.serves and _waited_for(self._mailbox, self._name, end, reason))
        if wanted:
            self._mailbox.consumers.make_room(self._name)
        self._post(
            happened.ChildExited(
                self._name,
                self.number,
                reason,
                roll=self._tree.dice.random(),
                wanted=wanted,
                causes=causes_of(end, self._seen.hang) if self._pool.by_cause else (),
                hung_in=_hung_in(end, self._seen.place),
                because=OVER_A_JOB if over_a_job else "",
            )
        )


def _waited_for(mailbox: Mailbox, name: str, end: LifeEnd, reason: ExitReason) -> bool:
    """Whether a life had stopped itself because no message waited, and now one does."""
    return end.idle and reason.kind is ExitKind.NORMAL and mailbox.consumers.waits_for(name)


def _hung_in(end: LifeEnd, place: str | None) -> str:
    """Where a life waited when its time to become ready was over, in words; empty when that is not known."""
    if place is None:
        place = (end.wire_error or "") if end.pid is None else ""
    return place if end.unended is None else hung_where(place, end)


def _last_message(mailbox: Mailbox, name: str, progress: Progress) -> tuple[str | None, bool | None]:
    """The message that a life began last, as reports name it, and whether it is being handled; None if not known."""
    handlers = tuple(mailbox.protocol.handlers)
    if not 0 <= progress.handler < len(handlers):
        return None, None
    jobs = issubclass(mailbox.protocol.actor, Jobs)
    said = life_jobs.job_of(mailbox, name, progress) if jobs else handlers[progress.handler].__qualname__
    return said, None if said is None else bool(progress.active)


def _is_where(end: LifeEnd, handler: str) -> bool:
    """Whether the exception that ended a life came out of that handler."""
    return end.crash_report is not None and end.crash_report.where == f"in {handler}"


def _refuse_outcomes(frame: Outcomes | Replies, attachments: Sequence[Carried] = ()) -> None:
    """Refuse the outcomes of a life that was given no messages.

    Raises:
        WireError: always.
    """
    del frame, attachments
    raise WireError("it reports how messages ended, and was given none")
