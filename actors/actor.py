"""Actor: the class a user writes, and its context.

Its messages are known from the class, before any process exists; `protocol_of` reads it once and refuses what cannot
work.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import (
    Any,
    ClassVar,
    Final,
    Literal,
    Protocol,
    TypeVar,
    cast,
)

from actors.bounds import shown, without_brackets
from actors.errors import UsageError
from actors.exits import ExitReason, with_article
from actors.messages import Message, Topic
from actors.ref import ActorRef
from actors.signatures import MARK
from actors.wire.codec import Codec

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M", bound=Message[Any])


class Log(Protocol):
    """Where an actor writes log lines; they appear in the daemon's log."""

    def debug(self, event: str, **fields: object) -> None:
        """Log at level debug: details."""

    def info(self, event: str, **fields: object) -> None:
        """Log at level info: normal operation."""

    def warning(self, event: str, **fields: object) -> None:
        """Log at level warning: something unexpected."""

    def error(self, event: str, **fields: object) -> None:
        """Log at level error: something failed."""

    def exception(self, event: str, **fields: object) -> None:
        """Log at level error with the traceback of the exception being handled."""


class Context(Protocol):
    """An actor's view of its surroundings: `self.context`, in the actor's process, from `__init__` on."""

    @property
    def name(self) -> str:
        """Its name under its supervisor: that of the spec, `parser/0` for a member of a pool."""

    @property
    def path(self) -> str:
        """Its full name, `/root/indexer`."""

    @property
    def life(self) -> int:
        """The number of this life, from 1: as in events, reports and log lines."""

    @property
    def incarnation(self) -> int:
        """The same as `life`."""

    @property
    def ref(self) -> ActorRef:
        """The actor's own ref; that of the pool for a member of one."""

    @property
    def log(self) -> Log:
        """The actor's log."""

    @property
    def sender(self) -> ActorRef | None:
        """The ref of the actor that sent the message being handled, None when the daemon did."""

    def actor(self, name: str) -> ActorRef:
        """The ref of another actor: a sibling's name, or a full path that begins with `/`."""

    def after(self, delay: float, message: Message[Any]) -> None:
        """Send `message` to this actor in `delay` seconds. Cancelled when this life ends."""

    def every(self, period: float, message: Message[Any]) -> None:
        """Send `message` to this actor every `period` seconds. Cancelled when this life ends.

        A tick that comes late comes once; those that were missed are skipped and counted in `missed_ticks`.
        """

    @property
    def missed_ticks(self) -> int:
        """How many ticks of `every` were skipped, because a handler took long or the machine stood still."""

    def watch(self, ref: ActorRef) -> None:
        """Get a `Terminated` message when that actor is down for good; at once when it already is."""

    def subscribe(self, topic: Topic[Any]) -> None:
        """Get every message published under a topic from now on, over restarts too, until this actor is down for good.

        What is published while the mailbox is full is missed.
        """

    def publish(self, topic: Topic[M], message: M) -> None:
        """Send a message to every actor that subscribed to the topic, at most once; returns at once."""

    def count(self, name: str, amount: float = 1, /, **labels: object) -> None:
        """Add to a counter of the application, which `supervisor.metrics` shows as `<name>_total`; from any thread.

        What a handler counts holds once the handler has ended. So a message that is handled once counts once, over any
        number of deaths. The daemon keeps the sum of all lives.

        Args:
            name: a name of Prometheus, `orders`.
            amount: a number of at least 0.
            labels: words that take few values, `shop="berlin"`.
        """

    def extend(self, seconds: float) -> None:
        """Let the running handler take this many seconds from now, whatever `handler_timeout` is.

        The last call counts, and never shortens the limit itself. In a stream or a feed it holds until the next item.
        Outside of handlers, and without a limit, it does nothing.
        """

    def stop(self, *, if_idle: bool = False) -> None:
        """End this life, as normal, after the message being handled.

        Args:
            if_idle: only if no message waits then, for an actor that is started on demand. A message that arrives
                while the process exits is not lost: the next life starts at once and handles it.
        """


