"""TaskChild: a child that is an asyncio task in the daemon's loop; each life is another task.

    start ─▶ create_task ─▶ first step, or ready() ─▶ ChildReady
    stop  ─▶ cancel ──────▶ ended ─────────────────▶ ChildExited
    kill  ─▶ cancel, LAST_CHANCE ─▶ ended, or runs on ─▶ ChildExited

Where its function ends while the part of the tree around it drains, its task waits for the stop that follows.

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar, Final

from actors.errors import ActorStopped
from actors.exits import ExitKind, ExitReason, ExitReport, exception_names
from actors.process.tracebacks import ActorFailed, failure_of
from actors.wire.from_child import Failure
from supervisor.callables import READY
from supervisor.core.causes import Cause
from supervisor.core.health.stacks import waiting_place
from supervisor.core.health.task_end import TaskEnd, task_causes, task_exit_reason
from supervisor.core.terms import LoneKind
from supervisor.core.tree import events as happened
from supervisor.core.tree.commands import ReportExit
from supervisor.kinds.lone_child import LoneChild, Post
from supervisor.messaging.tree_context import TreeContext
from supervisor.shadowing import STANDARD_LIBRARY
from supervisor.specs import TaskSpec

LAST_CHANCE: Final = 0.1  # seconds for a task to end after its last cancellation
LOOK: Final = 0.05  # seconds between two looks whether a drain is over; few tasks end in one


class TaskChild(LoneChild[TaskSpec]):
    """A child that is an asyncio task.

    Args:
        spec: its spec. Each life runs in a copy of the context in which this is made.
        path: its own.
        tree: what it shares with the rest of the tree.
        post: takes its events.
    """

    kind: ClassVar[LoneKind] = "task"

    def __init__(self, spec: TaskSpec, path: str, tree: TreeContext, post: Post) -> None:
        super().__init__(spec, path, tree, post)
        self._context = contextvars.copy_context()
        self._life: _TaskLife | None = None
        self._end = TaskEnd()
        self._stacks: str | None = None  # of a start that was not ready in time
        self._place = ""  # where it waited then

    def start(self, life: int) -> None:
        """Start a life, unless a former one still runs: that is a failed start."""
        self._since, self._end = self._tree.loop.time(), TaskEnd()
        self._stacks, self._place = None, ""
        former = self._tree.unended.get(self.path)
        if former is not None and not former.done():
            why = "a former life swallowed its cancellation and still runs; a task has one life at a time"
            self._exited(life, ExitReason(ExitKind.UNSTARTED, why))
            return
        self._life = _TaskLife(
            self.spec,
            self.path,
            self._tree,
            on_ready=lambda: self._post(happened.ChildReady(self.name, life)),
            on_end=lambda end: self._ended(life, end),
            context=self._context.copy(),
        )

    def stop(self, life: int, *, recycled: bool) -> None:  # noqa: ARG002 - it has one life at a time
        """Cancel it."""
        if self._life is not None:
            self._life.stop()

    def kill(self, life: int) -> None:  # noqa: ARG002 - it has one life at a time
        """Cancel it for the last time. If it does not end at once, it counts as killed and runs on."""
        if self._life is not None:
            self._life.kill()

    def examine(self, life: int, then: Callable[[], None]) -> None:  # noqa: ARG002 - it has one life at a time
        """Look where it waits, then call `then`."""
        self._stacks = self.stacks_now()
        self._place = "" if self._life is None else self._life.place
        then()

    def stacks_now(self) -> str | None:
        """Where it waits now, as lines of a traceback, outermost first; None when it does not run."""
        return None if self._life is None else self._life.stacks_now()

    def _ended(self, life: int, end: TaskEnd) -> None:
        self._end = end
        self._exited(life, task_exit_reason(end), task_causes(end))

    def _exited(self, life: int, reason: ExitReason, causes: tuple[Cause, ...] = ()) -> None:
        roll = self._tree.dice.random()
        self._post(happened.ChildExited(self.name, life, reason, roll, causes=causes, hung_in=self._place))

    def _report(self, command: ReportExit, uptime: float) -> ExitReport:
        failure = self._end.failure
        return ExitReport(
            actor=self.path,
            life=command.life,
            pid=None,
            reason=command.reason,
            traceback=None if failure is None else failure.traceback,
            stacks=self._end.stacks or self._stacks,
            uptime=uptime,
            decision=command.decision.value,
            because=command.because,
            delay=command.delay,
        )


class _TaskLife:
    """One task, from its creation until its end is known, or it is given up."""

    def __init__(
        self,
        spec: TaskSpec,
        path: str,
        tree: TreeContext,
        *,
        on_ready: Callable[[], None],
        on_end: Callable[[TaskEnd], None],
        context: contextvars.Context,
    ) -> None:
        self._spec = spec
        self._path = path
        self._tree = tree
        self._loop = tree.loop
        self._on_ready = on_ready
        self._on_end = on_end
        self._ready = False
        self._over = False
        self._failure: Failure | None = None
        self._classes: tuple[str, ...] = ()
        self._exit_code: int | None = None
        self._stop_at: float | None = None
        self._grace: float | None = None
        self._kill_asked = False
        self._coroutine = self._run()
        self._task = tree.loop.create_task(self._coroutine, name=path, context=context)
        self._task.add_done_callback(self._done)

    def stop(self) -> None:
        """Cancel it."""
        self._stop_at = self._loop.time()
        self._task.cancel("its supervisor asks it to stop")

    def kill(self) -> None:
        """Cancel it for the last time."""
        if self._stop_at is not None:
            self._grace = self._loop.time() - self._stop_at
        self._kill_asked = True
        self._task.cancel("its supervisor ends it")
        self._loop.call_later(LAST_CHANCE, self._give_up)

    def stacks_now(self) -> str | None:
        """See `TaskChild.stacks_now`."""
        return None if self._task.done() else "".join(_awaiting(self._coroutine)).rstrip()

    @property
    def place(self) -> str:
        """Where it waits, `connect (shop/db.py:12)`: in its own code if there is any; empty when it does not wait."""
        return waiting_place("".join(reversed([*_awaiting(self._coroutine)])), STANDARD_LIBRARY)

    async def _run(self) -> None:
        """Call the function and await what it returns. Its exceptions stay in here: as text, without their frames."""
        if self._spec.calls_ready:
            ready: dict[str, Any] = {READY: partial(self._loop.call_soon_threadsafe, self._became_ready)}
        else:
            ready = {}
            self._loop.call_soon(self._ran)
        try:
            await self._spec.coroutine_function(*self._spec.args, **self._spec.kwargs, **ready)
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:
            if _only_refused(error):
                await self._drained()  # the stop that follows cancels this, and then it has not failed
            here = error.__traceback__
            self._failure = failure_of(error.with_traceback(here and here.tb_next))
            self._classes = exception_names(type(error))
            if isinstance(error, SystemExit):
                self._exit_code = ActorFailed("", error).exit_code
        await self._drained()

    async def _drained(self) -> None:
        """Wait until nothing drains around it any more, or it is to stop.

        A next life could not send either and would end in the same way, until its supervisor gives up and what is
        drained is lost.
        """
        while self._stop_at is None and self._tree.registry.drained(self._path):  # noqa: ASYNC110 - see LOOK
            await asyncio.sleep(LOOK)

    def _ran(self) -> None:
        """Its first step is over."""
        if not self._task.done():
            self._became_ready()

    def _became_ready(self) -> None:
        if not self._ready and not self._over:
            self._ready = True
            self._on_ready()

    def _done(self, task: asyncio.Task[None]) -> None:
        if self._over:
            return
        cancelled = task.cancelled()
        if cancelled and self._stop_at is None and not self._kill_asked:
            self._classes = exception_names(asyncio.CancelledError)
        if not cancelled and (interrupt := task.exception()) is not None:
            self._failure = failure_of(interrupt)
        failed = cancelled or (self._failure is not None and self._exit_code != 0)
        if not (failed or self._spec.calls_ready):
            self._became_ready()  # it has done everything in its first step
        self._finish(cancelled=cancelled)

    def _give_up(self) -> None:
        if not self._task.done():
            self._tree.unended[self._path] = self._task
            self._task.add_done_callback(self._ended_at_last)
            stacks = "".join(["It still runs, here:\n", *_awaiting(self._coroutine)])
            self._finish(runs_on=True, stacks=stacks)

    def _ended_at_last(self, task: asyncio.Task[None]) -> None:
        if self._tree.unended.get(self._path) is task:
            del self._tree.unended[self._path]

    def _finish(self, *, cancelled: bool = False, runs_on: bool = False, stacks: str | None = None) -> None:
        self._over = True
        self._on_end(
            TaskEnd(
                failure=self._failure,
                exit_code=self._exit_code,
                cancelled=cancelled,
                ready=self._ready,
                stop_asked=self._stop_at is not None,
                kill_asked=self._kill_asked,
                grace=self._grace,
                runs_on=runs_on,
                stacks=stacks,
                classes=self._classes,
            )
        )


def _only_refused(error: BaseException) -> bool:
    """Whether it says that an actor takes no messages, and nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(_only_refused(one) for one in error.exceptions)
    return isinstance(error, ActorStopped)


def _awaiting(awaited: object) -> Iterator[str]:
    """Where a suspended coroutine is, and what it awaits in turn, as lines of a traceback; its own frame left out."""
    while (awaited := getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)) is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            code = frame.f_code
            yield f'  File "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}\n'
