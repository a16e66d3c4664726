"""Supervisor: what runs in the daemon. Public is what `__all__` lists."""

from typing import TYPE_CHECKING

import supervisor.shadowing  # noqa: F401 - before the first import from actors
from actors.lazy import lazy_names
from supervisor.core.causes import Cause, RestartAction
from supervisor.core.health.hang_detector import Health
from supervisor.core.restart import Restart
from supervisor.core.rules.states import ChildState, SupervisorState
from supervisor.core.terms import AutoShutdown, Backoff, Intensity, RestartPolicy, Routing, Strategy
from supervisor.errors import (
    InvalidSpec,
    NoSuchChild,
    RestartIntensityExceeded,
    StartFailed,
    SupervisorBusy,
    SupervisorError,
)
from supervisor.jobs.jobs_ref import JobsRef
from supervisor.observe.broadcast import Missed
from supervisor.observe.dead_letters import DeadLetter, DeadReason
from supervisor.observe.happenings import (
    ChildExited,
    ChildStarted,
    HandlerSlow,
    Happening,
    HealthChanged,
    MailboxUnclaimed,
    StoreFailed,
    SuccessorBegun,
    SupervisorGaveUp,
    SupervisorStarted,
    SupervisorStopped,
)
from supervisor.specs import BRUTAL_KILL, INFINITY, ChildSpec, Overflow, SupervisorSpec
from supervisor.supervisor import Supervisor

if TYPE_CHECKING:
    from supervisor import bridge as bridge
    from supervisor import cluster as cluster
    from supervisor import metrics as metrics
    from supervisor import store as store
    from supervisor import testing as testing
    from supervisor import tracing as tracing
    from supervisor.core.schedule import Schedule
    from supervisor.messaging.tree_store import KeptDeadLetter
    from supervisor.root.scheduler import ScheduledMessage
    from supervisor.specs import CommandSpec, FunctionSpec, Ready, TaskSpec
    from supervisor.tree.health import HealthStatus, TreeHealth
    from supervisor.tree.snapshot import ChildCounts, ChildInfo, ChildSnapshot, SupervisorSnapshot

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "AutoShutdown",
    "Backoff",
    "Cause",
    "ChildCounts",
    "ChildExited",
    "ChildInfo",
    "ChildSnapshot",
    "ChildSpec",
    "ChildStarted",
    "ChildState",
    "CommandSpec",
    "DeadLetter",
    "DeadReason",
    "FunctionSpec",
    "HandlerSlow",
    "Happening",
    "Health",
    "HealthChanged",
    "HealthStatus",
    "Intensity",
    "InvalidSpec",
    "JobsRef",
    "KeptDeadLetter",
    "MailboxUnclaimed",
    "Missed",
    "NoSuchChild",
    "Overflow",
    "Ready",
    "Restart",
    "RestartAction",
    "RestartIntensityExceeded",
    "RestartPolicy",
    "Routing",
    "Schedule",
    "ScheduledMessage",
    "StartFailed",
    "StoreFailed",
    "Strategy",
    "SuccessorBegun",
    "Supervisor",
    "SupervisorBusy",
    "SupervisorError",
    "SupervisorGaveUp",
    "SupervisorSnapshot",
    "SupervisorSpec",
    "SupervisorStarted",
    "SupervisorState",
    "SupervisorStopped",
    "TaskSpec",
    "TreeHealth",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ChildCounts": "supervisor.tree.snapshot",
        "ChildInfo": "supervisor.tree.snapshot",
        "ChildSnapshot": "supervisor.tree.snapshot",
        "CommandSpec": "supervisor.specs",
        "FunctionSpec": "supervisor.specs",
        "HealthStatus": "supervisor.tree.health",
        "KeptDeadLetter": "supervisor.messaging.tree_store",
        "Ready": "supervisor.specs",
        "Schedule": "supervisor.core.schedule",
        "ScheduledMessage": "supervisor.root.scheduler",
        "SupervisorSnapshot": "supervisor.tree.snapshot",
        "TaskSpec": "supervisor.specs",
        "TreeHealth": "supervisor.tree.health",
    },
    ("bridge", "cluster", "metrics", "store", "testing", "tracing"),
)
