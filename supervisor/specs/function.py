"""FunctionSpec: how to start, restart and stop a plain function in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from supervisor.arguments import check_spawnable
from supervisor.callables import check_fits, check_plain, name_of
from supervisor.core.restart import Restart
from supervisor.core.terms import Backoff, ChildTerms, RestartPolicy
from supervisor.known_options import tells_options
from supervisor.specs.common import Output, Spec, default_name, lone_terms, read_words


@tells_options
@dataclass(frozen=True)
class FunctionSpec(Spec):
    """How to start, restart and stop one plain function in a process of its own.

    The function and its arguments are what `multiprocessing.Process(target=, args=)` takes with the start method spawn:
    queues, events, pipes and locks may be among the arguments, and each life gets them anew.

    It is ready when it is called. A function with a keyword-only parameter `ready`, which `kwargs` do not give, is
    ready when it calls `ready()`.

    A stop sends SIGTERM, which raises SystemExit in the function's main thread, so `finally` and `with` do their work.
    A handler that the function sets for SIGTERM replaces that. When the grace is over it is killed.

    Args:
        function: importable by name from a spawned process.
        args: its positional arguments, pickled at each start. No repr shows them, nor `kwargs` and `env`.
        kwargs: its keyword arguments.
        name: as in ChildSpec. Default: the function's name.
        restart: as in ChildSpec. A return is a normal end, so a function that is done makes it transient.
        shutdown: seconds of grace between SIGTERM and SIGKILL; BRUTAL_KILL or INFINITY.
        start_timeout: seconds until it must be ready.
        significant, backoff, output, nice, cpu_affinity, env, cwd, rlimits: as in ChildSpec.

    Raises:
        UsageError: the function or its arguments could not work in a spawned process.
    """

    function: Callable[..., object]
    args: tuple[Any, ...] = field(default=(), repr=False)
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    name: str = ""
    restart: RestartPolicy | Restart = RestartPolicy.PERMANENT
    shutdown: float = 5.0
    start_timeout: float = 30.0
    significant: bool = False
    backoff: Backoff | None = None
    output: Output = "capture"
    nice: int = 0
    cpu_affinity: tuple[int, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    rlimits: Mapping[str, int | tuple[int, int]] = field(default_factory=dict)
    calls_ready: bool = field(init=False, repr=False, compare=False)
    needs_main: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_plain(self.function)
        read_words(self, restart=RestartPolicy)
        default_name(self, name_of(self.function))
        calls_ready = check_fits(self.function, self.args, self.kwargs)
        object.__setattr__(self, "args", tuple(self.args))
        object.__setattr__(self, "calls_ready", calls_ready)
        object.__setattr__(self, "needs_main", check_spawnable(self.function, self.args, dict(self.kwargs)))

    @property
    def processes(self) -> int:
        """How many processes it asks for."""
        return 1

    def terms(self) -> tuple[ChildTerms, ...]:
        """The terms for the supervision machine."""
        return lone_terms(self)
