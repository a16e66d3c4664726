"""Exits: how a life ends: the reason in one word, and the report with everything known about it.

A reason is a value; what follows from it is decided in `supervisor.core.rules.policy`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from types import ModuleType
from typing import Final

import msgspec


class ExitKind(StrEnum):
    """The six ways a life can end. The first two are OTP's normal reasons, the others are abnormal."""

    NORMAL = "normal"  # the actor stopped itself
    SHUTDOWN = "shutdown"  # its supervisor asked, it complied; also a supervisor that gave up (OTP)
    CRASHED = "crashed"  # its code raised, or left with an exit code other than 0
    KILLED = "killed"  # a signal ended it
    UNSTARTED = "unstarted"  # it ended before it was ready, or was not ready in time
    LOST = "lost"  # it is gone and its exit code is not known: other code reaped it, or its machine is lost


class ExitReason(msgspec.Struct, frozen=True):
    """Why a life ended.

    Attributes:
        kind: one of the six ways.
        detail: one line for a person, for instance `KeyError: 'x'` or `SIGKILL`.
    """

    kind: ExitKind
    detail: str = ""

    @property
    def abnormal(self) -> bool:
        """Whether a transient child with this reason is started again (OTP: not normal, not shutdown)."""
        return self.kind not in (ExitKind.NORMAL, ExitKind.SHUTDOWN)

    @property
    def gave_up(self) -> bool:
        """Whether it is that of a supervisor that gave up, which ends as `shutdown` (OTP)."""
        return self.kind is ExitKind.SHUTDOWN and self.detail.startswith(GAVE_UP)

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.detail}" if self.detail else self.kind.value


_DECISIONS: Final = {
    "leave_down": "it stays down",
    "give_up": "its supervisor gives up",
    "expected": "as expected",
    "recycle": "its next life takes over",
}


