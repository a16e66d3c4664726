"""Wire: what a daemon and an agent send each other over one TCP stream.

A frame is four bytes of length and its bytes, as in `actors.wire.framing`. Its first four bytes are the number of a
life: then the rest is bytes of that life's channel, in either direction, which the agent never decodes. Number 0 is
followed by one value of this module.
"""

from __future__ import annotations

from typing import Final

import msgspec

from actors.wire.counts import Counts
from actors.wire.log_lines import Record
from actors.wire.progress import Activity, Progress
from actors.wire.to_child import StartActor
from supervisor.core.health.condition import Condition
from supervisor.core.health.life_end import LifeEnd

WINDOW: Final = 4 * 1024 * 1024  # bytes of one life's channel that are on their way in one direction


# ---- daemon to agent


class Begin(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """Start a life.

    Attributes:
        number: of the life on this link, from 1.
        start: which actor it runs.
        lanes: how many messages it handles at once.
    """

    number: int
    start: StartActor
    lanes: int


class StopLife(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Ask a life to stop."""

    number: int


class KillLife(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Kill a life."""

    number: int


class Ring(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Ring the doorbell of a life, whose frame came before."""

    number: int


class AskHeartbeat(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Ask a life for a heartbeat."""

    number: int


class DumpStacks(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Ask a life for its stacks."""

    number: int


class Preload(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """Spares may import a module."""

    module: str
    main: dict[str, bytes]


class WindDown(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """No more lives are expected."""


class Close(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """All lives have ended: end."""


class Ping(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """Asks for the agent's clock.

    Attributes:
        sent: the daemon's `time.monotonic_ns()`.
    """

    sent: int


class Took(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """That many more bytes of a life's channel were passed on; in both directions."""

    number: int
    size: int


class Passed(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """The descriptor of a value in shared memory was sent over the Unix socket beside the link; in both directions.

    Attributes:
        number: of the life to which it goes, or from which it comes.
        size: bytes of the value.
    """

    number: int
    size: int


class Part(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """The next bytes of a value in shared memory, between two machines; in both directions.

    Attributes:
        number: of the life to which it goes, or from which it comes.
        size: bytes of the value.
        data: these.
        known: with the last part, the number under which the agent keeps the value; 0 when it does not.
    """

    number: int
    size: int
    data: bytes
    known: int = 0


class Given(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """The next value in shared memory for a life is one that the agent keeps."""

    number: int
    known: int


class Forget(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """The daemon has let go of a value that the agent keeps."""

    known: int


ToAgent = (
    Begin
    | StopLife
    | KillLife
    | Ring
    | AskHeartbeat
    | DumpStacks
    | Preload
    | WindDown
    | Close
    | Ping
    | Took
    | Passed
    | Part
    | Given
    | Forget
)

# ---- agent to daemon


class Pong(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """The agent's clock: its `time.monotonic_ns()`, and the ping's own number."""

    sent: int
    now: int


class Ready(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """`on_start` of a life has returned."""

    number: int
    pid: int | None


class Sample(msgspec.Struct, frozen=True, array_like=True, tag=22):
    """What a life is doing.

    Attributes:
        number: of the life.
        pid: its process id, None before the spawn.
        rings: how often its doorbell had been rung before this was read.
        activity: of its black box, read before its progress.
        progress: of its black box.
        condition: of its process; None when it was not looked at.
        resident: bytes of its process; None when it was not looked at.
        text: of its black box; None when it was not read.
        counts: what it has counted, when its process was looked at.
        read: when, as the agent's `time.monotonic_ns()`.
    """

    number: int
    pid: int | None
    rings: int
    activity: Activity
    progress: Progress
    condition: Condition | None = None
    resident: int | None = None
    text: str | None = None
    counts: Counts = {}
    read: int = 0


class Wrote(msgspec.Struct, frozen=True, array_like=True, tag=23):
    """A life wrote a line; `life` is its number in the supervisor."""

    number: int
    life: int
    record: Record


class Dropped(msgspec.Struct, frozen=True, array_like=True, tag=24):
    """Output of a life was dropped."""

    number: int
    life: int
    lines: int
    size: int


class Ended(msgspec.Struct, frozen=True, array_like=True, tag=25):
    """A life has ended; all its bytes came before.

    Attributes:
        number: of the life.
        end: of it.
        rest: whole frames of the replies that its process had left in its black box.
    """

    number: int
    end: LifeEnd
    rest: bytes = b""


class ReaperLost(msgspec.Struct, frozen=True, array_like=True, tag=26):
    """There is no orphan reaper on that machine."""

    why: str


class SpareFailed(msgspec.Struct, frozen=True, array_like=True, tag=27):
    """A spare on that machine failed."""

    module: str | None
    why: str


class Closed(msgspec.Struct, frozen=True, array_like=True, tag=28):
    """Nothing of the daemon's is left on that machine; the agent ends."""


class Has(msgspec.Struct, frozen=True, array_like=True, tag=29):
    """The agent keeps a value that has crossed under that number."""

    known: int


OfALife = Took | Passed | Part | Ready | Sample | Wrote | Dropped | Ended
FromAgent = OfALife | Has | Pong | ReaperLost | SpareFailed | Closed

read_to_agent: Final = msgspec.msgpack.Decoder(ToAgent).decode
read_from_agent: Final = msgspec.msgpack.Decoder(FromAgent).decode
