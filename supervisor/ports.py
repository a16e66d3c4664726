"""Ports: what the tree needs from its surroundings, as interfaces.

Code that uses a port does not know the implementation; a life may run on another machine.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from actors.exits import ExitReport
from actors.wire.counts import Counts
from actors.wire.framing import Carried
from actors.wire.from_child import (
    HealthIs,
    MoreItems,
    Outcomes,
    Publish,
    Replies,
    Saved,
    Send,
    SendMany,
    Settled,
    Subscribe,
    Watch,
    Withdraw,
)
from actors.wire.log_lines import Record
from actors.wire.progress import Activity, Progress
from actors.wire.to_child import StartActor
from supervisor.core.delivery.batches import Batch
from supervisor.core.delivery.fates import Fate
from supervisor.core.delivery.losses import LostMessage
from supervisor.core.delivery.messages import QueuedMessage
from supervisor.core.delivery.queue import MessageQueue
from supervisor.core.health.condition import Condition
from supervisor.core.health.life_end import LifeEnd
from supervisor.core.place import Place
from supervisor.core.rules.spare_count import SpareCount

if TYPE_CHECKING:
    from actors.child.function_main import Call

Said = Send | SendMany | MoreItems | Withdraw | Watch | Subscribe | Publish | HealthIs | Saved | Settled
"""The requests a life may send. Its outcomes are reported apart, and its crash report and goodbye with its end."""


class LifeListener(Protocol):
    """Gets the events of a life; called on the loop's thread, in the order in which they happened."""

    def life_ready(self) -> None:
        """`on_start` has returned."""

    def life_outcomes(self, frame: Outcomes | Replies, attachments: Sequence[Carried], /) -> None:
        """Messages have ended; attachments are the replies of some, in that order."""

    def life_said(self, frame: Said, attachments: Sequence[Carried] = ()) -> None:
        """The child sent a request, and before it the attachments that belong to it."""

    def life_wrote(self, life: int, record: Record) -> None:
        """It wrote a line. Lines of a life that writes very much may come after its end."""

    def life_lost(self, life: int, lines: int, size: int) -> None:
        """This many lines, of this many bytes, were dropped since the last call."""

    def life_writable(self) -> None:
        """The channel takes data again after it was congested."""

    def life_exited(self, end: LifeEnd) -> None:
        """The life has ended, and all its frames were delivered. The last call; `end` has all that is known of it."""


class CommandListener(LifeListener, Protocol):
    """Gets the events of a life of a command."""

    def awaits_line(self, line: bytes) -> bool:
        """Whether its readiness waits for this line; called in the output thread, about lines that would be dropped."""


class Observer(Protocol):
    """Looks at the messages of one mailbox as they pass: metrics, tracing. Called on the loop's thread.

    A mailbox without observers pays for one look at an empty tuple, by batch.
    """

    def accepted(self) -> None:
        """Messages were accepted: called at the end of the loop's turn, and for an ask without a timeout sent at once.

        Of an ask with a timeout, its asker knows since when it waits.
        """

    def outcomes(self, queue: MessageQueue, member: str, frame: Outcomes | Replies) -> None:
        """A member reports how messages ended; called before they are settled. The frame may be wrong."""

    def lost(self, losses: Sequence[LostMessage], progress: Progress | None, report: ExitReport) -> None:
        """A life has ended: what becomes of the messages in flight to it; called before they are settled.

        Args:
            losses: each message, and how far it was.
            progress: what its black box says, None when it cannot be read.
            report: of its end.
        """


Check = Callable[[bytes], object]
"""Checks an encoded message, and raises where it is wrong."""


class Tracer(Observer, Protocol):
    """Knows the trace context of messages, see `actors.wire.traces`. Called on the loop's thread."""

    def current(self) -> str | None:
        """The trace context in which the caller runs, None outside of any."""

    def checking(self, check: Check, turn_to: Callable[[str | None], None]) -> Check:
        """A check that calls `turn_to` with the current trace context when it is another one than last time.

        It raises where the message needs a span. It runs for each message of the fast path.
        """

    def entered(self, seq: int, trace: str, name: str) -> None:
        """A message with a trace context, of a class of that name, is in the mailbox under that number."""

    def dropped(self, seq: int, fate: Fate) -> None:
        """A message has ended, and no life has reported it."""