class ExitReport(msgspec.Struct, frozen=True, kw_only=True):
    """One death, explained. Made in the daemon, once per life that ended.

    Attributes:
        actor: path of the actor, for instance `/root/indexer`.
        life: the number of the life, from 1.
        pid: process id, None when there was no process.
        node: name of the machine it ran on; None on the daemon's.
        reason: the way it ended.
        exit_code: what the process returned, None when a signal ended it or when it is not known.
        signal: name of the signal that ended it, or None.
        traceback: the Python traceback it sent before it died, or None.
        native_stack: the Python stacks of its threads at a fatal fault, as faulthandler wrote them, or None.
        stacks: the Python stacks of all its threads and tasks, taken before it was killed for hanging or for not being
            ready in time; else None.
        last_message: type name of the message that was being handled, `job parse` of a job; else of the last one
            handled, else None.
        last_message_begun: True when that message was still being handled, None when there was no message.
        last_message_failed: whether the exception that ended the life came out of that message's handler: the message
            has ended, with this error.
        deliveries: how often the message that was being handled had been begun, this time included, or None.
        out_of_memory: of a SIGKILL that its supervisor did not send: whether the kernel had just counted a kill for
            lack of memory; None where that count cannot be read.
        cpu_time: seconds of CPU time, or None.
        peak_memory: its peak memory in bytes, or None.
        cause: of a supervisor that gave up: the headline of the last report below it, else None.
        stderr: the last lines it wrote to standard error, or past Python to either descriptor.
        uptime: seconds from ready (or from spawn, when it never was ready) to the end.
        decision: what happens next, in one word: restart, leave_down, give_up, expected, recycle.
        because: why that was decided, one line.
        delay: seconds until the next start, None when there is none.
    """

    actor: str
    life: int
    pid: int | None
    reason: ExitReason
    exit_code: int | None = None
    signal: str | None = None
    traceback: str | None = None
    native_stack: str | None = None
    stacks: str | None = None
    last_message: str | None = None
    last_message_begun: bool | None = None
    last_message_failed: bool = False
    deliveries: int | None = None
    out_of_memory: bool | None = None
    cpu_time: float | None = None
    peak_memory: int | None = None
    cause: str | None = None
    stderr: tuple[str, ...] = ()
    uptime: float = 0.0
    decision: str = ""
    because: str = ""
    delay: float | None = None
    node: str | None = None

    @property
    def headline(self) -> str:
        """Which life ended, and why: the first line of the report."""
        who = f"life {self.life}" if self.pid is None else f"life {self.life}, pid {self.pid}"
        who = who if self.node is None else f"{who} on {self.node}"
        cause = "" if self.cause is None else f"; the last: {self.cause}"
        return f"{self.actor} ({who}) ended: {self.reason}{cause}"

    @property
    def line(self) -> str:
        """The report in one line: which life ended, why, at what, and what happens next."""
        parts = [self.headline]
        if self.last_message is not None:
            parts.append(self._at_work)
        if self.decision:
            parts.append(self._next)
        return "; ".join(parts)

    def __str__(self) -> str:
        lines = [self.headline, f"  after {self.uptime:.3f} s{self._used()}"]
        if self.last_message is not None:
            times = {None: "", 1: ", begun once"}.get(self.deliveries, f", begun {self.deliveries} times")
            lines.append(f"  {self._at_work}{times}")
        if self.decision:
            lines.append(f"  {self._next}")
        for text in (self.traceback, self.native_stack, self.stacks):
            lines.extend("  | " + line for line in (text or "").rstrip().splitlines())
        if self.stderr:
            lines.append("  it wrote last:")
            lines.extend("  > " + line for line in self.stderr)
        return "\n".join(lines)

    @property
    def follows(self) -> str:
        """The decision in words, as they stand in a sentence: `restart`, `it stays down`."""
        return _DECISIONS.get(self.decision, self.decision)

    @property
    def _at_work(self) -> str:
        if self.last_message_failed:
            return f"while handling {self.last_message}, which failed"
        return f"{'while handling' if self.last_message_begun else 'last handled'} {self.last_message}"

    @property
    def _next(self) -> str:
        when = "" if self.delay is None else f" in {self.delay:.3f} s"
        return f"{'' if self.decision == 'expected' else 'next: '}{self.follows}{when} ({self.because})"

    def _used(self) -> str:
        used = [] if self.cpu_time is None else [f"{self.cpu_time:.3f} s of CPU time"]
        if self.peak_memory is not None:
            used.append(f"{self.peak_memory / 2**20:.1f} MiB of memory at most")
        return f", with {' and '.join(used)}" if used else ""


def exception_names(cls: type[BaseException]) -> tuple[str, ...]:
    """The names of an exception class and its bases, nearest first; the same in the daemon and in its processes.

    A builtin has no module, the main module is `__main__`. A class that a package re-exports has both names, the one of
    its definition first: `json.decoder.JSONDecodeError`, `json.JSONDecodeError`.
    """
    names = (name for base in _MRO(cls)[:-1] for name in (_class_name(base), *_exported(base)))
    return tuple(name[:MAX_CLASS_NAME] for name in names)[:MAX_BASES]


def exception_name(cls: type[BaseException]) -> str:
    """The name of an exception class for a person: one line, without a module that tells nothing."""
    module, name = module_of(cls), qualified_name(cls)
    shown = name if module in _UNNAMED else f"{module}.{name}"
    return (shown if shown.isprintable() else ascii(shown)[1:-1])[:MAX_CLASS_NAME]


def with_article(name: str) -> str:
    """`an int`, `a Ping`, `a UsageError`: the name of a type in a sentence, by how it sounds."""
    spoken = name.lstrip("_").lower()
    return f"an {name}" if spoken.startswith(_VOWELS) and not spoken.startswith(_SPOKEN_OTHERWISE) else f"a {name}"


