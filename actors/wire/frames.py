"""Frames: everything that crosses between the daemon and an actor's process, as two closed sets of values.

Frames are array-like and tagged with small ints (from 20 on towards the daemon). A batch is one encode and one typed
decode, and a frame of one direction does not decode in the other.

The types of what a child sends carry the bounds. What is out of bounds does not decode, and that ends the child's
life, so code behind the decoder does not check again.

Daemon to child: `StartActor` once, on a spare after any number of `Preload`; then `Deliver`, `TellBatch`,
`AskBatch`, `Bulk`, `Cancel`, `Recall`, `Credit`, `Items`, `Stop`, `AskHealth`, `Load`, `Answer`. Child to daemon:
`Outcomes`, `Replies`, `KeptReplies`, `Settled`, `Send`, `SendMany`, `MoreItems`, `Withdraw`, `Watch`, `Subscribe`,
`Publish`, `HealthIs`, `Saved`, `CrashReport`, `Goodbye`.
"""

from __future__ import annotations

from typing import Annotated, Final, Generic, Literal, TypeVar

import msgspec

from actors.exits import MAX_BASES, MAX_CLASS_NAME
from actors.ref import MAX_KEY
from actors.wire.framing import MAX_FRAME
from actors.wire.traces import Trace

MAX_BULK: Final = 1024  # messages of one call that travel together
MAX_HEALTH: Final = 1024  # characters of the line in which an actor says how it is

M = TypeVar("M")

TELL: Final = 0  # no reply
ASK: Final = 1  # one reply
STREAM: Final = 2  # items, then a nil reply
FEED: Final = 3  # as ASK, and items follow the message

REPLY: Final = 0  # payload: the reply, encoded as the message's reply type
FAILED: Final = 1  # payload: Failure
REJECTED: Final = 2  # payload: the text of the refusal
DONE: Final = 3  # a tell of a concurrent actor has ended; no payload
CANCELLED: Final = 4  # cancelled before it began
EXPIRED: Final = 5  # its deadline had passed before it began
UNDECODABLE: Final = 6  # payload: what is wrong with it
STOPPED: Final = 7  # Answer only: the other actor is down for good; payload: the text
CRASHED: Final = 8  # Answer only: payload: [text, started, finished]
UNKNOWN: Final = 9  # Answer only: no actor has that name; payload: the text
FULL: Final = 10  # Answer only: its mailbox is full; payload: the text
ACCEPTED: Final = 11  # Answer only: the mailbox has taken the tell
ITEM: Final = 13  # one item of a stream, which continues; payload: the item
WANT: Final = 14  # a feed may send more items; payload: how many
CYCLE: Final = 12  # Answer only: waiting for the reply would close a cycle of waits; payload: the text
BESIDE: Final = 15  # as REPLY, the reply is the attachment before this frame
ENDS: Final = 16  # Answer only: some messages of a SendMany have ended, others follow; payload: list[End]
SHARED_REPLY: Final = 17  # as REPLY, with values in shared memory: the attachments before this frame
SHARED_ITEM: Final = 18  # as ITEM, likewise
ITEMS: Final = (ITEM, SHARED_ITEM)

SendKind = Literal[0, 1, 2]  # TELL, ASK, STREAM: only the daemon feeds
BulkKind = Literal[0, 1]  # TELL, ASK
Natural = Annotated[int, msgspec.Meta(ge=0)]
Correlation = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0.0)]  # not NaN, which compares to nothing; infinity is allowed
Text = Annotated[str, msgspec.Meta(max_length=256 * 1024)]  # goes into reports and logs
ClassName = Annotated[str, msgspec.Meta(max_length=MAX_CLASS_NAME)]
HealthText = Annotated[str, msgspec.Meta(max_length=MAX_HEALTH)]
Key = Annotated[str, msgspec.Meta(max_length=MAX_KEY)]
TopicName = Annotated[str, msgspec.Meta(max_length=255)]  # the daemon remembers it

NOTHING: Final = msgspec.Raw(b"\xc0")  # an empty payload: msgpack's nil


class Envelope(msgspec.Struct, Generic[M], frozen=True, array_like=True, gc=False):
    """One message for an actor.

    Attributes:
        seq: its delivery tag in the mailbox, from 1; it keeps it over redelivery.
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
    """Consecutive tells of the daemon, without an envelope each.

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
    """Tells a spare to import these modules, set its ready event and wait.

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


class Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How one message ended.

    Attributes:
        seq: its delivery tag.
        kind: in which way, for instance REPLY.
        payload: what belongs to that.
        began: time.monotonic_ns() at which its handler began; 0 when it did not begin.
        ended: time.monotonic_ns() at which it ended; 0 when that is now.
    """

    seq: int
    kind: int
    payload: msgspec.Raw
    began: Natural = 0
    ended: Natural = 0


