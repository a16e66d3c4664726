"""CommandSpec: how to start, restart and stop a program."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from supervisor.core.restart import Restart
from supervisor.core.terms import Backoff, ChildTerms, RestartPolicy
from supervisor.known_options import tells_options
from supervisor.specs.common import Output, Spec, default_name, lone_terms, read_words
from supervisor.specs.ready import PORT, PortReady, Ready


@tells_options
@dataclass(frozen=True)
class CommandSpec(Spec):
    """How to start, restart and stop one program, as `redis-server`.

    `{port}` in `argv` and in the values of `env` stands for a free port of this machine. The supervisor chooses it at
    the first start and keeps it. Before each life it looks whether another program has taken the port, and then chooses
    another. `snapshot()` shows it.

    A stop sends `stop_signal` to the program itself. When the grace is over it is killed, and at its end, in any way,
    so is whatever it has started. It must stay in the foreground: a program that puts itself into the background has
    ended.

    Args:
        argv: the program and its arguments; no shell reads them. A name without `/` is looked for on PATH.
        env: added to the daemon's environment. No repr and no error shows its values.
        cwd: its working directory, None for the daemon's.
        ready: when it is ready; None: when its program is executed.
        stop_signal: name of the signal that asks it to stop. An end by this signal, or with exit code 0 or 128 plus its
            number, is then a shutdown.
        name: as in ChildSpec. Default: the program's name without its directory.
        restart: as in ChildSpec. Exit code 0 is a normal end.
        shutdown: seconds of grace between the stop signal and SIGKILL; BRUTAL_KILL or INFINITY.
        start_timeout: seconds until it must be ready.
        output: "capture": each line that it and its children write goes to the daemon's log; "inherit": to where the
            daemon's own does.
        significant, backoff, nice, cpu_affinity, rlimits: as in ChildSpec.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    ready: Ready | None = None
    stop_signal: str = "SIGTERM"
    name: str = ""
    restart: RestartPolicy | Restart = RestartPolicy.PERMANENT
    shutdown: float = 5.0
    start_timeout: float = 30.0
    significant: bool = False
    backoff: Backoff | None = None
    output: Output = "capture"
    nice: int = 0
    cpu_affinity: tuple[int, ...] | None = None
    rlimits: Mapping[str, int | tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        read_words(self, restart=RestartPolicy)
        if isinstance(self.argv, list):
            object.__setattr__(self, "argv", tuple(self.argv))
        if isinstance(self.stop_signal, signal.Signals):
            object.__setattr__(self, "stop_signal", self.stop_signal.name)
        if isinstance(self.argv, tuple) and self.argv and isinstance(self.argv[0], str):
            default_name(self, program_of(self.argv))

    @property
    def processes(self) -> int:
        """How many processes it asks for."""
        return 1

    @property
    def needs_main(self) -> bool:
        """Whether its process must import the daemon's main module: it is another program."""
        return False

    @property
    def wants_port(self) -> bool:
        """Whether it is given a port."""
        awaits = isinstance(self.ready, PortReady) and self.ready.number == PORT
        return awaits or any(PORT in text for text in (*self.argv, *self.env.values()))

    def terms(self) -> tuple[ChildTerms, ...]:
        """The terms for the supervision machine."""
        return lone_terms(self)


def program_of(argv: Sequence[str]) -> str:
    """The name of the program without its directory: that of a command to which none is given."""
    return argv[0].rpartition("/")[2]
