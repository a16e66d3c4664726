"""ProcessChild: a child that is one process without a mailbox: a function or a command.

Runs on the loop's thread.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from msgspec import structs

from actors.exits import ExitReason, ExitReport
from actors.wire.framing import Carried
from actors.wire.from_child import Outcomes, Replies
from actors.wire.log_lines import Record
from supervisor.core.health.causes import causes_of
from supervisor.core.health.hang_detector import Health
from supervisor.core.health.life_end import LifeEnd, hung_where
from supervisor.core.tree import events as happened
from supervisor.core.tree.commands import ReportExit
from supervisor.kinds.lone_child import LoneChild, Post
from supervisor.messaging.tree_context import TreeContext
from supervisor.observe.reports import report_of
from supervisor.ports.life import Control, Said
from supervisor.specs import CommandSpec, FunctionSpec
from supervisor.system.procfs import condition, resident_bytes

S = TypeVar("S", bound=FunctionSpec | CommandSpec)


class ProcessChild(LoneChild[S]):
    """A child that is one process without a mailbox. It is the listener of its own lives, one after the other."""

    def __init__(self, spec: S, path: str, tree: TreeContext, post: Post) -> None:
        super().__init__(spec, path, tree, post)
        self._number = 0
        self._life: Control | None = None
        self._end: LifeEnd | None = None
        self._stacks: str | None = None  # of a start that was not ready in time
        self._place = ""  # where it waited then

    @property
    def pid(self) -> int | None:
        """Its process id, None when it has no process."""
        return None if self._life is None else self._life.pid

    @property
    def resident(self) -> int | None:
        """Bytes of resident memory of its process, None without one."""
        return None if self.pid is None else resident_bytes(self.pid)

    @property
    def health(self) -> Health | None:
        """Stopped when a signal has stopped its process; more is not known of it."""
        return Health.STOPPED if condition(self.pid).state == "T" else None

    def start(self, life: int) -> None:
        """Start a life.

        Raises:
            OSError: the system has no descriptor or no memory left for it.
        """
        self._since, self._number, self._end, self._life = self._tree.loop.time(), life, None, None
        self._stacks, self._place = None, ""
        self._life = self._launch(life)

    def stop(self, life: int, *, recycled: bool) -> None:  # noqa: ARG002 - it has one life at a time
        """Ask it to stop."""
        if self._life is not None:
            self._life.stop()

    def kill(self, life: int) -> None:  # noqa: ARG002 - it has one life at a time
        """Kill it."""
        if self._life is not None:
            self._life.kill()

    @abstractmethod
    def _launch(self, life: int) -> Control:
        """Start its process."""

    @abstractmethod
    def _reason(self, end: LifeEnd) -> ExitReason:
        """Why it ended, in one word and one line."""

    def _report(self, command: ReportExit, uptime: float) -> ExitReport:
        end = self._end or LifeEnd(pid=None, exit_code=None)  # it could not be started
        return structs.replace(report_of(self.path, end, command, uptime), stacks=self._stacks)

    # ---- LifeListener

    def life_ready(self) -> None:
        """See `LifeListener`."""
        self._post(happened.ChildReady(self.name, self._number))

    def life_outcomes(self, frame: Outcomes | Replies, attachments: Sequence[Carried], /) -> None:
        """See `LifeListener`. There is no mailbox whose messages could end."""

    def life_said(self, frame: Said, attachments: Sequence[Carried] = ()) -> None:
        """See `LifeListener`. There is no mailbox to which a frame could belong."""

    def life_wrote(self, life: int, record: Record) -> None:
        """See `LifeListener`."""
        self._tree.reports.actor_said(self.path, life, record)

    def life_lost(self, life: int, lines: int, size: int) -> None:
        """See `LifeListener`."""
        self._tree.reports.output_dropped(self.path, life, lines, size)

    def life_writable(self) -> None:
        """See `LifeListener`. Nothing waits to be sent to it."""

    def life_exited(self, end: LifeEnd) -> None:
        """See `LifeListener`."""
        self._end, self._life = end, None
        roll, causes = self._tree.dice.random(), causes_of(end, None)
        reason, place = self._reason(end), hung_where(self._place, end)
        self._post(happened.ChildExited(self.name, self._number, reason, roll, causes=causes, hung_in=place))