class Outcomes(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """Every message up to `ack_up_to` has ended; messages with a reply or an error have an item.

    `ack_up_to` 0: no change.

    Attributes:
        ack_up_to: a delivery tag.
        items: by message.
        began: time.monotonic_ns() at which the handler of the last acknowledged message began; 0 when that is not told.
    """

    ack_up_to: Natural
    items: list[Outcome]
    began: Natural = 0


class Replies(msgspec.Struct, frozen=True, array_like=True, tag=33):
    """The replies to consecutive asks of a `Bulk`.

    Attributes:
        first: the delivery tag of the first of them.
        count: how many.
        replies: their replies, as one encoded array.
    """

    first: Natural
    count: Natural
    replies: msgspec.Raw


class KeptReplies(msgspec.Struct, frozen=True, array_like=True, tag=35):
    """Replies lie in the black box (`actors.ipc.reply_area`); with them, messages have ended as in `Outcomes`.

    Attributes:
        mark: how far they are written.
        ack_up_to, began: as in `Outcomes`.
        more: whether more follow in the next millisecond without such a frame, to be looked for a little later.
    """

    mark: Natural
    ack_up_to: Natural
    began: Natural
    more: bool


class Send(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """A message from this actor to another. The daemon routes it and does not decode it.

    Attributes:
        to: the receiver's path, or the name of a sibling.
        kind: TELL, ASK or STREAM.
        correlation: number of the waiting call in this life: an ask waits for its reply, a tell for its acceptance; 0
            when no call waits.
        deadline: as in `Envelope`.
        delay: seconds after which a tell enters the mailbox.
        fail_if_down: end the ask at once while the receiver has no running process.
        blocking: the sender handles nothing else until the answer arrives.
        message: the message's bytes.
        beside: as in `Envelope`.
        key: of a message to a durable actor: the same key has the same outcome.
        trace: as in `Envelope`.
    """

    to: str
    kind: SendKind
    correlation: Natural
    deadline: Seconds | None
    delay: Seconds
    fail_if_down: bool
    blocking: bool
    message: msgspec.Raw
    beside: tuple[int, ...] | None = None
    key: Key | None = None
    trace: Trace | None = None


class SendMany(msgspec.Struct, frozen=True, array_like=True, tag=34):
    """Messages from this actor to another, as many `Send`s with one answer.

    Attributes:
        to: as in `Send`.
        kind: TELL or ASK, of all of them.
        correlation: number of the waiting call in this life.
        deadline: as in `Envelope`.
        fail_if_down: as in `Send`.
        blocking: as in `Send`.
        messages: as one encoded array.
        trace: as in `Envelope`, of all of them.
    """

    to: str
    kind: BulkKind
    correlation: Correlation
    deadline: Seconds | None
    fail_if_down: bool
    blocking: bool
    messages: msgspec.Raw
    trace: Trace | None = None


class End(msgspec.Struct, frozen=True, array_like=True):
    """How one message of a `SendMany` ended: as an `Answer`, for the message at that index."""

    index: int
    kind: int
    payload: msgspec.Raw


class MoreItems(msgspec.Struct, frozen=True, array_like=True, tag=26):
    """This actor takes this many more items of the stream with that correlation."""

    correlation: Natural
    count: Natural


class Subscribe(msgspec.Struct, frozen=True, array_like=True, tag=27):
    """This actor subscribes to that topic."""

    topic: TopicName


class Publish(msgspec.Struct, frozen=True, array_like=True, tag=28):
    """A message for all subscribers of that topic.

    Attributes:
        topic: its name.
        message: the message's bytes.
        trace: as in `Envelope`.
    """

    topic: TopicName
    message: msgspec.Raw
    trace: Trace | None = None


class Withdraw(msgspec.Struct, frozen=True, array_like=True, tag=25):
    """The ask with that correlation is no longer wanted."""

    correlation: Natural


class Watch(msgspec.Struct, frozen=True, array_like=True, tag=24):
    """This actor wants to know when another is down for good.

    Attributes:
        path: the other's path.
        correlation: number of the waiting call in this life; 0 when a `Terminated` message is wanted.
    """

    path: str
    correlation: Natural


class HealthIs(msgspec.Struct, frozen=True, array_like=True, tag=30):
    """How the actor is: None for well, else one line."""

    degraded: HealthText | None


class Settled(msgspec.Struct, frozen=True, array_like=True, tag=32):
    """Messages of a durable actor have ended, and this is its state then: both are stored, or neither.

    The messages that it has sent since the last such frame belong to it, too.

    Attributes:
        ack_up_to, items: as in `Outcomes`.
        state: after the last of these messages.
    """

    ack_up_to: Natural
    items: list[Outcome]
    state: msgspec.Raw


class Saved(msgspec.Struct, frozen=True, array_like=True, tag=31):
    """The state of this life after its last message. The daemon hands it to the next life and does not decode it."""

    state: msgspec.Raw


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """An exception, as text."""

    type_name: Text
    message: Text
    traceback: Text


class CrashReport(msgspec.Struct, frozen=True, array_like=True, tag=23):
    """Why this process is about to exit with an error.

    Attributes:
        where: a phrase: `in on_start`, `in Indexer.tokenise`.
        failure: the exception, as text.
        classes: names of its class and their bases, nearest first, for restart rules.
    """

    where: Text
    failure: Failure
    classes: Annotated[tuple[ClassName, ...], msgspec.Meta(max_length=MAX_BASES)] = ()


class Goodbye(msgspec.Struct, frozen=True, array_like=True, tag=29):
    """This process has finished in good order and is about to exit."""


FromChild = (
    Outcomes
    | Settled
    | Replies
    | KeptReplies
    | Send
    | SendMany
    | MoreItems
    | Withdraw
    | Watch
    | Subscribe
    | Publish
    | HealthIs
    | Saved
    | CrashReport
    | Goodbye
)