class _Outside:
    """In place of the context, on an actor that no tree has made."""

    def __get__(self, actor: object, kind: type) -> Any:
        if actor is None:
            return self
        name = kind.__name__
        raise AttributeError(
            f"{name} has no context: it was made by hand, and not in a tree; a test runs it with "
            f"actors.testing.inline({name}, ...)",
            name="context",
            obj=actor,
        )


class Actor:
    """Base class of actors: one process, one state, one message at a time.

    A subclass's `__init__` runs in the actor's process with the arguments of its spec. Handlers are methods marked
    with `@handles`; they run in that process, one at a time, in the order of the mailbox.

    An actor with `def save(self) -> State` and `def load(self, state: State) -> None` keeps its state when its process
    is recycled; msgspec must know the type. `save` is called at each graceful end, after the last message and before
    `on_stop`. `load` is called in the next life, after `on_start` and before its first message.

    Class attributes:
        concurrency: how many async handlers may run at once; sync handlers need 1.
        codecs: how types that msgpack does not know travel in this actor's messages and replies.
        on_error: "crash" (the default): an exception in a handler answers the asker and ends this life; the restart
            policy decides the rest. "reply": it answers the asker and the actor continues.
    """

    concurrency: ClassVar[int] = 1
    codecs: ClassVar[tuple[Codec[Any], ...]] = ()
    on_error: ClassVar[Literal["crash", "reply"]] = "crash"

    context: Context = cast("Context", _Outside())

    def on_start(self) -> Coroutine[Any, Any, None] | None:
        """Called once before the first message; may be async. An exception makes it a failed start."""

    def on_stop(self, reason: ExitReason) -> Coroutine[Any, Any, None] | None:
        """Called once at a graceful stop, after the last message; may be async.

        It has `shutdown=` seconds from when its supervisor asks. When the actor stops itself there is no limit. Not
        called when the process is killed or crashes. An exception in it is a crash.

        Args:
            reason: why it stops. Its `kind` is `ExitKind.SHUTDOWN` when its supervisor has asked, `NORMAL` when the
                actor stops itself; `str(reason)` is one line.
        """

    def health(self) -> str | None:
        """How the actor is: None for well, else one line that says what is wrong.

        Override it, and it is called about once a second: between two messages, in an actor with async handlers on its
        event loop. It must return quickly: after 5 s the actor is unwell until it has. The line appears in
        `root.snapshot()`, in `root.health()`, and as an event when it changes. A busy actor is not asked before it has
        finished its message.
        """


_INSTEAD: Final = "write @handles above the method and annotate its parameter: def name(self, msg: SomeMessage)"


@without_brackets(_INSTEAD)
def handles(handler: F) -> F:
    """Mark a method as the handler of the message type its parameter is annotated with; `A | B` handles both.

    Raises:
        UsageError: it was given something other than a method.
    """
    if isinstance(handler, type) or not (callable(handler) or hasattr(handler, "__get__")):
        raise UsageError(
            f"@handles takes no arguments, it was given {shown(getattr(handler, '__qualname__', handler))}; {_INSTEAD}"
        )
    if getattr(handler, "__name__", None) == "_overload_dummy":  # what `typing.overload` leaves of a function
        raise UsageError("@handles stands above an overload; write it above the method that follows the overloads")
    try:
        setattr(handler, MARK, True)
    except AttributeError:
        raise UsageError(f"@handles marks plain methods, and {with_article(type(handler).__name__)} is none") from None
    return handler


def _defaults(message: type[Message[Any]]) -> list[tuple[str, Any]]:
    defaults = message.__struct_defaults__
    return list(zip(message.__struct_fields__[len(message.__struct_fields__) - len(defaults) :], defaults, strict=True))
