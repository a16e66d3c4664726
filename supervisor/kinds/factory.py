"""Factory: the child for a spec of a kind without a mailbox. Called on the loop's thread."""

from __future__ import annotations

from typing import Any

from supervisor.kinds.command import CommandChild
from supervisor.kinds.function import FunctionChild
from supervisor.kinds.lone_child import LoneChild, Post
from supervisor.kinds.task import TaskChild
from supervisor.messaging.tree_context import TreeContext
from supervisor.specs import CommandSpec, FunctionSpec, LoneSpec, TaskSpec


def lone_child(spec: LoneSpec, path: str, tree: TreeContext, post: Post) -> LoneChild[Any]:
    """The child for a spec, not started yet."""
    match spec:
        case TaskSpec():
            return TaskChild(spec, path, tree, post)
        case FunctionSpec():
            return FunctionChild(spec, path, tree, post)
        case CommandSpec():
            return CommandChild(spec, path, tree, post)
