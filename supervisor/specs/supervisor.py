"""SupervisorSpec: a supervisor and its children, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from supervisor.core.terms import (
    AutoShutdown,
    Backoff,
    ChildTerms,
    Intensity,
    RestartPolicy,
    Start,
    Strategy,
    SupervisorTerms,
)
from supervisor.known_options import tells_options
from supervisor.specs.common import INFINITY, Spec, read_words

if TYPE_CHECKING:
    from supervisor.specs.actor import ChildSpec
    from supervisor.specs.command import CommandSpec
    from supervisor.specs.function import FunctionSpec
    from supervisor.specs.task import TaskSpec


@tells_options
@dataclass(frozen=True, init=False)
class SupervisorSpec(Spec):
    """A supervisor and its children, as data.

    Args:
        children: specs of what it supervises, in the order of their start.
        name: unique under its own supervisor.
        strategy: who else is restarted when a child is.
        intensity: how many restarts in how many seconds it makes before it gives up.
        auto_shutdown: whether the end of significant children ends it.
        start: "ordered": each child after the former is ready; "parallel": all at once.
        max_children: the most children it may have, None without a bound.
        restart, shutdown, significant, backoff: as in ChildSpec, when it is a child itself. Its default shutdown is
            INFINITY (OTP): its own children bound it.
    """

    children: tuple[AnySpec, ...]
    name: str
    strategy: Strategy
    intensity: Intensity
    auto_shutdown: AutoShutdown
    start: Start
    max_children: int | None
    restart: RestartPolicy
    shutdown: float
    significant: bool
    backoff: Backoff | None

    def __init__(
        self,
        *children: AnySpec,
        name: str = "root",
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity = Intensity(),
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
        start: Start = "ordered",
        max_children: int | None = None,
        restart: RestartPolicy = RestartPolicy.PERMANENT,
        shutdown: float = INFINITY,
        significant: bool = False,
        backoff: Backoff | None = None,
    ) -> None:
        given = {key: value for key, value in locals().items() if key != "self"}
        for key, value in given.items():
            object.__setattr__(self, key, value)
        read_words(self, strategy=Strategy, auto_shutdown=AutoShutdown, restart=RestartPolicy)

    @property
    def processes(self) -> int:
        """How many processes everything below it asks for."""
        return sum(child.processes for child in self.children)

    @property
    def needs_main(self) -> bool:
        """Whether a process of anything below it must import the daemon's main module."""
        return any(child.needs_main for child in self.children)

    def terms(self) -> tuple[ChildTerms, ...]:
        """Its terms as a child, for the machine of the supervisor above."""
        return (
            ChildTerms(
                name=self.name,
                restart=self.restart,
                shutdown=self.shutdown,
                start_timeout=INFINITY,
                significant=self.significant,
                backoff=self.backoff,
            ),
        )

    def own_terms(self, path: str) -> SupervisorTerms:
        """The terms for its own machine."""
        return SupervisorTerms(
            path=path,
            strategy=self.strategy,
            intensity=self.intensity,
            auto_shutdown=self.auto_shutdown,
            start=self.start,
            max_children=self.max_children,
        )


if TYPE_CHECKING:
    LoneSpec: TypeAlias = TaskSpec | FunctionSpec | CommandSpec
    """Specs of children without a mailbox."""
    AnySpec: TypeAlias = ChildSpec | SupervisorSpec | LoneSpec
else:  # the same objects, without the modules of kinds that a program does not use
    LoneSpec = AnySpec = Spec
