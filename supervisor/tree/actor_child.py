"""ActorChild: a child that is an actor in a process; its lives come and go, its mailbox stays.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from actors.exits import ExitReport
from actors.wire.to_child import ProcessOptions, StartActor
from supervisor.core.health.hang_detector import Health
from supervisor.core.place import LOCAL
from supervisor.core.rules.down import Down
from supervisor.core.tree.commands import Decision, ReportExit
from supervisor.messaging.tree_context import TreeContext
from supervisor.observe.logs import actor_logger, level_of
from supervisor.ports.launching import Expected
from supervisor.ports.life import Life
from supervisor.specs import ChildSpec
from supervisor.tree.actor_life import ActorLife
from supervisor.tree.child import Post
from supervisor.tree.pool import Pool

if TYPE_CHECKING:
    from supervisor.durable.mailbox import DurableMailbox


class ActorChild:
    """A child that is an actor in a process: its current life, perhaps a successor, and its mailbox."""

    def __init__(self, supervisor: str, name: str, pool: Pool, tree: TreeContext, post: Post) -> None:
        self.path = f"{supervisor}/{name}"
        self.mailbox = pool.mailbox
        self.last_report: ExitReport | None = None
        self.pool = pool
        self._current: ActorLife | None = None
        self._successor: ActorLife | None = None
        self._alone = 0  # the last life that was started without another beside it
        self._state: bytes | None = None  # what a life has saved for the next one, until that has begun something
        self._name = name
        self._tree = tree
        self._post = post

    @property
    def spec(self) -> ChildSpec:
        """The spec of the actor or pool."""
        return self.pool.spec

    @property
    def expected(self) -> Expected | None:
        """See `Child`: what must hold during imports needs a fresh process."""
        template = self.pool.template
        if self.spec.place != LOCAL or not template.captured or template.conditions != ProcessOptions():
            return None
        return Expected(self.path, template.module, tuple(template.main.items()), self.spec.actor.concurrency)

    # ---- deeds

    def start(self, life: int) -> None:
        """Start a life: the next one, or the successor of the current one.

        Raises:
            OSError: the system has no descriptor or no memory left for it.
        """
        begun = ActorLife(self._name, self.path, life, self.pool, self._tree, post=self._post)
        start = self._start_actor(life)
        if self._current is None:
            self._open()
            self._current = begun
            self._alone = life
            start = replace(start, state=self._state_now())
        else:
            self.pool.recycling.add(self._name)
            self._successor = begun
            self._tree.reports.successor_begun(self.path, life)
        begun.begin(start)

    def await_streams(self, life: int) -> None:
        """Post StreamsOver when a life has no stream or feed in flight."""
        self._of(life).await_streams()

    def stop(self, life: int, *, recycled: bool) -> None:
        """Ask a life to stop; it gets no more messages."""
        stopped = self._of(life)
        if stopped is not self._current:
            pass
        elif recycled:
            self.pool.recycling.add(self._name)
            self.mailbox.consumers.make_room(self._name)
        else:
            self.mailbox.consumers.disconnect(self._name)
        stopped.stop()

    def examine(self, life: int, then: Callable[[], None]) -> None:
        """Ask a life that is not ready in time for its stacks, then call `then`."""
        self._of(life).examine(then)

    def kill(self, life: int) -> None:
        """Kill a life."""
        killed = self._of(life)
        if killed is self._current:
            self.mailbox.consumers.disconnect(self._name)
        killed.kill()

    def retire(self, down: Down) -> None:
        """It stays down. A pool's mailbox closes with its last member; messages for another member go to the rest."""
        self.pool.retired.add(self._name)
        if self.pool.down:
            self.mailbox.close(down)
        else:
            self.mailbox.remove_member(self._name)

    def forget(self) -> None:
        """The spec is gone."""
        pool = self.pool
        pool.remove(self._name)
        if pool.members:
            self.mailbox.remove_member(self._name)
        else:
            self._tree.registry.remove(self.mailbox.path, self.mailbox)
            self._tree.topics.forget(self.mailbox.path)
            self.mailbox.forget()

    def hand_over(self) -> None:
        """Its mailbox stays as it is."""

    def ready(self, life: int) -> None:
        """Let messages flow."""
        self.pool.recycling.discard(self._name)
        current = self._of(life)
        if current.life is not None:
            self._tree.reports.child_started(self.path, life, current.life.pid, current.node)
        current.serve(None if life == self._alone else self._state_now())

    def report(self, command: ReportExit) -> ExitReport:
        """Report a life that ended, then give each of its messages its fate. The successor takes its place."""
        over = self._of(command.life)
        report = self.last_report = over.report(command)
        served = over is self._current
        if served:
            self._current = self._successor
            self._pass_on(over, command.decision)
        elif self._current is not None and command.decision is not Decision.RESTART:
            self._current.recycle_failed()
        self._successor = None
        if command.decision is not Decision.RECYCLE:
            self.pool.recycling.discard(self._name)
        self._tree.reports.child_exited(report, command.policy.value, command.restarts)
        if served:
            self.mailbox.lost(self._name, over.blamed(), report)
        return report

    def _state_now(self) -> bytes | None:
        """What the next life begins with."""
        if not self.mailbox.durable:
            return self._state
        return cast("DurableMailbox", self.mailbox).state_of(self._name)

    def _pass_on(self, over: ActorLife, decision: Decision) -> None:
        """Keep what a life has saved when its next life follows at once; what it was given, if it has done nothing."""
        if decision is Decision.RECYCLE and over.saved is not None:
            self._state = over.saved
        elif over.progress().since > 0:  # it has begun a message, or one of its own timers
            self._state = None

    # ---- what is known of its current life

    @property
    def life(self) -> Life | None:
        """The process of its current life, None without one."""
        return None if self._current is None else self._current.life

    @property
    def pid(self) -> int | None:
        """Its process id, None when it has no process."""
        return None if self.life is None else self.life.pid

    @property
    def node(self) -> str | None:
        """Name of the machine of its current life; None on the daemon's."""
        return None if self._current is None else self._current.node

    @property
    def awaits(self) -> str:
        """Why its current life has no machine yet, in words; empty where it has one."""
        return "" if self.life is None else self.life.awaits

    @property
    def resident(self) -> int | None:
        """Bytes of resident memory of its process, None without one."""
        return None if self._current is None else self._current.resident_bytes()

    def health(self) -> Health | None:
        """The health of its life; None without a process."""
        return None if self._current is None else self._current.health()

    @property
    def degraded(self) -> str | None:
        """What is wrong with its life, as it says itself."""
        monitors = None if self._current is None else self._current.monitors
        return None if monitors is None else monitors.degraded

    @property
    def serves(self) -> bool:
        """Whether its life takes messages."""
        return self._current is not None and self._current.serves

    def handling(self) -> tuple[str | None, int | None]:
        """Type name of the message being handled now and time.monotonic_ns() of its beginning; None when idle."""
        return (None, None) if self._current is None else self._current.handling()

    # ---- inside

    def _of(self, life: int) -> ActorLife:
        for one in (self._current, self._successor):
            if one is not None and one.number == life:
                return one
        raise AssertionError(f"{self.path} has no life {life}")

    def _open(self) -> None:
        """Open the mailbox for it."""
        self.pool.retired.discard(self._name)
        self.mailbox.open()
        self.mailbox.add_member(self._name)
        living = self.pool.members.keys() - self.pool.retired
        for name in set(self.mailbox.consumers.names) - living:  # the last member before, which may be forgotten now
            self.mailbox.remove_member(name)

    def _start_actor(self, life: int) -> StartActor:
        template = self.pool.template
        return replace(
            template,
            path=self.path,
            life=life,
            log_level=level_of(actor_logger(self.path)),
            heartbeat=template.heartbeat or self._tree.heartbeats,
            tracing=self._tree.tracing is not None,
        )
