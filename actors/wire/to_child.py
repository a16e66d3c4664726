"""To child: the frames from the daemon to an actor's process, a closed set of values.

Frames are array-like and tagged with small ints, from 20 on towards the daemon (`from_child`). A batch is one encode
and one typed decode, and a frame of one direction does not decode in the other. A new frame gets 13, the next free tag:
one that no frame towards the actor has or had. 7 is there twice: `Preload` comes only before `StartActor`, `TellBatch`
only after it, so no decoder knows both.

`StartActor` comes once, on a spare after any number of `Preload`; then `Deliver`, `TellBatch`, `AskBatch`, `Bulk`,
`Cancel`, `Recall`, `Credit`, `Items`, `Stop`, `AskHealth`, `Load`, `Answer`. Pure.

Annotations are not postponed here: msgspec would compile each of them, in every process.
"""

from typing import Final, Generic, TypeVar

import msgspec

from actors.wire.framing import MAX_FRAME

MAX_BULK: Final = 1024  # messages of one call that travel together

M = TypeVar("M")


class Envelope(msgspec.Struct, Generic[M], frozen=True, array_like=True, gc=False):
    """One message for an actor.

    Attributes:
        seq: on the wire its delivery tag, from 1, which a redelivery may raise; in a `QueuedMessage` its sequence
            number, which it keeps.
        kind: TELL, ASK, STREAM or FEED.
        sender: path of the actor that sent it, None when the daemon did.
        deadline: time.monotonic() seconds after which it is no longer wanted, or None. All processes share this
            clock.
        message: the message, or its bytes (msgspec.Raw) where they are only passed on.
        beside: indices of the fields whose values are the attachments before this frame; None as a rule.
        trace: the trace context in which it was sent, see `actors.wire.traces`; None outside of any.
    """

    seq: int
    kind: int
    sender: str | None
    deadline: float | None
    message: M
    beside: tuple[int, ...] | None = None
    trace: str | None = None


class Deliver(msgspec.Struct, Generic[M], frozen=True, array_like=True, tag=0):
    """A batch of messages, in the order of the mailbox."""

    items: list[Envelope[M]]


class TellBatch(msgspec.Struct, Generic[M], frozen=True, array_like=True, tag=7):
    """Consecutive tells of the daemon, without an envelope each. `Preload` has its tag, before `StartActor`.

    Attributes:
        first: the delivery tag of the first; the others follow without a gap.
        messages: at least one.
        trace: as in `Envelope`, of all of them.
    """

    first: int
    messages: list[M]
    trace: str | None = None


TELL_BATCH_HEAD: Final = b"%b\x07\xcf%b\xdd%b"
"""An encoded `TellBatch` up to its messages, which are appended: the array's own head, the first delivery tag as eight
bytes, big-endian, and the number of messages as four."""


class Bulk(msgspec.Struct, Generic[M], frozen=True, array_like=True, tag=11):
    """Consecutive messages of one `tell_many` or `ask_many`, without an envelope each.

    Attributes:
        first: the delivery tag of the first; the others follow without a gap.
        kind: TELL or ASK, of all of them.
        sender: as in `Envelope`.
        deadline: as in `Envelope`.
        messages: at least one.
        trace: as in `Envelope`.
    """

    first: int
    kind: int
    sender: str | None
    deadline: float | None
    messages: list[M]
    trace: str | None = None


class AskBatch(msgspec.Struct, Generic[M], frozen=True, array_like=True, tag=12):
    """Consecutive asks of the daemon, without an envelope each; each has a sender that waits for it alone.

    Attributes:
        first: the delivery tag of the first; the others follow without a gap.
        deadlines: of each, as in `Envelope`.
        messages: as many.
    """

    first: int
    deadlines: list[float | None]
    messages: list[M]


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """These messages are no longer wanted: drop those that have not begun."""

    seqs: list[int]


