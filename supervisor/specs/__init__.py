"""Specs: how to start, restart and stop children, as data.

A spec is only data. It is checked whole, in the daemon, before anything starts.
"""

from typing import TYPE_CHECKING

from actors.lazy import lazy_names
from supervisor.specs.actor import ChildSpec, Overflow
from supervisor.specs.common import BRUTAL_KILL, INFINITY, Output
from supervisor.specs.supervisor import AnySpec, LoneSpec, SupervisorSpec

if TYPE_CHECKING:
    from supervisor.specs.command import CommandSpec
    from supervisor.specs.function import FunctionSpec
    from supervisor.specs.ready import Ready
    from supervisor.specs.task import TaskSpec

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "AnySpec",
    "ChildSpec",
    "CommandSpec",
    "FunctionSpec",
    "LoneSpec",
    "Output",
    "Overflow",
    "Ready",
    "SupervisorSpec",
    "TaskSpec",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CommandSpec": "supervisor.specs.command",
        "FunctionSpec": "supervisor.specs.function",
        "Ready": "supervisor.specs.ready",
        "TaskSpec": "supervisor.specs.task",
    },
)
