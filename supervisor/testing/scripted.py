"""Scripted: lives that follow a script, for tests of a tree without a single process and without an actor's code.

A scripted life keeps every promise of `supervisor.ports.life.Life`: the listener is not called while the life is being
launched, stopped or killed, and its end is reported once.

Runs on the thread of the loop that entered the supervisor.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Unpack

from actors.child.function_main import Call
from actors.errors import UsageError, WireError
from actors.exits import ExitKind
from actors.wire.counts import Counts
from actors.wire.from_child import Outcomes, Replies
from actors.wire.progress import NOTHING_BEGUN, Activity, Progress
from actors.wire.to_child import StartActor
from supervisor.core.health.condition import UNSEEN, Condition
from supervisor.core.health.life_end import LifeEnd
from supervisor.ports.launching import Launcher
from supervisor.ports.life import CommandListener, LifeListener, Said
from supervisor.root.options import Options
from supervisor.specs import AnySpec
from supervisor.supervisor import Supervisor
from supervisor.testing.processless import Processless
from supervisor.testing.scripted_delivery import ScriptedDelivery


class OnStart(StrEnum):
    """How a start goes."""

    READY = "ready"  # it is ready at the loop's next turn
    FAIL = "fail"  # it exits with code 1 before it is ready
    HANG = "hang"  # nothing happens until the test calls `become_ready` or `exit`
    RAISE = "raise"  # there is no process: the system has no descriptor left for it (EMFILE)


class OnStop(StrEnum):
    """What a life does when it is asked to stop."""

    OBEY = "obey"  # it exits
    CRASH = "crash"  # it exits with code 1
    IGNORE = "ignore"  # nothing: it has to be killed


_EXITS: Final[dict[ExitKind, tuple[int | None, bool]]] = {  # exit code, and whether it had been asked to stop
    ExitKind.NORMAL: (0, False),
    ExitKind.SHUTDOWN: (0, True),
    ExitKind.CRASHED: (1, False),
    ExitKind.KILLED: (-9, False),
    ExitKind.LOST: (None, False),
}


class ScriptedLife(ScriptedDelivery):
    """One life without a process.

    Attributes:
        pid: always None.
        path: of its actor.
        number: number of the life, as its supervisor counts them.
        ready: whether it has become ready.
        over: whether its end has been reported.
        doing: the progress in its black box; a test may set it.
        goes_on: the activity in its black box; a test may set it.
        stacks: the text in its black box; a test may set it.
        dumps: how often it was asked for its stacks.
        congested: whether more messages must wait; a test may set it.
        said_farewell: whether its goodbye or crash report has arrived; a test may set it.
    """

    def __init__(
        self,
        start: StartActor,
        listener: LifeListener,
        on_start: OnStart = OnStart.READY,
        on_stop: OnStop = OnStop.OBEY,
    ) -> None:
        super().__init__(start.state)
        self.pid: int | None = None
        self.path = start.path
        self.number = start.life
        self.ready = False
        self.over = False
        self.doing = NOTHING_BEGUN
        self.goes_on = Activity((), 0, 0, False)
        self.stacks = ""
        self.dumps = 0
        self.congested = False
        self.said_farewell = False
        self._listener = listener
        self._on_stop = on_stop
        self._asked = False
        self._refused = False
        if on_start is OnStart.READY:
            self._soon(self.become_ready)
        elif on_start is OnStart.FAIL:
            self._soon(lambda: self.exit(ExitKind.CRASHED))

    # ---- driven by the test

    def become_ready(self) -> None:
        """Report that `on_start` has returned."""
        if not self.ready and not self.over:
            self.ready = True
            self._listener.life_ready()

    def exit(self, kind: ExitKind = ExitKind.NORMAL, *, idle: bool = False) -> None:
        """End, in any way but UNSTARTED: every end before `become_ready` is that.

        Args:
            kind: the way.
            idle: whether it ends by `context.stop(if_idle=True)`.

        Raises:
            UsageError: a life cannot end in that way.
        """
        if kind not in _EXITS:
            raise UsageError(f"a life cannot leave as {kind.value!r}; let it exit before it is ready")
        code, asked = _EXITS[kind]
        self._end(code, asked=asked, idle=idle)

    def say(self, frame: Outcomes | Replies | Said) -> None:
        """Send a frame to the supervisor, which ends this life if it breaks the protocol."""
        if self.over or self._refused:
            return
        try:
            if isinstance(frame, Outcomes | Replies):
                self._listener.life_outcomes(frame, ())
            else:
                self._listener.life_said(frame)
        except WireError as error:
            self._refused = True
            why = str(error)
            self._soon(lambda: self._end(-9, asked=self._asked, killed=True, wire_error=why))

    def writable(self) -> None:
        """Report that the channel takes data again."""
        self.congested = False
        if not self.over:
            self._listener.life_writable()

    # ---- Life

    def ask_health(self) -> None:
        """See `Life`. A test answers with `say(HealthIs(...))`."""

    def stop(self) -> None:
        """See `Life`."""
        self._asked = True
        if self._on_stop is OnStop.OBEY:
            self._soon(lambda: self._end(0, asked=True))
        elif self._on_stop is OnStop.CRASH:
            self._soon(lambda: self._end(1, asked=True))

    def kill(self) -> None:
        """See `Life`."""
        self._soon(lambda: self._end(-9, asked=self._asked, killed=True))

    def progress(self) -> Progress:
        """See `Life`."""
        return self.doing

    def activity(self) -> Activity:
        """See `Life`."""
        return self.goes_on

    @property
    def node(self) -> str | None:
        """See `Life`."""
        return None

    @property
    def awaits(self) -> str:
        """See `Life`."""
        return ""

    def condition(self) -> Condition:
        """See `Life`."""
        return UNSEEN

    def resident_bytes(self) -> int | None:
        """See `Life`."""
        return None

    def counts(self) -> Counts:
        """See `Life`."""
        return {}

    def ask_heartbeat(self) -> bool:
        """See `Life`."""
        return False

    def dump_stacks(self) -> None:
        """See `Life`."""
        self.dumps += 1

    def text(self) -> str:
        """See `Life`."""
        return self.stacks

    def seen_at(self, now: int) -> int:
        """See `Life`."""
        return now

    # ---- inside

    def _end(
        self,
        code: int | None,
        *,
        asked: bool,
        killed: bool = False,
        wire_error: str | None = None,
        idle: bool = False,
    ) -> None:
        if self.over:
            return
        self.over = True
        self.said_farewell = self.said_farewell or code in (0, 1)
        self._listener.life_exited(
            LifeEnd(
                pid=None,
                exit_code=code,
                stop_asked=asked,
                kill_asked=killed,
                wire_error=wire_error,
                progress=self.doing,
                idle=idle,
            )
        )

    def _soon(self, deed: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(deed)


class ScriptedLauncher(Processless):
    """Starts lives that follow a script.

    Without one, every life is ready at once and exits when it is asked to.

    Attributes:
        lives: all lives started so far, in order.
        on_launch: called for every life just started; a test may set it.
    """

    def __init__(self) -> None:
        self.lives: list[ScriptedLife] = []
        self.on_launch: Callable[[ScriptedLife], None] = lambda _: None
        self._starts: dict[str, tuple[OnStart, ...]] = {}
        self._stops: dict[str, OnStop] = {}

    def plan(self, path: str, *starts: OnStart, on_stop: OnStop = OnStop.OBEY) -> None:
        """Set how an actor's first, second, ... start goes from now on, and its stops.

        Args:
            path: of the actor, `/root/indexer`.
            starts: one for each start; the last is used for all that follow. None: all are READY.
            on_stop: what each of its lives does when it is asked to stop.
        """
        self._starts[path] = starts
        self._stops[path] = on_stop

    def life(self, path: str) -> ScriptedLife:
        """The life of an actor that was started last and is not over: with overlap, a recycled one's successor.

        Raises:
            UsageError: it has none.
        """
        for life in reversed(self.lives):
            if life.path == path and not life.over:
                return life
        raise UsageError(f"{path} has no life now")

    def launch(self, start: StartActor, lanes: int, listener: LifeListener) -> ScriptedLife:  # noqa: ARG002 - the port's own
        """See `Launcher`."""
        outcome, *later = self._starts.get(start.path) or (OnStart.READY,)
        if later:
            self._starts[start.path] = tuple(later)
        if outcome is OnStart.RAISE:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        life = ScriptedLife(start, listener, outcome, self._stops.get(start.path, OnStop.OBEY))
        self.lives.append(life)
        self.on_launch(life)
        return life

    def launch_function(self, start: StartActor, call: Call, listener: LifeListener) -> ScriptedLife:
        """See `Launcher`."""
        del call
        return self.launch(start, 1, listener)

    def launch_command(
        self, start: StartActor, argv: tuple[str, ...], stop_signal: int, listener: CommandListener
    ) -> ScriptedLife:
        """See `Launcher`."""
        del argv, stop_signal
        return self.launch(start, 1, listener)


class ScriptedSupervisor(Supervisor):
    """A supervisor whose lives are scripted: everything is real but the processes.

    Args:
        children: as in Supervisor.
        launcher: where its lives come from; made when left out.
        options: as in Supervisor.
    """

    def __init__(
        self, *children: AnySpec, launcher: ScriptedLauncher | None = None, **options: Unpack[Options]
    ) -> None:
        options["reading"] = "loop"
        super().__init__(*children, **options)
        self.launcher = launcher or ScriptedLauncher()

    def _make_launcher(self, loop: asyncio.AbstractEventLoop) -> Launcher:  # noqa: ARG002 - it needs none
        return self.launcher

    def _check_program(self) -> None:
        """It starts no process, so any program may run it."""
