"""Operations: what the daemon does for each request.

    look/   names, events, dead letters, samples, stacks, why      changes nothing
    changes start, stop, restart, resize
    messages tell, ask

Runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final

from actors.errors import ActorCrashed, ActorsError, AskTimeout, HandlerError, NoSuchActor, Rejected
from supervisor.control import changes, messages
from supervisor.control import frames as wire
from supervisor.control.dead_letters import DeadLetters
from supervisor.control.frames import Failed, Reply, Request, Trouble
from supervisor.control.framing import framed
from supervisor.control.identity import Started, identity_of
from supervisor.control.look.explain import explain
from supervisor.control.look.history import History
from supervisor.control.look.names import named
from supervisor.control.look.samples import Samples
from supervisor.control.look.snapshots import Snapshots, Taken
from supervisor.control.look.stacks import StackTaker
from supervisor.errors import NoSuchChild
from supervisor.observe.broadcast import Missed
from supervisor.tree.engine import Engine

Answer = Callable[[Any], Awaitable[Reply]]


NO_METRICS: Final = (
    "this daemon counts no metrics: make a Collector(root) of supervisor.metrics in it (extra `metrics`); it need not "
    "be registered or served"
)
BATCH: Final = 20  # events in one turn of the loop


class Operations:
    """What the daemon does for each request.

    Args:
        engine: of the root supervisor.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._started = Started()
        self._history = History()
        self._dead = DeadLetters(engine)
        self._samples = Samples(engine)
        self._snapshots = Snapshots(engine)
        self._stacks = StackTaker(engine.tree.loop)
        engine.tree.reports.happenings.follow(self._history)
        self._answers: Final[dict[type[Request], Answer]] = {
            wire.Identify: self._identify,
            wire.Explain: self._explain,
            wire.TakeStacks: self._take_stacks,
            wire.Tell: self._tell,
            wire.Ask: self._ask,
            wire.Start: lambda asked: self._change(changes.start(engine, asked.name)),
            wire.Stop: lambda asked: self._change(changes.stop(engine, asked.name)),
            wire.Restart: lambda asked: self._change(changes.restart(engine, asked.name)),
            wire.Resize: lambda asked: self._change(changes.resize(engine, asked.name, asked.size)),
            wire.ListDead: self._dead.list,
            wire.ShowDead: self._dead.show,
            wire.RequeueDead: self._dead.requeue,
            wire.DropDead: self._dead.drop,
            wire.ShowMetrics: self._metrics,
        }

    def close(self) -> None:
        """The tree is down."""
        self._samples.close()
        self._snapshots.close()

    def answer(self, request: Request, reply: Callable[[bytes], None]) -> bool:
        """Call back with the frame of the only reply to a request; False where `serve` does it, in a task."""
        if not isinstance(request, wire.ShowTree):
            return False

        def tell(taken: asyncio.Future[Taken]) -> None:
            if taken.cancelled():  # the tree is down, and all connections end
                return
            try:
                frame = taken.result().frame
            except Exception as error:
                frame = self._failed(request, error)
            reply(frame)

        self._snapshots.take().add_done_callback(tell)
        return True

    async def serve(self, request: Request) -> AsyncIterator[bytes]:
        """The frames of the replies to a request, the last of which ends it. What fails is a reply, too."""
        try:
            if isinstance(request, wire.ShowEvents):
                async for reply in self._events(request):
                    yield framed(reply)
            else:
                yield framed(await self._answers[type(request)](request))
        except Exception as error:
            yield self._failed(request, error)

    def _failed(self, request: Request, error: Exception) -> bytes:
        if isinstance(error, ActorsError):
            return framed(Failed(_trouble(error), str(error)))
        context = {"message": f"the control request {type(request).__name__} failed", "exception": error}
        self._engine.tree.loop.call_exception_handler(context)
        return framed(Failed(Trouble.FAILED, f"error in the daemon: {type(error).__name__}: {error}; see its log"))

    # ---- look

    async def _identify(self, _: wire.Identify) -> Reply:
        return identity_of((await self._snapshots.take()).tree, self._started.wall_time())

    async def _explain(self, asked: wire.Explain) -> Reply:
        named(self._engine, asked.name or self._engine.path)
        tree = (await self._snapshots.take()).tree
        return wire.Explanations(await explain(self._engine, tree, asked.name, self._history, self._samples))

    async def _take_stacks(self, asked: wire.TakeStacks) -> Reply:
        child = named(self._engine, asked.name)
        if not child.members:
            raise NoSuchChild(f"{child.path} is the whole tree; name one of its children")
        children = child.engine.children
        state = child.engine.machine.state
        taken = (
            self._stacks.take(f"{child.engine.path}/{name}", children[name], state(name)) for name in child.members
        )
        return wire.Stacks(tuple(await asyncio.gather(*taken)))

    async def _events(self, asked: wire.ShowEvents) -> AsyncIterator[Reply]:
        past = list(self._history.events)[-asked.last :] if asked.last else []
        reading = self._history.follow() if asked.follow else None
        for number, dated in enumerate(past):
            yield wire.Occurred(*dated)
            if number % BATCH == BATCH - 1:
                await asyncio.sleep(0)
        if reading is not None:
            number = 0
            async for read in reading:
                yield wire.Occurred(time.time(), read) if isinstance(read, Missed) else wire.Occurred(*read)
                number += 1
                if number % BATCH == 0:  # a reader that is behind has many, and never waits for the next
                    await asyncio.sleep(0)
        yield wire.Done("the tree is down" if asked.follow else "")

    async def _metrics(self, _: wire.ShowMetrics) -> Reply:
        text = self._engine.tree.metrics_text
        if text is None:
            return Failed(Trouble.REFUSED, NO_METRICS)
        return wire.Text(await asyncio.to_thread(text))

    # ---- act

    async def _tell(self, asked: wire.Tell) -> Reply:
        return wire.Done(await messages.tell(self._engine, asked.name, asked.message, asked.body))

    async def _ask(self, asked: wire.Ask) -> Reply:
        body = await messages.ask(self._engine, asked.name, asked.message, asked.body, asked.timeout)
        return wire.Answered(body)

    async def _change(self, change: Coroutine[Any, Any, str]) -> Reply:
        """Make a change, to its end also when the client goes away."""
        return wire.Done(str(await asyncio.shield(self._engine.tree.keep(change))))


def _trouble(error: ActorsError) -> Trouble:
    match error:
        case NoSuchChild() | NoSuchActor():
            return Trouble.NO_SUCH_NAME
        case AskTimeout():
            return Trouble.NO_ANSWER
        case HandlerError() | Rejected() | ActorCrashed():
            return Trouble.FAILED
        case _:
            return Trouble.REFUSED
