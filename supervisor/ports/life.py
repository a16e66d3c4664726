"""Life: what the tree needs of a life, wherever it runs, and what it tells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

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
from supervisor.core.delivery.messages import Batch, QueuedMessage
from supervisor.core.health.condition import Condition
from supervisor.core.health.life_end import LifeEnd

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

    @property
    def said_farewell(self) -> bool:
        """Whether its goodbye or crash report has arrived.

        It handles nothing more, though its process may still run.
        """

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

    def ask_heartbeat(self) -> bool:
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
