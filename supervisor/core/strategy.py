"""Who else is restarted when a child is.

Law: the answer depends on the strategy and the order of start. Those to stop come in reverse order of
start, those to start in order; a temporary child is stopped with the others and never started again.
May import: specs.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from supervisor.specs import ChildTerms, RestartPolicy, Strategy


class Scope(msgspec.Struct, frozen=True):
    """Whom a restart touches.

    Attributes:
        stop: the names to stop first, one after the other, in this order; those already down are passed over.
        start: the names to start then, in this order, whether they ran before or not (OTP).
    """

    stop: tuple[str, ...]
    start: tuple[str, ...]


def scope(strategy: Strategy, children: Sequence[ChildTerms], culprit: str) -> Scope:
    """Whom the restart of `culprit` touches.

    Args:
        strategy: the supervisor's.
        children: all of its children, in order of start.
        culprit: the one that ended, or whose start failed.
    """
    names = [child.name for child in children]
    position = names.index(culprit)
    match strategy:
        case Strategy.ONE_FOR_ONE:
            touched = children[position : position + 1]
        case Strategy.REST_FOR_ONE:
            touched = children[position:]
        case Strategy.ONE_FOR_ALL:
            touched = children
    return Scope(
        stop=tuple(child.name for child in reversed(touched) if child.name != culprit),
        start=tuple(child.name for child in touched if child.restart is not RestartPolicy.TEMPORARY),
    )
