"""Why: why a child or a supervisor is as it is, in one sentence. Pure.

The sentence says what happened, what was decided and by which rule, what happens next and when, and what a person can
do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from supervisor.control.look.why.facts import Facts
from supervisor.control.look.why.not_running import backoff, exited, starting, stopped, stopping
from supervisor.control.look.why.running import running
from supervisor.control.look.why.supervisors import supervisor
from supervisor.control.look.why.verdict import Why
from supervisor.core.rules.states import ChildState
from supervisor.tree.snapshot import ChildSnapshot, SupervisorSnapshot


def why(facts: Facts) -> Why:
    """Why a child is as it is."""
    if isinstance(facts.node, SupervisorSnapshot):
        return supervisor(facts, facts.node)
    return _BY_STATE[facts.node.state](facts, facts.node)


_BY_STATE: Final[dict[ChildState, Callable[[Facts, ChildSnapshot], Why]]] = {
    ChildState.STOPPED: stopped,
    ChildState.STARTING: starting,
    ChildState.RUNNING: running,
    ChildState.STOPPING: stopping,
    ChildState.BACKOFF: backoff,
    ChildState.EXITED: exited,
}
