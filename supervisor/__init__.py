"""Supervisor: what runs in the daemon. Public is what `__all__` lists."""

import supervisor.names  # noqa: F401 - before the first import from actors
from supervisor.broadcast import Missed
from supervisor.core.states import ChildState, SupervisorState
from supervisor.core.vigil import Health
from supervisor.errors import (
    InvalidSpec,
    NoSuchChild,
    RestartIntensityExceeded,
    StartFailed,
    SupervisorBusy,
    SupervisorError,
)
from supervisor.letters import DeadLetter, DeadReason
from supervisor.reports import (
    ChildExited,
    ChildStarted,
    Happening,
    SupervisorGaveUp,
    SupervisorStarted,
    SupervisorStopped,
)
from supervisor.snapshot import ChildCounts, ChildInfo, ChildSnapshot, SupervisorSnapshot
from supervisor.specs import (
    BRUTAL_KILL,
    INFINITY,
    AutoShutdown,
    Backoff,
    ChildSpec,
    Intensity,
    Overflow,
    RestartPolicy,
    Routing,
    Strategy,
    SupervisorSpec,
)
from supervisor.supervisor import Supervisor

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "AutoShutdown",
    "Backoff",
    "ChildCounts",
    "ChildExited",
    "ChildInfo",
    "ChildSnapshot",
    "ChildSpec",
    "ChildStarted",
    "ChildState",
    "DeadLetter",
    "DeadReason",
    "Happening",
    "Health",
    "Intensity",
    "InvalidSpec",
    "Missed",
    "NoSuchChild",
    "Overflow",
    "RestartIntensityExceeded",
    "RestartPolicy",
    "Routing",
    "StartFailed",
    "Strategy",
    "Supervisor",
    "SupervisorBusy",
    "SupervisorError",
    "SupervisorGaveUp",
    "SupervisorSnapshot",
    "SupervisorSpec",
    "SupervisorStarted",
    "SupervisorState",
    "SupervisorStopped",
]
