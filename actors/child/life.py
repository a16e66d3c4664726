"""Life: the parts of one life in its process, and how control reaches them.

    Channel ─▶ Inbox ─▶ runner, see `runners.handling` ─▶ Outbox ─▶ Channel
                 └─▶ Streams, Calls, Leaving: credit and items, answers, the wish to stop

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sized
from typing import TYPE_CHECKING, Protocol

import msgspec

from actors.actor import Actor
from actors.child.context import ActorContext
from actors.child.fork import Copies
from actors.child.leaving import Leaving
from actors.child.messages.calls import Calls
from actors.child.messages.inbox import Inbox
from actors.child.messages.outbox import Outbox
from actors.child.messages.sync_driver import SyncDriver
from actors.child.messages.timers import Timers
from actors.errors import Rejected, UsageError
from actors.exits import with_article
from actors.ipc.blackbox import BlackBox
from actors.ipc.box_cells import DOORBELL
from actors.ipc.channel import Channel
from actors.output.capture import Output
from actors.output.log import ActorLog
from actors.process.memory import Reserve
from actors.process.time_limit import TimeLimit
from actors.process.tracebacks import ActorFailed, failure_of, named_words_of, printable, words_of
from actors.protocol.protocol import ActorProtocol
from actors.wire import kinds
from actors.wire.codec import RESOLVE, encode
from actors.wire.from_child import MAX_HEALTH, HealthIs, Saved
from actors.wire.to_child import Answer, AskHealth, Cancel, Credit, Items, Load, StartActor, Stop

if TYPE_CHECKING:
    from actors.child.messages.driver import Clock, Driver
    from actors.child.messages.keeping import Keeper
    from actors.child.messages.streams import Streams


class StopEvent(Protocol):
    """Is set when the daemon asks the life to stop; a `SafeEvent` in a process."""

    def is_set(self) -> bool:
        """Whether it is set."""


class Life:
    """One life of an actor, from its StartActor to its end.

    Attributes:
        protocol: the actor's messages.
        output: what its process prints.
        clock: its time.
        channel, inbox, outbox, timers, calls, leaving, time_limit: its parts; each module says what it does.
        streams: as well, of an actor that streams or is fed.
        context: what the actor's code gets.
        sync_driver: the driver while no event loop runs.
        copies: what a fork of the process is left with.
        cells: the black box's.
        recorder: writes them.
        reserve: memory for the report of a MemoryError.
        rings: the count of the doorbell that was last heeded.
        watched: whether the time of each handler counts: it has a limit, or is looked at from outside.
        health: says how the actor is; set once there is one.
        keeper: saves and loads the actor's state; set once there is one, None for an actor without state.
    """

    def __init__(
        self,
        start: StartActor,
        protocol: ActorProtocol,
        channel: Channel,
        box: BlackBox,
        stop: StopEvent,
        *,
        reserve: Reserve,
        output: Output,
        copies: Copies,
        clock: Clock = time,
    ) -> None:
        self.protocol = protocol
        self.output = output
        self.clock = clock
        self.channel = channel
        channel.limit(start.max_frame)
        channel.socket_name = start.descriptors
        self.cells = box.cells
        self.rings = box.cells[DOORBELL]
        self.watched = start.heartbeat
        self.outbox = self._outbox(start, protocol, channel, clock)
        self.inbox = Inbox(
            start.path,
            protocol,
            channel,
            self.outbox,
            cells=box.cells,
            clock=clock,
            on_undecodable=self._undecodable,
        )
        self.calls = self._calls(start)
        self.sync_driver = SyncDriver(channel, self.inbox, self.outbox, self.calls, clock)
        self.timers = Timers(start.path, protocol, clock)
        self.recorder = box.recorder
        self.leaving = Leaving(self.recorder)
        self.time_limit = TimeLimit(self.recorder, start.handler_timeout, clock.monotonic_ns)
        self.copies = copies
        self.context = ActorContext(
            start,
            protocol,
            ActorLog(output.output_pipe),
            box=box,
            calls=self.calls,
            timers=self.timers,
            leaving=self.leaving,
            time_limit=self.time_limit,
        )
        self.health: Callable[[], object] = lambda: None
        self.keeper: Keeper | None = None
        self._given = start.state
        self._durable = start.durable
        self._box = box
        self._keeps_replies = start.keeps_replies
        self._now_ns = clock.monotonic_ns
        self.reserve = reserve
        self._stop_event = stop
        self._take_control()
        self.drive_with(self.sync_driver)
        RESOLVE.set(self.calls.ref)

    def _calls(self, start: StartActor) -> Calls:
        calls = Calls(start.path, self.inbox, self.outbox, self.clock)
        if start.tracing:
            from actors.child.spans import Spans  # noqa: PLC0415 - only traced trees pay for it

            calls.spans = Spans()
        return calls

    def _take_control(self) -> None:
        """Say who takes what arrives and is no message; the driver's part follows, see `drive_with`."""
        takers = self.inbox.takers
        takers[Answer] = self.calls.take
        takers[Stop] = lambda _: self.leaving.asked()
        takers[Load] = self._load
        if self.protocol.flows:
            from actors.child.messages.streams import Streams  # noqa: PLC0415 - see `beginning.import_needs`

            self.streams: Streams = Streams(self.outbox)
            takers[Credit] = self.streams.grant
            takers[Items] = lambda items: self.streams.follow(items, self.inbox.take_attachments())

    def drive_with(self, driver: Driver) -> None:
        """From now on this driver runs the handlers."""

        def revoke(cancel: Cancel) -> None:
            for seq in cancel.seqs:
                driver.revoke(seq)

        self.calls.driver = driver
        if self.protocol.flows:
            self.streams.on_news = driver.has_news
        self.inbox.takers[Cancel] = revoke
        self.inbox.takers[AskHealth] = lambda _: driver.health_asked()

    def keep_replies(self, pending: Sized) -> None:
        """Keep replies in the black box where the daemon reads them there: of batches, others while these wait."""
        if self._keeps_replies:
            self.outbox.keep_replies(self._box.replies, pending)

    def check_control(self) -> None:
        """Let control overtake: when the daemon has rung, read everything it has written first."""
        rings = self.cells[DOORBELL]
        if rings == self.rings:
            return
        self.rings = rings
        if self._stop_event.is_set():
            self.leaving.asked()
        self.inbox.receive_all()

    def between_messages(self) -> None:
        """Let control overtake, and tell the daemon how the actor is if it wants to know. No sync handler runs."""
        self.outbox.flush()  # it is not known how long decoding and `health` take
        self.check_control()
        if self.sync_driver.health_wanted:
            self.sync_driver.health_wanted = False
            self.tell_health()

    def tell_health(self) -> None:
        """Tell the daemon how the actor is."""
        self.recorder.begin_health(self._now_ns())
        try:
            said = self.health()
        except Exception as error:
            said = f"health() raised {named_words_of(error)}"
        except BaseException as error:  # as in a handler, it ends the life
            raise ActorFailed(f"in {self.protocol.actor.__qualname__}.health", error) from error
        finally:
            self.recorder.done_health()
        if said is not None and not isinstance(said, str):
            said = f"health() returned {with_article(type(said).__qualname__)}; it returns None or a text"
        self.outbox.send(encode(HealthIs(None if said is None else printable(said)[:MAX_HEALTH])))

    def made(self, actor: Actor) -> None:
        """The actor is made: it says how it is, and what its state is."""
        if self.protocol.says_health:
            self.health = actor.health
        if self.protocol.state is not None:
            from actors.child.messages.keeping import Keeper  # noqa: PLC0415 - see `beginning.import_needs`

            self.keeper = Keeper(actor, self.protocol.state)
            self.outbox.keep(self.keeper)

    def load_given(self) -> None:
        """Give the actor the state with which this life was started, if any.

        Raises:
            ActorFailed: it does not load.
        """
        given, self._given = self._given, None
        if given is not None:
            self._load(Load(msgspec.Raw(given)))

    def save_last(self) -> None:
        """The last message has been handled: send the state to the daemon, for the next life.

        Raises:
            ActorFailed: it cannot be saved, or is larger than a frame.
        """
        if self.keeper is None or self._durable:  # then it went with the last outcomes
            return
        state = self.keeper.save()
        try:
            self.outbox.send(encode(Saved(state)))
        except UsageError as error:
            raise ActorFailed(f"in {self.protocol.actor.__qualname__}.save", error) from error

    def stop_if_idle(self) -> None:
        """Stop, as the actor asked, unless a message waits here or in the channel; all handlers have returned."""
        self.leaving.settle(idle=not self.inbox.pending and not self.channel.readable(0))

    @staticmethod
    def _outbox(start: StartActor, protocol: ActorProtocol, channel: Channel, clock: Clock) -> Outbox:
        """What sends outcomes: with the state where both are stored together."""
        if start.durable and protocol.state is not None:
            from actors.child.messages.settling import SettlingOutbox  # noqa: PLC0415 - see `beginning.import_needs`

            return SettlingOutbox(channel, clock, crashes=protocol.actor.on_error == "crash")
        return Outbox(channel, clock, sequential=protocol.actor.concurrency == 1)

    def _load(self, frame: Load) -> None:
        if self.keeper is not None:
            self.keeper.load(frame.state)

    def verdict(self, error: BaseException) -> tuple[int, msgspec.Raw]:
        """The outcome for an exception."""
        if isinstance(error, MemoryError):
            self.reserve.release()
        if isinstance(error, Rejected):
            return kinds.REJECTED, msgspec.Raw(encode(words_of(error)))
        return kinds.FAILED, msgspec.Raw(encode(failure_of(error)))

    def _undecodable(self, error: BaseException) -> tuple[int, msgspec.Raw]:
        """The outcome for an exception in the decoding of a message."""
        if isinstance(error, msgspec.MsgspecError | UnicodeDecodeError | RecursionError):
            return kinds.UNDECODABLE, msgspec.Raw(encode(words_of(error)))  # it may name a file that is no UTF-8
        outcome = self.verdict(error)  # of a __post_init__, or no memory
        self.reserve.fill()
        return outcome
