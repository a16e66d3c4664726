"""ActorContext: what an actor's code finds in `self.context`.

Runs in the actor's process, in its main thread. Logging, counting, publishing, watching and the making of refs work in
every thread.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from actors.bounds import shown
from actors.child.leaving import Leaving
from actors.child.messages.calls import Calls
from actors.child.messages.timers import Timers
from actors.errors import UsageError
from actors.ipc.blackbox import BlackBox
from actors.messages import Message, Terminated, Topic, check_topic
from actors.output.log import ActorLog
from actors.process.time_limit import TimeLimit
from actors.protocol.protocol import ActorProtocol, published
from actors.ref import ActorRef
from actors.wire.codec import encode
from actors.wire.from_child import Publish, Subscribe, Watch
from actors.wire.to_child import StartActor

if TYPE_CHECKING:
    from actors.child.counters import Counters

M = TypeVar("M", bound=Message[Any])


class ActorContext:
    """See `actors.actor.Context`, which documents it."""

    def __init__(
        self,
        start: StartActor,
        protocol: ActorProtocol,
        log: ActorLog,
        *,
        box: BlackBox,
        calls: Calls,
        timers: Timers,
        leaving: Leaving,
        time_limit: TimeLimit,
    ) -> None:
        self.path = start.path
        self.life = start.life
        self._address = start.address or start.path
        self._siblings = self._address.rpartition("/")[0]
        self.name = start.path.removeprefix(f"{self._siblings}/")
        self.log = log
        self._box = box
        self._counters: Counters | None = None
        self._counting = Lock()
        self._protocol = protocol
        self._calls = calls
        self._timers = timers
        self._leaving = leaving
        self._extend: Callable[[float], None] = time_limit.extend

    @property
    def incarnation(self) -> int:
        """See `Context.incarnation`."""
        return self.life

    @property
    def ref(self) -> ActorRef:
        """See `Context.ref`."""
        return self._calls.ref(self._address)

    @property
    def sender(self) -> ActorRef | None:
        """See `Context.sender`."""
        envelope = self._calls.driver.handled()
        return None if envelope is None or envelope.sender is None else self._calls.ref(envelope.sender)

    @property
    def missed_ticks(self) -> int:
        """See `Context.missed_ticks`."""
        return self._timers.missed

    def actor(self, name: str) -> ActorRef:
        """See `Context.actor`."""
        if not isinstance(name, str) or not name.isprintable():
            raise UsageError(f"context.actor in {self.path} takes a sibling's name or a full path; it is {shown(name)}")
        return self._calls.ref(name if name.startswith("/") else f"{self._siblings}/{name}")

    def after(self, delay: float, message: Message[Any]) -> None:
        """See `Context.after`."""
        self._calls.check_thread("context.after")
        self._timers.after(delay, message, self._calls.trace())

    def every(self, period: float, message: Message[Any]) -> None:
        """See `Context.every`."""
        self._calls.check_thread("context.every")
        self._timers.every(period, message)

    def watch(self, ref: ActorRef) -> None:
        """See `Context.watch`."""
        if not isinstance(ref, ActorRef):
            raise UsageError(f"context.watch in {self.path} takes a ref, as context.actor('index'); it is {shown(ref)}")
        if Terminated not in self._protocol.handlers:
            raise UsageError(
                f"{self.path} watches {ref.path} but does not handle Terminated; add a method marked @handles with a "
                f"parameter annotated Terminated"
            )
        self._calls.send(encode(Watch(ref.path, 0)))

    def subscribe(self, topic: Topic[Any]) -> None:
        """See `Context.subscribe`."""
        check_topic(topic)
        if topic.message not in self._protocol.handlers:
            raise UsageError(
                f"{self.path} subscribes to {topic.name!r} but does not handle {topic.message.__qualname__}; add a "
                f"method marked @handles with a parameter annotated {topic.message.__qualname__}"
            )
        self._calls.send(encode(Subscribe(topic.name)))

    def publish(self, topic: Topic[M], message: M) -> None:
        """See `Context.publish`."""
        data = published(topic, message)
        self._calls.send(encode(Publish(topic.name, msgspec.Raw(data), self._calls.trace())))

    def count(self, name: str, amount: float = 1, /, **labels: object) -> None:
        """See `Context.count`."""
        if self._counters is None:
            self._begin_to_count()
        assert self._counters is not None  # noqa: S101 - as begun
        self._counters.count(name, amount, labels)

    def extend(self, seconds: float) -> None:
        """See `Context.extend`."""
        self._calls.check_thread("context.extend")
        self._extend(seconds)

    def stop(self, *, if_idle: bool = False) -> None:
        """See `Context.stop`."""
        self._calls.check_thread("context.stop")
        if if_idle:
            self._leaving.wish_if_idle()
        else:
            self._leaving.stop()

    def _begin_to_count(self) -> None:
        from actors.child.counters import Counters  # noqa: PLC0415 - only actors that count pay for it

        with self._counting:  # any thread may be the first
            if self._counters is None:
                self._counters = Counters(self.path, self._box)
