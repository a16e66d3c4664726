"""Jobs: the actor class whose processes run functions marked with `@job`, one call at a time in each.

    daemon: run(parse, "a.py") ─▶ RunJob(module, function, arguments) ─▶ mailbox ─▶ Jobs.run ─▶ parse("a.py")
                  Report ◀──────────── decoded as the annotation says ◀──────────── bytes of the result

Runs in the actor's process, in its main thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import msgspec

from actors.actor import Actor, handles
from actors.bounds import LEAST_SECONDS
from actors.child.beginning import import_module, only_importing
from actors.exits import module_of, qualified_name
from actors.ipc.shared import Shared
from actors.jobs.definition import definition_of
from actors.messages import Message
from actors.process.tracebacks import words_of
from actors.wire.framing import Carried

IMPORT_LIMIT: Final = 30.0  # seconds that the import of a job's module may take, which are not part of its timeout

_MAIN: Final = "__mp_main__"  # what multiprocessing calls the daemon's main module, once it is imported here


class RunJob(Message[bytes]):
    """Run a job. The reply is its encoded result.

    Attributes:
        module: where its function is defined.
        function: its name there.
        arguments: encoded, by name.
        timeout: seconds it may run, 0 for no limit.
        main: how the daemon's main module is imported, for a job that is defined there.
    """

    module: str
    function: str
    arguments: bytes
    timeout: float = 0.0
    main: dict[str, bytes] = msgspec.field(default_factory=dict)


class RunIdempotentJob(RunJob):
    """The same; when the process that runs it dies, the next one runs it again."""

    idempotent: ClassVar[bool] = True


class _Head(msgspec.Struct, array_like=True):
    """The first fields of an encoded message that runs a job."""

    tag: str | int
    module: str
    function: str


_read_head: Final = msgspec.msgpack.Decoder(_Head).decode


class SharingResult(msgspec.Struct, frozen=True):
    """The encoded result of a job, and the values in shared memory that are in it."""

    data: bytes
    shared: list[Shared]


class RunSharingJob(Message[SharingResult]):
    """Run a job whose arguments or result may contain values in shared memory.

    Attributes:
        shared: those in the arguments, which refer to them by index; the other attributes are as in `RunJob`.
    """

    module: str
    function: str
    arguments: bytes
    timeout: float = 0.0
    main: dict[str, bytes] = msgspec.field(default_factory=dict)
    shared: list[Shared] = msgspec.field(default_factory=list)


class RunIdempotentSharingJob(RunSharingJob):
    """The same; as `RunIdempotentJob`."""

    idempotent: ClassVar[bool] = True


def shown(message: type[Message[Any]], encoded: bytes | msgspec.Raw | None = None) -> str:
    """How reports name a message: by its class; one that runs a job by the job, `job parse`.

    Args:
        message: its class.
        encoded: it; None where it is not known, then `job` is all that is said. `?` of bytes that are no such message.
    """
    if not issubclass(message, RunJob | RunSharingJob):
        return message.__qualname__
    if encoded is None:
        return "job"
    try:
        return f"job {_read_head(encoded).function}"
    except msgspec.MsgspecError:
        return "job ?"


def as_shared(carried: Sequence[Carried]) -> list[Shared]:
    """Values in shared memory, whatever they are in what refers to them, as a message carries them."""
    return [Shared(one, one.size, "|u1", (one.size,)) for one in carried]


class Jobs(Actor):
    """Runs jobs: `ChildSpec(Jobs, name="pool", size=8)` is eight processes, each of which runs one at a time.

    `root["pool"].run(parse, "a.py")` runs one job, `root["pool"].map(parse, paths)` many. Whatever a job raises,
    SystemExit and KeyboardInterrupt included, is a `HandlerError` of its caller, and the process goes on. A process
    that ends while it runs a job is replaced at once, and that counts for no restart intensity.

    A subclass may have `codecs`, `on_start` and `on_stop`.
    """

    on_error = "reply"
    _takes_instead = "it runs functions marked with @job, await ref.run(parse, 'a.py'); make an actor for messages"

    @handles
    def run(self, msg: RunJob | RunIdempotentJob) -> bytes:
        """Run a job."""
        data, _ = self._call(msg, ())
        return data

    @handles
    def run_sharing(self, msg: RunSharingJob | RunIdempotentSharingJob) -> SharingResult:
        """Run a job with values in shared memory."""
        data, shared = self._call(msg, [one.carried() for one in msg.shared])
        return SharingResult(data, as_shared(shared))

    def _call(self, msg: RunJob | RunSharingJob, shared: Sequence[Carried]) -> tuple[bytes, tuple[Carried, ...]]:
        try:
            function = self._find(msg)
            if msg.timeout:
                self.context.extend(msg.timeout)
            return definition_of(function).call(function, msg.arguments, shared)
        except Exception:
            raise
        except BaseException as error:  # the job is over, not the process
            raise _as_exception(error) from None

    def _find(self, msg: RunJob | RunSharingJob) -> Callable[..., Any]:
        """The function; its module is imported if need be."""
        module = sys.modules.get(msg.module)
        if module is None or (msg.main and module.__name__ != _MAIN):
            self.context.extend(IMPORT_LIMIT)
            with only_importing():
                import_module(msg.module, msg.main)
            self.context.extend(LEAST_SECONDS)
            module = sys.modules[msg.module]
        found: Callable[..., Any] = getattr(module, msg.function)
        return found


def _as_exception(error: BaseException) -> Exception:
    """An Exception with the name, the text and the traceback of what is none, a SystemExit for instance."""
    cls, name = type(error), qualified_name(type(error))
    named = type(name.rpartition(".")[2], (Exception,), {"__module__": module_of(cls), "__qualname__": name})
    stand_in: Exception = named(words_of(error))
    return stand_in.with_traceback(error.__traceback__)