def exception_named(name: str) -> type[BaseException] | None:
    """The exception class that a loaded module has under a name, also an alias; None where there is none.

    Args:
        name: with its module; that of a builtin needs none.
    """
    module, _, rest = name.rpartition(".") if "." in name else ("builtins", "", name)
    while module:
        if module in sys.modules:
            found: object = sys.modules[module]
            for part in rest.split("."):
                found = vars(found).get(part) if hasattr(found, "__dict__") else None  # runs no code of the module's
            return found if isinstance(found, type) and issubclass(found, BaseException) else None
        module, _, last = module.rpartition(".")
        rest = f"{last}.{rest}"
    return None


def module_without(name: str) -> str:
    """The loaded module that has no such exception class; empty where that cannot be told yet.

    That is so of a module that is not loaded or is being imported, of one that makes its names when they are asked for,
    of the main module, and of what may be a submodule that is not loaded.
    """
    module = name.rpartition(".")[0]
    while module and module not in sys.modules:
        module = module.rpartition(".")[0]
    loaded = sys.modules.get(module)
    if not isinstance(loaded, ModuleType) or module in {"__main__", "__mp_main__"}:
        return ""
    names = vars(loaded)
    first, _, rest = name.removeprefix(f"{module}.").partition(".")
    unfinished = getattr(names.get("__spec__"), "_initializing", False)
    if unfinished or "__getattr__" in names or (rest and "__path__" in names and first not in names):
        return ""
    return module


def near_name(name: str, module: str) -> str:
    """What a loaded module has that is near a name, as a question; empty where there is nothing."""
    import difflib  # noqa: PLC0415 - only a mistake pays for it

    near = difflib.get_close_matches(name, vars(sys.modules[module]), n=1)
    return f", did you mean {near[0]}" if near else ""


def module_of(cls: type) -> str:
    """The module of a class, whatever its metaclass does."""
    module = _MODULE(cls)
    return encodable(module) if isinstance(module, str) else ""


def qualified_name(cls: type) -> str:
    """The qualified name of a class, without its module, whatever its metaclass does."""
    return encodable(_QUALNAME(cls))


def encodable(name: str) -> str:
    """A text that can be sent: half a surrogate pair, as of an undecodable file name, is quoted."""
    return name.encode("utf-8", "backslashreplace").decode()


def _class_name(cls: type) -> str:
    module, name = module_of(cls), qualified_name(cls)
    if module == "builtins":
        return name
    return f"{'__main__' if module == '__mp_main__' else module}.{name}"


def _exported(cls: type) -> Iterator[str]:
    """Its names in the packages around its module, and in the module that an accelerator in C, `_queue`, belongs to."""
    module, name = module_of(cls), qualified_name(cls)
    packages = module.split(".")
    around = [".".join(packages[:count]) for count in range(len(packages) - 1, 0, -1)]
    for place in [*around, module.removeprefix("_")]:
        if place != module and getattr(sys.modules.get(place), "__dict__", {}).get(name) is cls:
            yield f"{place}.{name}"


_MRO: Final = type.__dict__["__mro__"].__get__  # as `type` itself reads them; a metaclass may raise there
_MODULE: Final = type.__dict__["__module__"].__get__
_QUALNAME: Final = type.__dict__["__qualname__"].__get__
_UNNAMED: Final = ("builtins", "__main__", "__mp_main__")  # the last is the main module in a process
GAVE_UP: Final = "gave up: "  # begins the detail of the reason of a supervisor that gave up
_VOWELS: Final = ("a", "e", "i", "o", "u")
_SPOKEN_OTHERWISE: Final = ("eu", "one", "uni", "use", "usa", "url", "uri", "uuid", "utc", "udp", "utf")  # yoo-, wun-
MAX_CLASS_NAME: Final = 1024  # characters of the name of a class
MAX_BASES: Final = 64  # names of the class of one exception and of its bases
EXIT_ORPHANED: Final = 70  # exit code of a process whose daemon is gone (BSD's EX_SOFTWARE)
EXIT_CUT: Final = 76  # of one that an exception has interrupted in the middle of a frame (BSD's EX_PROTOCOL)
