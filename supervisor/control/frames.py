"""Control frames: what `actorctl` and a daemon send each other over the control socket. Pure.

    client ─ length, Request ─▶ daemon
    client ◀─ length, Reply ... Reply ─ daemon       one reply; to `ShowEvents` one for each event, then `Done`

A frame is a msgpack map with a `type`; `supervisor.control.framing` puts it into bytes. Fields are only added, with a
default. One connection serves one request after the other, in their order.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from supervisor.observe.broadcast import Missed
from supervisor.observe.happenings import Happening
from supervisor.tree.health import TreeHealth
from supervisor.tree.snapshot import SupervisorSnapshot

Name = Annotated[str, msgspec.Meta(max_length=1024)]
"""Of a child: a path (`/root/parser/3`), or its end where that is unique (`parser`)."""
Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=1e9)]


class Request(msgspec.Struct, frozen=True, tag=True):
    """Base of what a client sends."""


class Identify(Request, frozen=True):
    """Which daemon is this? Answered with `Identity`."""


class ShowTree(Request, frozen=True):
    """The whole tree now. Answered with `Tree`."""


class Explain(Request, frozen=True):
    """Why a child is as it is; with an empty name, each child that is not well. Answered with `Explanations`."""

    name: Name = ""


class TakeStacks(Request, frozen=True):
    """Where the code of a child is now; of a pool, of each of its processes. Answered with `Stacks`."""

    name: Name


class ShowEvents(Request, frozen=True):
    """The last events, and those that follow. Answered with `Occurred` for each, then `Done`.

    Attributes:
        last: how many past ones; 500 are kept.
        follow: whether to continue until the tree is down.
    """

    last: Annotated[int, msgspec.Meta(ge=0)] = 100
    follow: bool = False


class Tell(Request, frozen=True):
    """Send a message. Answered with `Done` when the mailbox has it.

    Attributes:
        name: of the actor or pool.
        message: the name of the message's class, among what the actor handles.
        body: its fields as JSON: an object.
    """

    name: Name
    message: Name
    body: str = "{}"


class Ask(Request, frozen=True):
    """Send a message and wait for its reply. Answered with `Answered`. Fields as in `Tell`.

    Attributes:
        timeout: seconds for the reply.
    """

    name: Name
    message: Name
    body: str = "{}"
    timeout: Seconds = 5.0


class Start(Request, frozen=True):
    """Start a child that is down. Answered with `Done` when it is ready."""

    name: Name


class Stop(Request, frozen=True):
    """Stop a child; it stays down until it is started. Answered with `Done` when it is down."""

    name: Name


class Restart(Request, frozen=True):
    """Replace the processes of a child by new ones. Answered with `Done` when they are ready.

    An actor is recycled: its messages stay. Any other child is stopped and started; one that is down is started.
    """

    name: Name


class Resize(Request, frozen=True):
    """Give a pool or an actor another number of processes. Answered with `Done` when they are ready, or down."""

    name: Name
    size: int


class ListDead(Request, frozen=True):
    """The dead letters of an actor, of all with an empty name. Answered with `DeadLetters`."""

    name: Name = ""


class ShowDead(Request, frozen=True):
    """One dead letter with its message. Answered with `DeadLetters`."""

    id: Name


class RequeueDead(Request, frozen=True):
    """Send these messages to their actors again, and drop the letters. Answered with `Done`."""

    ids: tuple[Name, ...]


class DropDead(Request, frozen=True):
    """Drop these letters. Answered with `Done`."""

    ids: tuple[Name, ...]


class ShowMetrics(Request, frozen=True):
    """The metrics as Prometheus' text. Answered with `Text`."""


AnyRequest = (
    Identify
    | ShowTree
    | Explain
    | TakeStacks
    | ShowEvents
    | Tell
    | Ask
    | Start
    | Stop
    | Restart
    | Resize
    | ListDead
    | ShowDead
    | RequeueDead
    | DropDead
    | ShowMetrics
)


class Reply(msgspec.Struct, frozen=True, tag=True):
    """Base of what a daemon sends."""


