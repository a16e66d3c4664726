"""Ports: what the engine needs of the world, as interfaces.

Nothing above this line knows which implementation it has; a process life may one day be on another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from actors.wire.frames import MoreItems, Outcomes, Publish, Send, StartActor, Subscribe, Watch, Withdraw
from actors.wire.framing import Attachment
from actors.wire.log_lines import Record
from actors.wire.progress import Activity, Progress
from supervisor.core.delivery.messages import QueuedMessage, QueuedTells
from supervisor.core.health.life_end import LifeEnd

Said = Outcomes | Send | MoreItems | Withdraw | Watch | Subscribe | Publish
"""What a life may say, but for its last words, which are part of its end."""


class LifeListener(Protocol):
    """Who is told what happens to a life; on the loop's thread, in the order in which it happened."""

    def life_ready(self) -> None:
        """`on_start` has returned."""

    def life_said(self, frame: Said, attachments: Sequence[Attachment] = ()) -> None:
        """The child sent a frame, and before it the attachments that belong to it."""

    def life_wrote(self, life: int, record: Record) -> None:
        """It wrote a line. Those of a life that writes very much may come after its end."""

    def life_lost(self, life: int, lines: int, size: int) -> None:
        """So many lines, of so many bytes, were dropped since this was said last."""

    def life_writable(self) -> None:
        """The channel takes data again after it was congested."""

    def life_exited(self, end: LifeEnd) -> None:
        """The life is over and everything it said has been told. The last call; `progress` still works inside it."""


class Life(Protocol):
    """One process life."""

    @property
    def pid(self) -> int | None:
        """Of its process, None when it has none."""

    def post(self, batch: list[QueuedMessage]) -> None:
        """Send messages."""

    def post_run(self, run: QueuedTells) -> None:
        """Send a run of tells."""

    def cancel(self, seqs: list[int]) -> None:
        """Take messages back: those that have not begun will not, a handler that can be cancelled is."""

    def recall(self, seqs: list[int]) -> None:
        """Ask for messages that have not begun; those that have are left alone."""

    def credit(self, seq: int, count: int) -> None:
        """The reader of a stream takes more items."""

    def follow(self, seq: int, items: list[bytes], *, over: bool) -> None:
        """Send items that follow a message; `over` when they are the last."""

    def answer(self, frame: bytes, attachments: Sequence[Attachment] = ()) -> None:
        """Send an encoded `Answer`, and before it the attachments that belong to it."""

    @property
    def congested(self) -> bool:
        """Whether more messages should wait until `life_writable`."""

    def stop(self) -> None:
        """Ask it to finish and leave."""

    def kill(self) -> None:
        """End it at once."""

    def refuse(self, why: str) -> None:
        """End it because it broke the protocol."""

    @property
    def said_farewell(self) -> bool:
        """Whether its last words have come: it handles nothing more, though its process may stay."""

    def progress(self) -> Progress:
        """What it is doing, or was doing when it ended."""

    def activity(self) -> Activity:
        """What goes on in it, for those who watch it."""

    def ask_pulse(self) -> bool:
        """Ask it for a sign of life, which its activity shows; False when nobody can. Only if handlers have a limit."""

    def dump_stacks(self) -> None:
        """Ask for the Python stacks of all its threads, which replace what `text` says."""

    def text(self) -> str:
        """The stacks it has left: those it was asked for last, and those of a deadly fault."""


class Launcher(Protocol):
    """Begins lives."""

    def launch(self, part: StartActor, lanes: int, listener: LifeListener) -> Life:
        """Begin one; `listener` hears of it later, never during this call."""

    @property
    def spares(self) -> int:
        """How many processes wait for a part."""

    def wind_down(self) -> None:
        """No life is expected to begin any more: what is kept for one may go."""

    async def close(self) -> None:
        """No more lives; all are over. Returns when nothing is left of any."""


class Source(Protocol):
    """What bytes come from, never waiting: a socket, a `Duplex`."""

    def fileno(self) -> int:
        """The descriptor that is readable when something arrives."""

    def recv(self, size: int, /) -> bytes:
        """Take at most so many bytes; none at the end."""


class AnyReader(Protocol):
    """Waits on descriptors on behalf of the loop; see `supervisor.io.readers`."""

    def stream(self, source: Source, on_chunk: Callable[[bytes], None]) -> None:
        """Read until it is forgotten."""

    def finish(self, fd: int) -> None:
        """Read what lies there, and tell the end."""

    def once(self, fd: int, on_ready: Callable[[], None]) -> None:
        """Tell once that a descriptor is readable."""

    def once_writable(self, fd: int, on_ready: Callable[[], None]) -> None:
        """Tell once that a descriptor is writable."""

    def forget(self, fd: int, *, close: Callable[[], None] | None = None) -> None:
        """Stop watching."""

    def close(self) -> None:
        """Stop everything."""
