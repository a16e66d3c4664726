"""Common parts of specs: special times, words of enums, options of a process."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal, Protocol

from actors.wire.to_child import ProcessOptions
from supervisor.core.causes import Rule
from supervisor.core.restart import Restart
from supervisor.core.terms import Backoff, ChildTerms, RestartPolicy

Output = Literal["capture", "inherit"]
BRUTAL_KILL: Final = 0.0
"""`shutdown=BRUTAL_KILL`: no grace at all, SIGKILL at once (OTP brutal_kill)."""
INFINITY: Final = math.inf
"""`shutdown=INFINITY`: wait for the child as long as it takes (OTP infinity)."""


class Spec:
    """What every spec is: how to start, restart and stop one child."""


def read_words(spec: object, **enums: type[StrEnum]) -> None:
    """Turn the words in a spec, as a configuration file has them, into enum members.

    `spec_validation` refuses unknown ones.
    """
    for name, enum in enums.items():
        given = getattr(spec, name)
        if not isinstance(given, enum):
            with contextlib.suppress(Exception):  # whatever the repr of another value raises
                object.__setattr__(spec, name, enum(given))


def default_name(spec: object, name: str) -> None:
    """Give a spec a name, where it was given none; `spec_validation` refuses what is no name."""
    given = getattr(spec, "name")  # noqa: B009 - of any spec
    if isinstance(given, str) and not given:
        object.__setattr__(spec, "name", name)


def policy_of(restart: RestartPolicy | Restart) -> RestartPolicy:
    """The restart policy, where no rule decides."""
    return restart.policy if isinstance(restart, Restart) else restart


def rules_of(restart: RestartPolicy | Restart) -> tuple[Rule, ...]:
    """The restart rules by cause."""
    return restart.rules if isinstance(restart, Restart) else ()


class HasOptions(Protocol):
    """A spec of processes with options of their own; the fields are described in ChildSpec."""

    @property
    def nice(self) -> int: ...  # noqa: D102
    @property
    def cpu_affinity(self) -> tuple[int, ...] | None: ...  # noqa: D102
    @property
    def env(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def cwd(self) -> str | None: ...  # noqa: D102
    @property
    def rlimits(self) -> Mapping[str, int | tuple[int, int]]: ...  # noqa: D102
    @property
    def output(self) -> Output: ...  # noqa: D102


class HasTerms(Protocol):
    """A spec of one child; the fields are described in ChildSpec."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def restart(self) -> RestartPolicy | Restart: ...  # noqa: D102
    @property
    def shutdown(self) -> float: ...  # noqa: D102
    @property
    def start_timeout(self) -> float: ...  # noqa: D102
    @property
    def significant(self) -> bool: ...  # noqa: D102
    @property
    def backoff(self) -> Backoff | None: ...  # noqa: D102


def lone_terms(spec: HasTerms) -> tuple[ChildTerms, ...]:
    """The terms of a child without a mailbox, for the supervision machine."""
    return (
        ChildTerms(
            name=spec.name,
            restart=policy_of(spec.restart),
            rules=rules_of(spec.restart),
            shutdown=spec.shutdown,
            start_timeout=spec.start_timeout,
            significant=spec.significant,
            backoff=spec.backoff,
        ),
    )


def process_options(spec: HasOptions) -> ProcessOptions:
    """The options applied in a spec's processes before any code of the user runs there."""
    return ProcessOptions(
        nice=spec.nice,
        cpus=tuple(spec.cpu_affinity or ()),
        env=dict(spec.env),
        cwd=spec.cwd or "",
        rlimits={name: (limit, limit) if isinstance(limit, int) else limit for name, limit in spec.rlimits.items()},
    )