class Doing(Protocol):
    """What a life is doing, as its black box says; after its end, what it did last."""

    def progress(self) -> Progress:
        """Which messages it has begun, and which of them it is handling."""

    def activity(self) -> Activity:
        """Its handler calls in progress, those for timers included, and whether its interpreter runs."""

    @property
    def at_once(self) -> bool:
        """Whether progress and activity are of this moment; those of a life on another machine are of a moment ago."""

    @property
    def window(self) -> int:
        """How many messages may be in flight to it, at most: those whose fate its machine takes along."""

    @property
    def caught_up(self) -> bool:
        """Whether progress and activity are newer than the last control frame it was sent."""

    def counts(self) -> Counts:
        """What the actor has counted with `context.count`; nothing after its end, whose `LifeEnd` has it."""


class Killable(Protocol):
    """What can be killed."""

    def kill(self) -> None:
        """Kill it at once. Once it has ended this does nothing."""


class Delivery(Doing, Killable, Protocol):
    """A life as its mailbox sees it: it gets messages and what belongs to them, and shows how far it is.

    Once the life has ended every call does nothing.
    """

    @property
    def congested(self) -> bool:
        """Whether more messages must wait until `life_writable`."""

    def restore(self, state: bytes) -> None:
        """Send the state of the life before, in msgpack; before the first message."""

    @property
    def boxed(self) -> bool:
        """Whether its black box can be read after the death of the daemon."""

    def note_given(self, given: Iterable[tuple[int, int]]) -> None:
        """Note delivery tags and numbers of messages before they are sent, for after the death of the daemon."""

    def post(self, batch: list[QueuedMessage]) -> None:
        """Send messages."""

    def post_batch(self, batch: Batch) -> None:
        """Send messages that are kept together."""

    def cancel(self, seqs: list[int]) -> None:
        """Cancel messages: those that have not begun will not begin; a handler that can be cancelled is cancelled."""

    def recall(self, seqs: list[int]) -> None:
        """Ask for messages back that have not begun; the others continue."""

    def credit(self, seq: int, count: int) -> None:
        """The reader of a stream takes more items."""

    def follow(self, seq: int, items: list[bytes], attachments: Sequence[Carried] = (), *, over: bool) -> None:
        """Send items that follow a message, and before them their attachments; `over` when they are the last."""

    def answer(self, frame: bytes, attachments: Sequence[Carried] = ()) -> None:
        """Send an encoded `Answer`, and before it the attachments that belong to it."""


class Control(Killable, Protocol):
    """A life as its supervisor sees it: it is stopped and killed. Once it has ended every call does nothing."""

    @property
    def pid(self) -> int | None:
        """Its process id, None when it has no process."""

    def stop(self) -> None:
        """Ask it to finish and exit."""

    @property
    def node(self) -> str | None:
        """Name of the machine it runs on; None on the daemon's."""

    def ask_health(self) -> None:
        """Ask how the actor is; the answer is a `HealthIs`. Only for classes that say so."""


class Inspection(Doing, Protocol):
    """A life as its watchdog sees it: is its code running, and where is it."""

    @property
    def said_farewell(self) -> bool:
        """Whether its goodbye or crash report has arrived.

        It handles nothing more, though its process may still run.
        """

    def ask_pulse(self) -> bool:
        """Ask for a heartbeat, which its activity shows; False when that is not possible.

        Only if its process was started with `heartbeat`.
        """

    def dump_stacks(self) -> None:
        """Ask for the Python stacks of all its threads, which replace the content of `text`."""

    def condition(self) -> Condition:
        """How the kernel treats its process."""

    def resident_bytes(self) -> int | None:
        """The resident memory of its process; None when that is not known."""

    def text(self) -> str:
        """The stacks it has written: those asked for last, and those of a fatal fault."""

    def seen_at(self, now: int) -> int:
        """When that was so which is seen of it `now`: both are time.monotonic_ns() of this machine."""


class Inspected(Control, Inspection, Protocol):
    """A life without a mailbox whose code is Python."""


class Life(Delivery, Control, Inspection, Protocol):
    """One life of an actor. `tests/support/life_conformance.py` checks what every implementation must do."""

    @property
    def awaits(self) -> str:
        """Why it has no machine yet, in words; empty where it has one."""


