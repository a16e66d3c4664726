"""From child: the frames from an actor's process to the daemon, a closed set of values: `FromChild`.

As in `to_child`, array-like and tagged. A new frame gets 36, the next free tag; 22 is not free: it was a frame's once,
and a tag never changes its meaning. The types carry the bounds: what is out of bounds does not decode, and that
ends the child's life, so code behind the decoder does not check again. Pure.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from actors.exits import MAX_BASES, MAX_CLASS_NAME
from actors.ref import MAX_KEY
from actors.wire.traces import Trace

MAX_HEALTH: Final = 1024  # characters of the line in which an actor says how it is

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
        first: the index of the first in its call, of which several such frames may come.
    """

    to: str
    kind: BulkKind
    correlation: Correlation
    deadline: Seconds | None
    fail_if_down: bool
    blocking: bool
    messages: msgspec.Raw
    trace: Trace | None = None
    first: Natural = 0


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
