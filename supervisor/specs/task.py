"""TaskSpec: how to start, restart and stop an asyncio task of the daemon."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from supervisor.callables import check_async, check_fits, name_of
from supervisor.core.restart import Restart
from supervisor.core.terms import Backoff, ChildTerms, RestartPolicy
from supervisor.known_options import tells_options
from supervisor.specs.common import Spec, default_name, lone_terms, read_words


@tells_options
@dataclass(frozen=True)
class TaskSpec(Spec):
    """How to start, restart and stop one asyncio task in the daemon's loop.

    It is ready as soon as it runs: when its first step is over and it has not raised. A coroutine function with a
    keyword-only parameter `ready`, which `kwargs` do not give, is ready when it calls `ready()`.

    A stop cancels it. A task cannot be killed. When the grace is over it is cancelled once more. If it swallows that,
    too, it is reported as killed and runs on, and no next life starts beside it.

    Args:
        coroutine_function: called on the loop, once for each life; what it awaits is the life.
        args: its positional arguments, the same objects in each life. No repr shows them, nor `kwargs`.
        kwargs: its keyword arguments.
        name: as in ChildSpec. Default: the function's name.
        restart: as in ChildSpec. A return is a normal end, so a function that is done makes it transient.
        shutdown: seconds of grace between the cancellation and the second one; BRUTAL_KILL or INFINITY.
        start_timeout: seconds until it must be ready.
        significant: as in ChildSpec.
        backoff: as in ChildSpec.

    Raises:
        UsageError: it is no coroutine function, or does not take these arguments.
    """

    coroutine_function: Callable[..., Coroutine[Any, Any, object]]
    args: tuple[Any, ...] = field(default=(), repr=False)
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    name: str = ""
    restart: RestartPolicy | Restart = RestartPolicy.PERMANENT
    shutdown: float = 5.0
    start_timeout: float = 30.0
    significant: bool = False
    backoff: Backoff | None = None
    calls_ready: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_async(self.coroutine_function)
        read_words(self, restart=RestartPolicy)
        default_name(self, name_of(self.coroutine_function))
        calls_ready = check_fits(self.coroutine_function, self.args, self.kwargs)
        object.__setattr__(self, "args", tuple(self.args))
        object.__setattr__(self, "calls_ready", calls_ready)

    @property
    def processes(self) -> int:
        """How many processes it asks for: none."""
        return 0

    @property
    def needs_main(self) -> bool:
        """Whether a process of it must import the daemon's main module: it has no process."""
        return False

    def terms(self) -> tuple[ChildTerms, ...]:
        """The terms for the supervision machine."""
        return lone_terms(self)
