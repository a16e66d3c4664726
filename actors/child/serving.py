"""Serving: an actor's code in one life: its arguments, `__init__`, `on_start`, its handlers, `on_stop`, its last frame.

    unpickled ─▶ serve: __init__ ─▶ on_start ─▶ ready ─▶ runner ─▶ on_stop ─▶ serve_to_the_end: Goodbye or CrashReport

What is set on the process around it is in `actors.child.main`.

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from actors.actor import Actor
from actors.child.fork import Copies
from actors.child.life import Life
from actors.child.runners.sync_runner import run
from actors.errors import UsageError
from actors.exits import ExitReason, with_article
from actors.ipc.channel import Channel
from actors.process.memory import Reserve
from actors.process.tracebacks import ActorFailed
from actors.wire.codec import encode
from actors.wire.from_child import Goodbye
from actors.wire.to_child import StartActor

RunLoop = Callable[[Coroutine[Any, Any, None]], object]
"""Runs a coroutine on a fresh event loop until it ends, as `asyncio.run` does."""


class Ready(Protocol):
    """The event that the daemon waits for at a start; a `SafeEvent` in a process."""

    def set(self) -> None:
        """`on_start` has returned."""


def find_class(start: StartActor) -> type[Actor]:
    """The actor class that a StartActor names; its module is imported.

    Raises:
        TypeError: what has that name is no actor class.
    """
    found: Any = importlib.import_module(start.module)
    for name in start.qualname.split("."):
        found = getattr(found, name)
    if not (isinstance(found, type) and issubclass(found, Actor)):
        raise TypeError(f"{start.module}:{start.qualname} is not an Actor class in this process")
    return found


def unpickled(start: StartActor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of the actor; refs among them are bound to the life that was made last.

    Raises:
        ActorFailed: they cannot be unpickled here.
    """
    try:
        args, kwargs = pickle.loads(start.arguments)
    except BaseException as error:
        raise ActorFailed(f"unpickling the arguments of {start.qualname}", error) from error
    return args, kwargs


def serve_to_the_end(do: Callable[[], None], channel: Channel, reserve: Reserve, copies: Copies) -> int:
    """Do that, send the last frame of the life, and return its exit code."""
    try:
        do()
        channel.send(encode(Goodbye()))
    except BaseException as error:
        failed = error if isinstance(error, ActorFailed) else ActorFailed("outside of its handlers", error)
        copies.leave(failed.error)
        reserve.release()
        channel.send(encode(failed.crash_report()))
        return failed.exit_code
    return 0


def run_on_a_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on an event loop of its own."""
    import asyncio  # noqa: PLC0415 - only actors with async code pay for it

    asyncio.run(main)


def serve(  # noqa: PLR0917 - called once, by the process
    cls: type[Actor],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    life: Life,
    ready: Ready,
    run_loop: RunLoop = run_on_a_loop,
) -> None:
    """Make the actor and let it serve until it stops.

    Raises:
        ActorFailed: its code raised.
    """
    try:
        actor = _new(cls, args, kwargs)
        object.__setattr__(actor, "context", life.context)  # also where the class is frozen
        make: Callable[..., object] = cls.__init__
        returned = make(actor, *args, **kwargs)  # only now, so that __init__ may use the context
        _check_made(actor, life, returned)
        life.made(actor)
    except BaseException as error:
        raise ActorFailed(f"in {cls.__qualname__}.__init__", error) from error
    life.copies.leave()
    try:
        if life.protocol.asynchronous:
            _serve_with_loop(actor, life, ready, run_loop)
        else:
            _serve(actor, life, ready, run_loop)
    except KeyboardInterrupt as error:  # the one exception that codecs and `__post_init__` let through
        raise ActorFailed(life.inbox.where, error) from error
    finally:
        life.outbox.flush()


def _new(cls: type[Actor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Actor:
    """What `__new__` of the class returns.

    Raises:
        UsageError: it is something else.
    """
    new: Callable[..., object] = cls.__new__
    made = new(cls, *args, **kwargs)
    if not isinstance(made, cls):
        kind = with_article(type(made).__qualname__)
        raise UsageError(f"its __new__ returned {kind}, which is not {with_article(cls.__qualname__)}")
    return made


def _check_made(actor: Actor, life: Life, returned: object) -> None:
    """Check that `__init__` has returned nothing, and has hidden nothing by an attribute of the same name.

    Raises:
        UsageError: it has.
    """
    if returned is not None:
        if isinstance(returned, Coroutine):
            returned.close()
        raise UsageError(
            f"it returned {with_article(type(returned).__qualname__)}, and what __init__ returns is dropped; what is "
            "to be awaited goes into async def on_start"
        )
    if actor.context is not life.context:
        raise UsageError("it sets self.context, which is the actor's view of its surroundings; give that another name")
    for handler in life.protocol.handlers.values():
        if handler.name in getattr(actor, "__dict__", ()):
            raise UsageError(f"it sets self.{handler.name}, which hides the handler of that name; give it another name")


def _serve(actor: Actor, life: Life, ready: Ready, run_loop: RunLoop) -> None:
    try:
        outcome: Any = actor.on_start()
    except BaseException as error:
        raise ActorFailed(f"in {type(actor).__qualname__}.on_start", error) from error
    life.copies.leave()
    if outcome is not None and isinstance(outcome, Awaitable):  # a plain method that returns what is to be awaited
        _serve_with_loop(actor, life, ready, run_loop, outcome)
        return
    life.output.relay_loggers()
    life.load_given()
    ready.set()
    try:
        reason = run(actor, life)
    except ValueError:  # a copy has no black box in which it could note that its handler has returned
        life.copies.leave()
        raise
    life.outbox.flush()
    life.save_last()
    try:
        outcome = actor.on_stop(reason)
        if outcome is not None and isinstance(outcome, Awaitable):
            run_loop(_await_it(actor, life, outcome))
    except BaseException as error:
        raise ActorFailed(f"in {type(actor).__qualname__}.on_stop", error) from error


async def _await_it(actor: Actor, life: Life, awaitable: Awaitable[object]) -> None:
    """Await it on a loop of its own, on which it may ask other actors."""
    from actors.child.runners.async_runner import AsyncDriver  # noqa: PLC0415 - it imports asyncio

    with AsyncDriver(actor, life).reading():
        await awaitable


def _serve_with_loop(
    actor: Actor, life: Life, ready: Ready, run_loop: RunLoop, starting: Awaitable[object] | None = None
) -> None:
    """Serve on an event loop; `starting` is what on_start has returned, None when it was not called yet."""
    from actors.child.runners.async_runner import AsyncDriver, is_broken_off  # noqa: PLC0415 - it imports asyncio

    async def hook(name: str, *args: ExitReason) -> None:
        try:
            outcome: Any = starting if name == "on_start" and starting else getattr(actor, name)(*args)
            if isinstance(outcome, Awaitable):
                await outcome
            life.copies.leave()
        except BaseException as error:
            if is_broken_off(error):
                raise
            raise ActorFailed(f"in {type(actor).__qualname__}.{name}", error) from error

    async def serve_on_it() -> None:
        driver = AsyncDriver(actor, life)
        with driver.reading():  # the hooks may ask other actors, too
            await hook("on_start")
            life.output.relay_loggers()
            life.load_given()
            ready.set()
            reason = await driver.run()
            life.outbox.flush()
            life.save_last()
            await hook("on_stop", reason)

    run_loop(serve_on_it())
