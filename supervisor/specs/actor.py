"""ChildSpec: how to start, restart and stop one actor, or a pool of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from actors.actor import Actor
from actors.protocol.protocol import protocol_of
from actors.wire.framing import MAX_FRAME, MAX_MESSAGE
from actors.wire.to_child import ProcessOptions
from supervisor.arguments import check_call, check_containers, pickled
from supervisor.core.place import LOCAL, Place
from supervisor.core.restart import Restart
from supervisor.core.terms import Backoff, ChildTerms, RestartPolicy, Routing
from supervisor.known_options import tells_options
from supervisor.spawnable import MAIN, check_importable
from supervisor.specs.common import Output, Spec, default_name, policy_of, process_options, read_words, rules_of

_MAIN_PICKLED: Final = tuple(name.encode() for name in MAIN)


class Overflow(StrEnum):
    """What a full mailbox does with one more message."""

    WAIT = "wait"  # the sender waits for room; tell_nowait raises MailboxFull
    FAIL = "fail"  # the sender gets MailboxFull
    DROP_OLDEST = "drop_oldest"  # the longest-waiting message becomes a dead letter, the new one is taken
    DROP_NEWEST = "drop_newest"  # the new message becomes a dead letter


@tells_options
@dataclass(frozen=True, kw_only=False)
class ChildSpec(Spec):
    """How to start, restart and stop one actor, or a pool of them behind one ref.

    The actor class and its arguments are checked here, in the daemon, before any process exists.

    Args:
        actor: the actor class; importable by name from a spawned process.
        args: positional arguments of its `__init__`; pickled now, unpickled in the actor's process. A ref among them
            is bound there. No repr and no error shows their values, nor those of `kwargs` and `env`.
        kwargs: keyword arguments of its `__init__`.
        name: unique under its supervisor; letters, digits, `_`, `-` and `.`. Default: the class's name in lower case.
        restart: whether it is started again when it ends; `Restart` adds rules by the cause of the end. As every enum
            in a spec, it may be given as its word: `"permanent"`.
        shutdown: seconds of grace between the request to stop and SIGKILL; BRUTAL_KILL or INFINITY.
        start_timeout: seconds until `on_start` must have returned.
        significant: whether its end counts for the supervisor's auto_shutdown.
        backoff: how long to wait before a restart; None for the default, which adapts to the intensity.
        size: how many processes share the mailbox. More than 1 makes a pool; its messages have no common order.
        routing: which member of a pool gets a message.
        key: name of the message attribute that Routing.BY_KEY looks at; messages with the same key keep their order.
        mailbox: how many messages may wait.
        mailbox_bytes: how many bytes of messages may wait, None without a bound.
        overflow: what a full mailbox does with one more message.
        max_message_bytes: the most bytes one message may have, at most 127 MiB; a larger one is refused at the sender.
        max_frame_bytes: the most bytes of one frame that its process may send, at most 128 MiB: a reply, a message to
            another actor, a log line. It holds the largest message and 1 MiB. What is larger is refused there; a
            process that sends it all the same is ended.
        max_deliveries: how often an idempotent message may be begun before it is given up as poison.
        handler_timeout: seconds that one handler may take (in a stream or a feed, one item), and that messages in the
            process's inbox may wait without one beginning. Beyond it the process hangs, and is killed. None: no limit.
        soft_timeout: seconds after which a handler is reported as slow, with the stacks of its process, by an event
            `HandlerSlow` and one log line; again at twice the time, and so on. It goes on. None for never.
        max_messages: after how many messages the process is replaced by the next life, None for no such limit.
        max_age: after how many seconds since it became ready it is replaced, None for no such limit.
        max_age_jitter: share of max_age added at random, so that processes started together do not end together.
        max_rss: above how many bytes of resident memory it is replaced, checked every second; None for no such limit.
            Only on Linux.
        place: where its processes run: "local", on the daemon's machine. With a cluster also "any", on the machine
            with the fewest lives; "node:LABEL", on one with that name, address or label; or the resources that each
            takes, `{"gpu": 1}`.
        overlap: whether a recycled process works until the next one is ready. Then no message waits for `on_start`, and
            there are two processes meanwhile. False stops the one before the next one starts, for an actor that needs
            memory, a device or a port that the machine does not have twice.
        output: "capture": what it prints and logs goes to the daemon's log; "inherit": to where the daemon's own does.
        durable: whether its messages, their outcomes and its state (`Actor.save`, `load`) are kept in the store of the
            `Supervisor`, over the death of the daemon. `mailbox` is then how many messages are in memory.
        nice: added to the daemon's niceness; a negative one needs a privilege.
        cpu_affinity: numbers of the processors it may run on, None for the daemon's (Linux).
        env: added to the daemon's environment. What an interpreter or its loader reads before it runs any code,
            `PYTHON...` and `LD_...`, would come too late and is refused.
        cwd: its working directory, None for the daemon's.
        rlimits: bounds of the kernel's: `{"AS": 2**30, "NOFILE": (64, 128)}`, each one number or (soft, hard), -1 for
            none; names as in the module `resource`, without `RLIMIT_`. An actor with any of these starts in a fresh
            process, never in a spare one.

    Raises:
        UsageError: the class or its arguments could not work in a spawned process.
    """

    actor: type[Actor]
    args: tuple[Any, ...] = field(default=(), repr=False)
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    name: str = ""
    restart: RestartPolicy | Restart = RestartPolicy.PERMANENT
    shutdown: float = 5.0
    start_timeout: float = 30.0
    significant: bool = False
    backoff: Backoff | None = None
    size: int = 1
    routing: Routing = Routing.LEAST_LOADED
    key: str = ""
    mailbox: int = 10_000
    mailbox_bytes: int | None = None
    overflow: Overflow = Overflow.WAIT
    max_message_bytes: int = MAX_MESSAGE
    max_frame_bytes: int = MAX_FRAME
    max_deliveries: int = 3
    handler_timeout: float | None = None
    soft_timeout: float | None = None
    max_messages: int | None = None
    max_age: float | None = None
    max_age_jitter: float = 0.1
    max_rss: int | None = None
    output: Output = "capture"
    nice: int = 0
    cpu_affinity: tuple[int, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    rlimits: Mapping[str, int | tuple[int, int]] = field(default_factory=dict)
    overlap: bool = True
    place: Place = LOCAL
    durable: bool = False
    arguments: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_importable(self.actor)
        protocol_of(self.actor)
        read_words(self, restart=RestartPolicy, routing=Routing, overflow=Overflow)
        default_name(self, self.actor.__name__.lower())
        check_containers(self.actor, self.args, self.kwargs)
        object.__setattr__(self, "args", tuple(self.args))
        if self.args or self.kwargs:  # a spec without arguments may be a template for `named`
            check_call(self.actor, self.args, dict(self.kwargs))
        object.__setattr__(self, "arguments", pickled(self.actor, self.args, dict(self.kwargs)))

    @property
    def processes(self) -> int:
        """How many processes it asks for."""
        return self.size

    @property
    def has_heartbeat(self) -> bool:
        """Whether its processes answer heartbeats: where handlers have a limit."""
        return self.handler_timeout is not None or self.soft_timeout is not None

    @property
    def needs_main(self) -> bool:
        """Whether its processes must import the daemon's main module: the class or an argument is defined there."""
        return self.actor.__module__ in MAIN or any(map(self.arguments.__contains__, _MAIN_PICKLED))

    def conditions(self) -> ProcessOptions:
        """The options applied in its processes before any module of the actor is imported."""
        return process_options(self)

    def named(self, name: str, *args: Any, **kwargs: Any) -> ChildSpec:
        """The same spec under another name, with other arguments: many children of one kind.

        Args:
            name: the new name.
            args: positional arguments of its `__init__`, in place of the spec's.
            kwargs: keyword arguments of its `__init__`, in place of the spec's.
        """
        return replace(self, name=name, args=args, kwargs=kwargs)

    def members(self) -> tuple[str, ...]:
        """The names of its processes: its own, or `name/0`, `name/1`, ... for a pool."""
        return (self.name,) if self.size == 1 else tuple(self.member(index) for index in range(self.size))

    def member(self, index: int) -> str:
        """The name of one process of a pool."""
        return f"{self.name}/{index}"

    def terms(self) -> tuple[ChildTerms, ...]:
        """The terms for the supervision machine, one for each process."""
        return tuple(self.terms_of(name) for name in self.members())

    def terms_of(self, name: str) -> ChildTerms:
        """The terms of one process."""
        return ChildTerms(
            name=name,
            restart=policy_of(self.restart),
            rules=rules_of(self.restart),
            shutdown=self.shutdown,
            start_timeout=self.start_timeout,
            significant=self.significant,
            backoff=self.backoff,
            own_budget=name != self.name,
            overlap=self.overlap,
            pool=self.name,
        )
