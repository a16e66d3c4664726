"""Supervisor: a tree of actors, embedded in a running asyncio daemon.

Entering starts the tree, leaving stops it; nothing of it outlives the `async with`.

Runs on the thread of the event loop that entered it; any number of trees, on any loop in any thread.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, NoReturn, Self, Unpack

from actors.bounds import check_time
from actors.errors import UsageError
from actors.exits import ExitReason
from actors.lazy import LazyModule
from actors.ref import ActorRef
from supervisor.root.children import Children, path_of
from supervisor.root.observation import Observation
from supervisor.root.options import Options
from supervisor.root.schedules import Schedules
from supervisor.root.service import reloading, serving
from supervisor.specs import AnySpec

if TYPE_CHECKING:
    from supervisor import threaded
    from supervisor.root import draining
    from supervisor.system import signals
    from supervisor.tree import child_management
else:
    child_management = LazyModule("supervisor.tree.child_management")
    draining = LazyModule("supervisor.root.draining")
    signals = LazyModule("supervisor.system.signals")
    threaded = LazyModule("supervisor.threaded")


class Supervisor(Children, Observation, Schedules):
    """A tree of supervised actors: `async with Supervisor(ChildSpec(...), ...) as root:`.

    When the body ends, the children are stopped in reverse order, each within its grace. When the tree gives up, the
    body is cancelled at once, and RestartIntensityExceeded comes out of the `async with` when the tree is down, as
    with a TaskGroup. It belongs to the loop that entered it: elsewhere its methods refuse, except `root[name]`.

    Args:
        children: specs, in the order of their start.
        reading: "thread" (the default): one thread waits on all mailboxes. "loop": the event loop watches them
            itself, with fewer wake-ups, where it can watch descriptors (asyncio's selector loops, uvloop).
        stop_timeout: seconds the stop of the whole tree may take before everything left is killed; None (the default)
            leaves it to each child's own grace.
        max_shared_bytes: how many bytes the `Shared` values of messages may hold, with the large `bytes` that actors
            send each other. They count from when a message enters a mailbox until it is settled. Senders wait for
            room, and `tell_nowait` raises MailboxFull. None (the default) sets no bound.
        spares: how many spare processes are kept. A spare has imported the modules of the tree's actors and becomes the
            next life of any of them. 0 for none; "auto" for as many as restarts need at once, at least one, within a
            sixteenth of the memory. They are made at low priority.
        on_give_up: what is done at once when the running tree gives up. "cancel" (the default): the task that entered
            is cancelled. "sigterm": this process gets SIGTERM, which ends a web server whose lifespan entered
            the tree.
            A callable, async or not: it is called with the RestartIntensityExceeded, on the loop's thread.
            In every case that exception comes out of the `async with` in the end.
        control: "auto", or the path of a Unix socket of this user alone, through which `actorctl` looks into the tree
            and acts on it. None (the default): there is none.
        cluster: more machines for specs with a `place`, `RayCluster()` of `supervisor.cluster`; None for the daemon's
            alone.
        spec: name, strategy, intensity, auto_shutdown, start and max_children, as in SupervisorSpec.

    Raises:
        InvalidSpec: a spec cannot work. Nothing was started.
        UsageError: an option cannot work, or there is none of that name. Nothing was started.
    """

    if not TYPE_CHECKING:  # a type checker refuses a plain `with`, and a name that is not there

        def __enter__(self) -> NoReturn:
            raise UsageError(
                f"{self.path} is entered by `async with`; "
                "where there is no event loop: `with Supervisor.in_thread(...)`"
            )

        def __exit__(self, *exc_info: object) -> None:
            """Never called: `with` looks for it before it calls `__enter__`."""

        def __getattr__(self, name: str) -> NoReturn:  # only of what is not there
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if not name.startswith("_"):
                text = f"{text}; an actor is found by its name: root['indexer'], and takes messages: .ask(...)"
            raise AttributeError(text, name=name, obj=self)

    async def drain(self, name: str | ActorRef | None = None, *, timeout: float = 30.0) -> bool:
        """Finish what was sent, then stop: the whole tree, or one child with everything below it.

        New messages are refused with ActorStopped; actors that are drained may still send to each other. When nothing
        waits or is being handled any more, or the time is over, the ordinary stop follows, and what is left then
        becomes dead letters. Returns when all is down.

        Args:
            name: of the child, None for the whole tree.
            timeout: seconds for what was sent, without those of the stop.

        Returns:
            Whether everything was finished in time. False, too, where something else has stopped an actor meanwhile,
            and with it what waited there.

        Raises:
            NoSuchChild: there is none of that name.
            SupervisorBusy: as of `terminate_child`.
            asyncio.CancelledError: before the stop began, messages enter again.
        """
        engine = self._engine_now()
        check_time("timeout of drain", timeout)
        registry = self._tree.registry
        part = self.path if name is None else child_management.path_of(engine, path_of(name))
        with registry.draining(part):
            finished = await draining.finished(registry, part, timeout)
            if name is not None:
                await self.terminate_child(name)
            else:
                self.request_stop()
                await self.wait()
        return finished

    async def serve(self, *, drain: float | None = None) -> ExitReason:
        """Run until SIGTERM or SIGINT asks to stop, or the tree ends by itself; returns when it is down.

        With `drain`, that is a `drain` of at most so many seconds.

        A second signal kills at once. If the daemon's loop still runs five seconds later, because something hangs, the
        daemon ends with exit code 128 + signal. That works while C code keeps the main thread busy, but not while it
        holds the interpreter's lock for good. A third signal ends the daemon at once. Any number of trees may serve: a
        signal is meant for all of them. The previous handlers are restored afterwards. Signals are watched only in the
        main thread; elsewhere this is `wait`.

        Under systemd (NOTIFY_SOCKET is set) it sends ready, status, stopping, signs of life while the tree is healthy
        (WatchdogSec=), and asks for more time while a start or stop makes progress.
        """
        self._engine_now()
        stop = self.request_stop
        if drain is not None:
            check_time("drain of serve", drain)
            stop = partial(self._request_drain, drain)
        async with signals.until_signalled(stop, self.request_kill):
            with serving(self.health):
                return await self.wait()

    def reloading(self) -> AbstractContextManager[None]:
        """`with root.reloading():` around what reads the configuration again: it is told to systemd."""
        self._engine_now()
        return reloading()

    @classmethod
    def in_thread(cls, *children: AnySpec, **options: Unpack[Options]) -> AbstractContextManager[Self]:
        """A tree for a program without an event loop: `with Supervisor.in_thread(ChildSpec(...), ...) as root:`.

        The tree and its loop run in a thread of their own. `root["name"].call(message)` works from every thread;
        everything else belongs to `root.loop`. Exceptions of the start come out at the `with`, and so does
        RestartIntensityExceeded at its end; `on_give_up` reports it at once. Arguments and options are those of
        `Supervisor`. Entered and never left, by an `ExitStack` that nobody closes, say, it runs as long as the program.
        """
        over = asyncio.Event()
        if options.get("on_give_up", "cancel") == "cancel":  # no task of the caller's has entered it
            options["on_give_up"] = lambda _: over.set()
        return threaded.InThread(cls(*children, **options), over)

    def _request_drain(self, timeout: float) -> None:
        self._tree.keep(self.drain(timeout=timeout))