class Recall(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Other members of the pool can handle these: answer those that have not begun as CANCELLED.

    Leave the others alone.
    """

    seqs: list[int]


class Stop(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Finish the current message and exit. The stop event says the same and overtakes a full channel."""


class AskHealth(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """The daemon wants to know how the actor is. Only for classes that override `Actor.health`."""


class Load(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """The state of the life before, for a life that was started beside it. It comes before the first message."""

    state: msgspec.Raw


class Answer(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """How an ask of this actor ended."""

    correlation: int
    kind: int
    payload: msgspec.Raw


class End(msgspec.Struct, frozen=True, array_like=True):
    """How one message of a `SendMany` ended: as an `Answer`, for the message at that index."""

    index: int
    kind: int
    payload: msgspec.Raw


class Credit(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """The reader of a stream takes this many more items."""

    seq: int
    count: int


class Items(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """Items that follow a message; `over` marks the last ones."""

    seq: int
    items: list[msgspec.Raw]
    over: bool


class ProcessOptions(msgspec.Struct, frozen=True, array_like=True):
    """How a process differs from its daemon's; empty values leave it as it is. See `ChildSpec`.

    Attributes:
        nice: added to the daemon's niceness.
        cpus: the processors it may run on.
        env: added to the environment.
        cwd: its working directory.
        rlimits: name without `RLIMIT_` to soft and hard limit.
    """

    nice: int = 0
    cpus: tuple[int, ...] = ()
    env: dict[str, str] = {}
    cwd: str = ""
    rlimits: dict[str, tuple[int, int]] = {}


class StartActor(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The first frame of a life: which actor the process runs.

    Attributes:
        path: the actor's path, for instance `/root/indexer`.
        life: the number of this life, from 1.
        module: where its class is imported from.
        qualname: the class in that module.
        arguments: pickle of (args, kwargs), made by the daemon; the only pickle that crosses, and only towards
            the actor.
        address: path of the mailbox it serves: the pool's for a member of a pool; empty for its own.
        main: what `multiprocessing.spawn.prepare` needs to import the daemon's main module, encoded as file names are,
            which may be no UTF-8; empty unless the class or its arguments are defined there.
        captured: whether what it prints goes to the daemon's log.
        handler_timeout: seconds that one handler may take, 0 without a limit.
        max_frame: the most bytes of a frame it may send.
        conditions: options of the process, applied before any module of the actor is imported.
        log_level: number of `logging` from which on the daemon accepts its lines.
        heartbeat: whether the daemon may ask whether its interpreter runs, and where.
        state: what the life before has saved, in msgpack; None when it begins without.
        durable: whether its messages are kept over the death of the daemon; then outcomes and state are sent together.
        keeps_replies: whether the daemon reads replies in the black box.
        descriptors: name of the abstract socket over which descriptors are passed; empty where none are.
        tracing: whether its handlers run in the trace context of their message, for the OpenTelemetry API.
    """

    path: str
    life: int
    module: str
    qualname: str
    arguments: bytes
    address: str = ""
    main: dict[str, bytes] = {}
    captured: bool = True
    handler_timeout: float = 0.0
    max_frame: int = MAX_FRAME
    conditions: ProcessOptions = ProcessOptions()
    log_level: int = 30
    heartbeat: bool = False
    state: bytes | None = None
    durable: bool = False
    descriptors: str = ""
    keeps_replies: bool = False
    tracing: bool = False


class Preload(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Tells a spare to import these modules, set its ready event and wait. `TellBatch` has its tag, after `StartActor`.

    Attributes:
        modules: in this order; `__main__` is the daemon's main module.
        main: as in `StartActor`.
        captured: as in `StartActor`; what the imports write becomes the first output of the life that gets the
            process.
        quiet: whether it is for one life, which is about to start: `ready` stays as it is, and an import that fails is
            left to that life.
    """

    modules: list[str]
    main: dict[str, bytes]
    captured: bool = True
    quiet: bool = False
