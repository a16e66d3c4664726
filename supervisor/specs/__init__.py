"""Specs: how to start, restart and stop children, as data.

A spec is only data. It is checked whole, in the daemon, before anything starts.
"""

from supervisor.specs.actor import ChildSpec, Overflow
from supervisor.specs.command import CommandSpec
from supervisor.specs.common import BRUTAL_KILL, INFINITY, Output
from supervisor.specs.function import FunctionSpec
from supervisor.specs.ready import Ready
from supervisor.specs.supervisor import AnySpec, LoneSpec, SupervisorSpec
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