class ActorLauncher(Protocol):
    """Starts lives of actors."""

    def launch(self, part: StartActor, lanes: int, listener: LifeListener) -> Life:
        """Start a life; `listener` is called later, never during this call."""


class Machines(Protocol):
    """The machines of a cluster, as one tree uses them."""

    def at(self, place: Place) -> ActorLauncher:
        """What starts lives at that place."""

    def preload(self, module: str, main: dict[str, bytes]) -> None:
        """As `Launcher.preload`, on every machine."""

    def wind_down(self) -> None:
        """No more lives are expected: spares may end."""

    async def close(self) -> None:
        """No more lives, and all have ended. Returns when nothing of the tree is left on them."""


class MachinesSay(Protocol):
    """Takes what happens to the machines of a tree; called on the loop's thread."""

    def node_joined(self, node: str) -> None:
        """A machine can start lives."""

    def node_lost(self, node: str, why: str) -> None:
        """A machine is gone, and every life there."""

    def orphan_reaper_lost(self, supervisor: str, why: str) -> None:
        """Processes that dead actors left behind stay until another orphan reaper runs."""

    def spare_failed(self, supervisor: str, module: str | None, why: str) -> None:
        """A spare failed."""


class Cluster(Protocol):
    """Other machines on which a tree may start actors; a value until a tree enters it."""

    def enter(
        self, path: str, loop: AbstractEventLoop, reader: AnyReader, spares: SpareCount, say: MachinesSay
    ) -> Machines:
        """The machines for one tree. Returns at once; nothing is started before the first life.

        Args:
            path: of the tree.
            loop: of the tree.
            reader: waits for what the machines send.
            spares: how many are kept on each.
            say: takes what happens to the machines.
        """


class Expected(NamedTuple):
    """A life that is about to start.

    Attributes:
        path: the actor's path.
        module: where its class is imported from.
        main: how the daemon's main module is imported, as pairs; empty when it is not.
        lanes: of its black box.
    """

    path: str
    module: str
    main: tuple[tuple[str, bytes], ...]
    lanes: int


class Launcher(ActorLauncher, Protocol):
    """Starts lives on the daemon's machine."""

    def launch_function(self, part: StartActor, call: Call, listener: LifeListener) -> Inspected:
        """Start a function in a fresh process; `listener` is called later, never during this call."""

    def launch_command(
        self, part: StartActor, argv: tuple[str, ...], stop_signal: int, listener: CommandListener
    ) -> Control:
        """Start a program; `listener` is called later. Its `life_ready` means that the program was executed."""

    def expect(self, supervisor: str, lives: Sequence[Expected]) -> None:
        """These lives of a supervisor are about to start, one after the other: their processes may be spawned ahead.

        It replaces what the supervisor expected before.
        """

    def check_main(self) -> None:
        """Check that what it launches can import the daemon's main module.

        Raises:
            UsageError: it cannot, or would start the daemon again.
        """

    @property
    def spares(self) -> int:
        """How many spares wait."""

    def preload(self, module: str, main: dict[str, bytes]) -> None:
        """A module will be needed: spares may import it. `main` says how the daemon's main module is imported."""

    def wind_down(self) -> None:
        """No more lives are expected: spares may end."""

    async def close(self) -> None:
        """No more lives, and all have ended. Returns when no process is left."""


class Source(Protocol):
    """A non-blocking source of bytes: a socket, a `Duplex`."""

    def fileno(self) -> int:
        """The descriptor that is readable when something arrives."""

    def recv(self, size: int, /) -> bytes:
        """Take at most this many bytes; none at the end."""


class AnyReader(Protocol):
    """Waits on descriptors for the loop; see `supervisor.io.thread_reader` and `supervisor.io.loop_reader`."""

    def stream(self, source: Source, on_chunk: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        """Read until it is forgotten, or its end is reported."""

    def finish(self, fd: int) -> None:
        """Read what is left, then report the end."""

    def once(self, fd: int, on_ready: Callable[[], None]) -> None:
        """Call once when a descriptor is readable."""

    def once_writable(self, fd: int, on_ready: Callable[[], None]) -> None:
        """Call once when a descriptor is writable."""

    def forget(self, fd: int, *, close: Callable[[], None] | None = None) -> None:
        """Stop watching."""

    def close(self) -> None:
        """Stop everything."""