class Identity(Reply, frozen=True, kw_only=True):
    """Which daemon this is.

    Attributes:
        pid: its process id.
        tree: path of its tree.
        argv: its command line.
        cwd: its working directory.
        python: the version of its Python.
        started: when the tree was entered, in time.time() as the clock is set now.
        health: of the tree.
        children: how many actors, tasks, functions and commands the tree has.
        running: how many of them run.
    """

    pid: int
    tree: str
    argv: tuple[str, ...]
    cwd: str
    python: str
    started: float
    health: TreeHealth
    children: int
    running: int


class Tree(Reply, frozen=True):
    """The whole tree at one moment. Exit reports in it come without tracebacks, stacks and output.

    Attributes:
        at: time.time() of that moment.
        root: the tree.
    """

    at: float
    root: SupervisorSnapshot


class Explanation(msgspec.Struct, frozen=True):
    """Why a child is as it is.

    Attributes:
        path: of the child.
        verdict: in one word for scripts: `healthy`, `crash_loop`, `hung`, ...; all of them are in
            `supervisor.control.look.why.verdict`.
        sentence: what happened, what was decided, by which rule, what happens next, and what a person can do.
        report: the text of its last exit report, None where none ended yet.
    """

    path: str
    verdict: str
    sentence: str
    report: str | None = None


class Explanations(Reply, frozen=True):
    """At least one explanation."""

    found: tuple[Explanation, ...]


class ProcessStacks(msgspec.Struct, frozen=True):
    """Where the code of one process, or task, is.

    Attributes:
        path: of the child.
        pid: of its process, None for a task of the daemon.
        stacks: of its threads and tasks, or one line that says why there are none.
        node: name of the machine of its process; None on the daemon's.
        doing: what an actor does: the message it handles and for how long, or that it waits for one.
    """

    path: str
    pid: int | None
    stacks: str
    node: str | None = None
    doing: str = ""


class Stacks(Reply, frozen=True):
    """The stacks of the processes of a child."""

    processes: tuple[ProcessStacks, ...]


class Answered(Reply, frozen=True):
    """The reply of an actor, as JSON."""

    body: str


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter; fields as in `DeadLetter`.

    Attributes:
        id: names it in this daemon.
        at: time.time() at which it became one.
        size: bytes of its message, None where that is not known.
        body: the message as JSON; only where it is shown alone, and None where that cannot be.
    """

    id: str
    at: float
    actor: str
    message_type: str
    sender: str | None
    reason: str
    detail: str
    deliveries: int
    size: int | None
    body: str | None = None


class DeadLetters(Reply, frozen=True):
    """Dead letters, oldest first.

    Attributes:
        letters: those that are kept.
        lost: how many are not kept any more.
    """

    letters: tuple[Letter, ...]
    lost: int = 0


class Text(Reply, frozen=True):
    """A text."""

    text: str


class Occurred(Reply, frozen=True):
    """One event.

    Attributes:
        at: time.time() at which it happened.
        event: what happened, or how many events this client was too slow for.
        number: of the event in this tree, from 1; 0 of `Missed`.
    """

    at: float
    event: Happening | Missed
    number: int = 0


class Done(Reply, frozen=True):
    """It is done, or over; `detail` is one line for a person."""

    detail: str = ""


class Trouble(StrEnum):
    """Why a request was not served."""

    BAD_REQUEST = "bad_request"  # it is no request, or its values cannot be
    NO_SUCH_NAME = "no_such_name"  # no child has this name, or several have
    REFUSED = "refused"  # the tree, or the actor, says no
    NO_ANSWER = "no_answer"  # there was no answer in time
    FAILED = "failed"  # the handler of a message failed, or its process died
    BUSY = "busy"  # the daemon serves as many clients as it can


class Failed(Reply, frozen=True):
    """The request was not served, and nothing was changed; `text` says why and what to do."""

    trouble: Trouble
    text: str


AnyReply = Identity | Tree | Explanations | Stacks | Answered | DeadLetters | Text | Occurred | Done | Failed
