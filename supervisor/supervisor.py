"""Supervisor: a tree of actors, embedded in a running asyncio daemon.

Entering starts the tree, leaving stops it; nothing of it outlives the `async with`.

Runs on the thread of the event loop that entered it; any number of trees, on any loop in any thread.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, get_args

from actors.bounds import MOST_PROCESSES, check_time, is_count
from actors.errors import UsageError
from actors.exits import ExitKind, ExitReason, ExitReport
from actors.messages import Message
from actors.ref import ActorRef
from actors.topics import Topic
from supervisor.core.tree import commands as do
from supervisor.core.tree import events as happened
from supervisor.errors import RestartIntensityExceeded, StartFailed
from supervisor.io.loop_reader import LoopReader
from supervisor.io.thread_reader import ThreadReader
from supervisor.jobs.jobs_ref import JobsRef
from supervisor.loop_affinity import Home
from supervisor.messaging.shared import TreeContext
from supervisor.observe.broadcast import Missed
from supervisor.observe.dead_letters import DeadLetter
from supervisor.observe.reports import Happening, Reports
from supervisor.ports import AnyReader, Launcher
from supervisor.process.launcher import ProcessLauncher
from supervisor.spawnable import check_first_start, check_interpreter, check_main_guard, check_patches
from supervisor.spec_validation import check
from supervisor.specs import AnySpec, SupervisorSpec
from supervisor.system.descriptor_limit import shortage
from supervisor.system.signals import until_signalled
from supervisor.threaded import in_thread
from supervisor.tree import child_management, draining
from supervisor.tree.child_factory import ChildFactory
from supervisor.tree.engine import Engine
from supervisor.tree.health import HealthStatus, TreeHealth, health_of
from supervisor.tree.snapshot import ChildCounts, ChildInfo, SupervisorSnapshot, children_of, count_of, tree_of

M = TypeVar("M", bound=Message[Any])

Reading = Literal["thread", "loop"]

OnGiveUp = Literal["cancel", "sigterm"] | Callable[[RestartIntensityExceeded], object]


class Supervisor:
    """A tree of supervised actors: `async with Supervisor(ChildSpec(...), ...) as root:`.

    When the body ends, the children are stopped in reverse order, each within its grace. When the tree gives up, the
    body is cancelled at once, and RestartIntensityExceeded comes out of the `async with` when the tree is down, as
    with a TaskGroup. It belongs to the loop that entered it: elsewhere its methods refuse, except `root[name]`.

    Args:
        children: specs, in the order of their start.
        reading: "thread" (the default): one thread waits on all mailboxes. "loop": the event loop watches them
            itself,
            with fewer wake-ups, where it can watch descriptors (asyncio's selector loops, uvloop).
        stop_timeout: seconds the stop of the whole tree may take before everything left is killed; None (the default)
            leaves it to each child's own grace.
        spares: how many processes are kept that have imported the modules of the tree's actors and wait to become the
            next life of any of them; 0 for none. They are started when nothing else is starting.
        on_give_up: what is done at once when the running tree gives up. "cancel" (the default): the task that entered
            is cancelled. "sigterm": this process gets SIGTERM, which ends a web server whose lifespan entered
                the tree.
            A callable: it is called with the RestartIntensityExceeded, on the loop's thread. In every case that
            exception comes out of the `async with` in the end.
        spec: name, strategy, intensity, auto_shutdown, start and max_children, as in SupervisorSpec.

    Raises:
        InvalidSpec: a spec cannot work. Nothing was started.
    """

    def __init__(
        self,
        *children: AnySpec,
        reading: Reading = "thread",
        stop_timeout: float | None = None,
        spares: int = 1,
        on_give_up: OnGiveUp = "cancel",
        **spec: Any,
    ) -> None:
        self.spec = SupervisorSpec(*children, **spec)
        check(self.spec)
        if not isinstance(reading, str) or reading not in get_args(Reading):
            raise UsageError(f"reading must be 'thread' or 'loop', it is {reading!r}")
        if not is_count(spares, 0, MOST_PROCESSES):
            raise UsageError(
                f"spares must be a whole number of at least 0 and at most {MOST_PROCESSES}, it is {spares!r}"
            )
        if stop_timeout is not None:
            check_time("stop_timeout", stop_timeout, otherwise=", or None for each child's own grace")
        if on_give_up not in {"cancel", "sigterm"} and not callable(on_give_up):
            raise UsageError(f"on_give_up must be 'cancel', 'sigterm' or a callable, it is {on_give_up!r}")
        self.path = f"/{self.spec.name}"
        self._on_give_up = on_give_up
        self._spares = spares
        self._reading = reading
        self._stop_timeout = stop_timeout
        self._reports = Reports()
        self._drains = False
        self._engine: Engine | None = None
        self._end: do.Terminate | None = None
        self._body: asyncio.Task[Any] | None = None
        self._cancelled_body = False
        self._given_up = False

    # ---- life

    async def __aenter__(self) -> Self:
        """Start the children in order; returns when all of them are ready.

        Raises:
            StartFailed: one did not become ready; those started were stopped again.
            OSError, RuntimeError: the system has no descriptor or no thread left for the tree; nothing was started.
            UsageError: the program would start itself again in every process.
        """
        if self._engine is not None:
            raise UsageError(f"{self.path} was entered before; make a new Supervisor for another run")
        self._check_program()
        try:
            self._home = Home()
        except RuntimeError:
            raise UsageError(
                f"{self.path} needs a running asyncio event loop: enter it in a coroutine that asyncio.run() runs "
                f"(with anyio, its asyncio backend), or use `with Supervisor.in_thread(...)` where there is none"
            ) from None
        loop = self._home.loop
        self._make_threads(loop)
        if short := shortage(self.spec.processes + self._spares):
            self._reports.descriptors_short(self.path, *short)
        self._tree = TreeContext(loop, self._launcher, self._reports)
        self._running = asyncio.Event()
        self._terminated = asyncio.Event()
        self._engine = Engine(
            self.spec,
            self.path,
            self._tree,
            ChildFactory,
            on_running=self._running.set,
            on_terminated=self._on_terminated,
            on_gave_up=self._on_gave_up,
        )
        try:
            self._engine.post(happened.Boot())
            await self._until_running()
        except BaseException:
            await self._stop()
            raise
        self._body = asyncio.current_task()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the children in reverse order; returns when nothing of the tree is left."""
        if self._home.forked:  # the tree is the daemon's
            return
        body, self._body = self._body, None
        late = kind is None and self._cancelled_body and await _cancelled_now()
        await self._stop()
        if self._cancelled_body and body is not None:
            if body.uncancel() > 0:  # other code wants the task cancelled, too
                if late:
                    raise asyncio.CancelledError
                return
            if kind is None or issubclass(kind, asyncio.CancelledError):
                raise self._gave_up() from None
        elif kind is None and self._end is not None and self._end.exceeded:
            raise self._gave_up()

    def request_stop(self) -> None:
        """Begin to stop the tree; returns at once. `wait` returns when it is down."""
        self._engine_now().shut_down(happened.StopRequested(self._stop_timeout))
        self._launcher.wind_down()

    def request_kill(self) -> None:
        """Kill everything; returns at once. `wait` returns when it is down."""
        self._engine_now().shut_down(happened.KillRequested())
        self._launcher.wind_down()

    async def wait(self) -> ExitReason:
        """Wait until the tree is down, for any reason, and return that reason."""
        self._engine_now()
        await self._terminated.wait()
        return self._reason()

    async def drain(self, name: str | ActorRef | None = None, *, timeout: float = 30.0) -> bool:
        """Finish what was sent, then stop: the whole tree, or one child with everything below it.

        New messages are refused with ActorStopped; actors that are drained may still send to each other. When nothing
        waits or is being handled any more, or the time is over, the ordinary stop follows, and what is left then
        becomes dead letters. Returns when all is down.

        Args:
            name: of the child, None for the whole tree.
            timeout: seconds for what was sent, without those of the stop.

        Returns:
            Whether everything was finished in time.

        Raises:
            NoSuchChild: there is none of that name.
            SupervisorBusy: as of `terminate_child`.
            asyncio.CancelledError: before the stop began, messages enter again.
        """
        engine = self._engine_now()
        check_time("timeout of drain", timeout)
        registry = self._tree.registry
        if name is not None:
            finished = await draining.drain(registry, child_management.path_of(engine, _path(name)), timeout)
            await self.terminate_child(name)
            return finished
        self._drains = True
        try:
            finished = await draining.drain(registry, self.path, timeout)
        except asyncio.CancelledError:
            self._drains = False
            raise
        self.request_stop()
        await self.wait()
        return finished

    async def serve(self, *, drain: float | None = None) -> ExitReason:
        """Run until SIGTERM or SIGINT asks to stop, or the tree ends by itself; returns when it is down.

        With `drain`, that is a `drain` of at most so many seconds.

        A second signal kills at once. A daemon in which something hangs, whose loop still runs five seconds later, is
        ended (exit code 128 + signal), and a third signal ends it at once. Any number of trees may serve: a signal is
        meant for all of them. The previous handlers are restored afterwards. Signals are watched only in the main
        thread; elsewhere this is `wait`.
        """
        self._engine_now()
        stop = self.request_stop
        if drain is not None:
            check_time("drain of serve", drain)
            stop = partial(self._request_drain, drain)
        async with until_signalled(stop, self.request_kill):
            return await self.wait()

    @classmethod
    def in_thread(cls, *children: AnySpec, **options: Any) -> AbstractContextManager[Self]:
        """A tree for a program without an event loop: `with Supervisor.in_thread(ChildSpec(...), ...) as root:`.

        The tree and its loop run in a thread of their own. `root["name"].call(message)` works from every thread;
        everything else belongs to `root.loop`. Exceptions of the start come out at the `with`, and so does
        RestartIntensityExceeded at its end; `on_give_up` reports it at once. Arguments and options are those of
        `Supervisor`.
        """
        return in_thread(cls(*children, **options))

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop to which the tree belongs. Callable from any thread."""
        if self._engine is None:
            raise self._not_started()
        return self._home.loop

    # ---- actors

    def __getitem__(self, name: str) -> JobsRef:
        """The ref of an actor: a name under this supervisor (`"indexer"`, `"parsers/parser"`) or a full path.

        Its `run` and `map` are for pools of `Jobs`. Callable from any thread.

        Raises:
            NoSuchActor: no actor has it; the text lists similar names.
            UsageError: it is not a name.
        """
        if self._engine is None:
            raise self._not_started()
        if not isinstance(name, str):
            raise UsageError(f"{self.path} finds actors by name: root['indexer']; {name!r} is no str")
        mailbox = self._tree.registry.find(name if name.startswith("/") else f"{self.path}/{name}")
        return JobsRef(mailbox, self._tree.launcher.preload)

    def ref(self, path: str) -> JobsRef:
        """The same as `root[path]`."""
        return self[path]

    # ---- children

    async def start_child(self, spec: AnySpec, *, under: str = "") -> str:
        """Add a child and start it; returns its path when it is ready.

        Args:
            spec: of the child. It is dropped when its own supervisor is restarted (OTP).
            under: name of the supervisor it goes under, `"parsers"`; the root when empty.

        Raises:
            InvalidSpec: the spec cannot work.
            UsageError: the program would start itself again in its process.
            StartFailed: it did not become ready; the spec is discarded.
            asyncio.CancelledError: the call was cancelled, and the start is undone: the child is stopped and its spec
                discarded before this comes out. A second cancellation does not wait for that.
            SupervisorBusy: already_started, already_present, max_children, restarting or stopping, see `answer`.
            NoSuchChild: there is no supervisor of that name.
        """
        return await child_management.start(self._engine_now(), spec, under)

    async def terminate_child(self, name: str | ActorRef) -> None:
        """Stop a child (a pool: all its members); its spec stays, a temporary child's goes. Returns when it is down.

        What waits in its mailbox becomes dead letters.

        Raises:
            NoSuchChild: there is none of that name.
            SupervisorBusy: the supervisor is stopping, or is restarting several children.
        """
        await child_management.change(self._engine_now(), _path(name), child_management.terminate, backwards=True)

    async def restart_child(self, name: str | ActorRef) -> None:
        """Start a child that is down; returns when it is ready.

        Raises:
            NoSuchChild: there is none of that name.
            StartFailed: it did not become ready.
            SupervisorBusy: running, restarting or stopping, see `answer`.
        """
        await child_management.change(self._engine_now(), _path(name), child_management.restart)

    async def delete_child(self, name: str | ActorRef) -> None:
        """Delete the spec of a child that is down.

        Raises:
            NoSuchChild: there is none of that name.
            SupervisorBusy: running, restarting or stopping, see `answer`.
        """
        await child_management.change(self._engine_now(), _path(name), child_management.delete)

    async def recycle(self, name: str | ActorRef) -> None:
        """Replace the process of an actor by its next life, and no call fails; of a pool, one member after the other.

        The next life is started first. When it is ready, the old one finishes its message and stops, and the next one
        serves; `overlap=False` in the spec stops the old one first. Returns when the next life serves and the old one
        is over. Cancelled, it leaves the replacement under way as it is. Members of a pool that do not run are passed
        over: their next life is new anyway.

        Raises:
            NoSuchChild: there is no actor of that name.
            StartFailed: the next life did not become ready, and the old one serves on; or the child ended meanwhile.
            SupervisorBusy: the child does not run, or its supervisor is starting, stopping or restarting several
                children; see `answer`.
        """
        await child_management.recycle(self._engine_now(), _path(name))

    async def resize(self, name: str | ActorRef, size: int) -> None:
        """Give a pool (or a single actor) another number of processes; returns when they are ready, or down.

        Living members are kept; members that are down for good are started again before new ones are added, and go
        first when the pool shrinks. Nothing is lost: a member that is removed finishes its message, and its waiting
        messages go to the others.

        Raises:
            InvalidSpec: the size is not a whole number of at least 1.
            NoSuchChild: there is no actor of that name.
            StartFailed: a new member did not become ready; the others are there.
            SupervisorBusy: the supervisor is stopping, or is restarting several children.
        """
        await child_management.resize(self._engine_now(), _path(name), size)

    def which_children(self, under: str = "") -> tuple[ChildInfo, ...]:
        """The children of a supervisor (the root when `under` is empty), in the order of their start."""
        return children_of(child_management.engine_at(self._engine_now(), under))

    def count_children(self, under: str = "") -> ChildCounts:
        """How many children a supervisor has."""
        return count_of(child_management.engine_at(self._engine_now(), under))

    # ---- what happens

    def snapshot(self) -> SupervisorSnapshot:
        """The whole tree at this moment; its text is a readable tree. Changes nothing and waits for nothing."""
        return tree_of(self._engine_now())

    def health(self) -> TreeHealth:
        """How the tree is, and why: healthy, degraded, starting or stopping. For `/healthz` and `/readyz`.

        Changes nothing and waits for nothing. Call it on the loop's thread.
        """
        if self._drains:
            return TreeHealth(HealthStatus.STOPPING, (f"{self.path} drains",))
        return health_of(self.snapshot())

    def journal(self) -> list[str]:
        """The last events and decisions of the root supervisor, one JSON object a line: what a bug report asks for.

        It holds names, times and reasons, no messages. Call it on the loop's thread, also after the tree has ended.
        """
        return [line.decode() for line in self._engine_now().journal.lines()]

    def events(self) -> AsyncIterator[Happening | Missed]:
        """All events of the tree from now on; a reader that is too slow gets `Missed(count)`.

        Called before the `async with`, it also reports the first lives.
        """
        self._check_home()
        return self._reports.happenings.read()

    def dead_letters(self) -> AsyncIterator[DeadLetter | Missed]:
        """All dead letters from now on; a reader that is too slow gets `Missed(count)`."""
        self._check_home()
        return self._reports.dead_letters.read()

    def subscribe(self, topic: Topic[M]) -> AsyncIterator[M | Missed]:
        """Everything published under a topic from now on; a reader that is too slow gets `Missed(count)`."""
        self._engine_now()
        return self._tree.topics.read(topic)

    def publish(self, topic: Topic[M], message: M) -> None:
        """Send a message to all subscribers of the topic, at most once; returns at once.

        Raises:
            UsageError: the message is not of the topic's type.
        """
        self._engine_now()
        self._tree.topics.say(topic, message)

    def __str__(self) -> str:
        return repr(self) if self._engine is None else str(tree_of(self._engine))

    def __repr__(self) -> str:
        if self._engine is None:
            return f"<Supervisor {self.path} not started>"
        machine = self._engine.machine
        states = [view.state.value for view in machine.children()]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        most, period = self.spec.intensity.max_restarts, self.spec.intensity.period
        budget = "unlimited" if most is None else f"{machine.restarts(self._home.loop.time())}/{most} in {period:g}s"
        return f"<Supervisor {self.path} {machine.phase.value} {self.spec.strategy.value} [{counts}] restarts {budget}>"

    # ---- inside

    def _make_threads(self, loop: asyncio.AbstractEventLoop) -> None:
        self._reader: AnyReader = self._make_reader(loop)
        try:
            self._launcher: Launcher = self._make_launcher(loop)
        except BaseException:
            self._reader.close()
            raise

    def _make_reader(self, loop: asyncio.AbstractEventLoop) -> AnyReader:
        return ThreadReader(loop, f"actors-reader-{self.spec.name}") if self._reading == "thread" else LoopReader(loop)

    def _check_program(self) -> None:
        """Check that processes can be started from this program.

        Raises:
            UsageError: they cannot.
        """
        check_first_start()
        check_patches()
        check_interpreter()
        if self.spec.needs_main:
            check_main_guard()

    def _make_launcher(self, loop: asyncio.AbstractEventLoop) -> Launcher:
        return ProcessLauncher(
            loop,
            self._reader,
            self._spares,
            lambda why: self._reports.orphan_reaper_lost(self.path, why),
            lambda module, why: self._reports.spare_failed(self.path, module, why),
        )

    def _engine_now(self) -> Engine:
        if self._engine is None:
            raise self._not_started()
        self._check_home()
        return self._engine

    def _check_home(self) -> None:
        """Check that this is the loop of the tree, as long as there is one."""
        if self._engine is not None and not self._terminated.is_set():
            self._home.check(self.path)

    def _not_started(self) -> UsageError:
        return UsageError(f"{self.path} is not started; use it inside `async with Supervisor(...) as root:`")

    async def _until_running(self) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._running, self._terminated)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not self._running.is_set() and self._end is not None:
            report = self._engine_now().last_failure
            raise StartFailed(f"{self.path}/{self._end.failed} did not start: {self._end.reason}", report)
        if self._given_up:  # while it was running, and before this task noticed
            raise self._gave_up()

    async def _stop(self) -> None:
        """Stop the tree and release everything.

        A cancellation meanwhile kills what is left, and is raised at the end.
        """
        self.request_stop()
        cancelled: asyncio.CancelledError | None = None
        while not self._terminated.is_set():
            try:
                await self._terminated.wait()
            except asyncio.CancelledError as error:
                cancelled = error
                self.request_kill()
        self._tree.registry.shut_down()
        self._tree.topics.close()
        closing = asyncio.ensure_future(self._launcher.close())
        try:
            while not closing.done():
                try:
                    await asyncio.shield(closing)
                except asyncio.CancelledError as error:
                    cancelled = error
        finally:
            self._reader.close()
            self._reports.close()
        if cancelled is not None:
            raise cancelled

    def _request_drain(self, timeout: float) -> None:
        self._tree.keep(self.drain(timeout=timeout))

    def _on_terminated(self, end: do.Terminate) -> None:
        self._end = end
        self._terminated.set()

    def _on_gave_up(self) -> None:
        self._given_up = self._running.is_set()
        if self._body is None or self._body.done():
            return  # it is not entered yet, or is being left: those steps report the end
        if self._on_give_up == "sigterm":
            os.kill(os.getpid(), signal.SIGTERM)
        elif callable(self._on_give_up):
            try:
                self._on_give_up(self._gave_up())
            except Exception as error:
                context = {"message": f"on_give_up of {self.path} raised", "exception": error}
                self._home.loop.call_exception_handler(context)
        else:
            self._cancelled_body = True
            self._body.cancel()
            self._reports.task_cancelled(self.path)

    def _gave_up(self) -> RestartIntensityExceeded:
        report = self._engine_now().last_failure
        last = "" if report is None else f"; the last to end: {report.actor}, {report.reason}"
        why = f"gave up: {'' if report is None else report.because}" if self._end is None else self._end.reason.detail
        return RestartIntensityExceeded(f"{self.path} {why}{last}{_remedy(report)}", report)

    def _reason(self) -> ExitReason:
        if self._end is None:
            raise AssertionError("the tree is down without a reason")
        return self._end.reason


async def _cancelled_now() -> bool:
    """Whether this task was cancelled since it last waited; if so, the cancellation is consumed."""
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        return True
    return False


def _remedy(report: ExitReport | None) -> str:
    """What to do about lives that end because of the messages they get."""
    if report is None or report.reason.kind is not ExitKind.CRASHED or report.last_message is None:
        return ""
    return (
        ". An exception in a handler ends the life: raise Rejected for input that is to be refused, set "
        'on_error = "reply" in the actor class, or raise the intensity'
    )


def _path(name: str | ActorRef) -> str:
    return name.path if isinstance(name, ActorRef) else name
