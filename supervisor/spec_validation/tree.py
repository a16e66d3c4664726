"""Tree of specs: a supervisor's spec and everything below it; each child as a child of that supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, get_args

from actors.actor import Actor
from actors.bounds import is_count
from actors.lazy import LazyModule
from supervisor.core.place import LOCAL
from supervisor.core.restart import Restart
from supervisor.core.rules import policy
from supervisor.core.terms import AutoShutdown, Backoff, Intensity, RestartPolicy, Start, Strategy
from supervisor.errors import InvalidSpec
from supervisor.spec_validation.actor import check_actor
from supervisor.spec_validation.values import (
    check_flag,
    check_member,
    check_name,
    check_seconds,
    check_share,
    check_size,
    check_word,
)
from supervisor.specs import BRUTAL_KILL, INFINITY, AnySpec, ChildSpec, SupervisorSpec
from supervisor.specs.common import Spec, policy_of, rules_of

if TYPE_CHECKING:
    from supervisor.spec_validation import lone
else:
    lone = LazyModule("supervisor.spec_validation.lone")

_STARTS: Final = get_args(Start)
_KINDS: Final = "ChildSpec, SupervisorSpec, TaskSpec, FunctionSpec, CommandSpec"


def check(spec: SupervisorSpec, path: str = "$", *, stored: bool = False) -> None:
    """Check a supervisor's spec and everything below it.

    Args:
        spec: of the supervisor.
        path: where it stands.
        stored: whether the tree has a store, for durable actors.

    Raises:
        InvalidSpec: something in it cannot work.
    """
    check_name(spec.name, f"{path}.name")
    check_member(spec.strategy, Strategy, f"{path}.strategy")
    check_member(spec.auto_shutdown, AutoShutdown, f"{path}.auto_shutdown")
    _check_intensity(spec.intensity, f"{path}.intensity")
    check_word(spec.start, _STARTS, f"{path}.start")
    if spec.max_children is not None and not is_count(spec.max_children):
        raise InvalidSpec(f"{path}.max_children", spec.max_children, "expected a whole number, or None without a bound")
    for index, child in enumerate(spec.children):
        if isinstance(child, ChildSpec):
            check_size(child.size, f"{path}.children[{index}].size")
    if spec.max_children is not None:
        processes = sum(len(child.terms()) for child in spec.children if isinstance(child, Spec))
        if spec.max_children < processes:
            raise InvalidSpec(f"{path}.max_children", spec.max_children, f"there are {processes} children already")
    seen: set[str] = set()
    for index, child in enumerate(spec.children):
        where = f"{path}.children[{index}]"
        check_child(child, spec, where, stored=stored)
        if child.name in seen:
            raise InvalidSpec(
                f"{where}.name", child.name, "another child has that name; names are unique: write name=..."
            )
        seen.add(child.name)


def check_child(child: AnySpec, parent: SupervisorSpec, path: str = "$", *, stored: bool = False) -> None:
    """Check one child, as a child of that supervisor.

    Raises:
        InvalidSpec: something in it cannot work.
    """
    if not isinstance(child, Spec):
        raise InvalidSpec(path, child, f"expected one of {_KINDS}{_remedy(child)}")
    if not isinstance(child, ChildSpec | SupervisorSpec):
        lone.check_named(child, path)
    check_name(child.name, f"{path}.name")
    restart: object = child.restart
    if isinstance(child, SupervisorSpec) and isinstance(restart, Restart):
        why = "a supervisor ends by none of these causes: write the rules at its children, and a policy here"
        raise InvalidSpec(f"{path}.restart", restart, why)
    if isinstance(restart, Mapping):
        why = "rules by cause stand above a policy: write Restart(RestartPolicy.PERMANENT, {...})"
        raise InvalidSpec(f"{path}.restart", restart, why)
    if not isinstance(restart, Restart):
        check_member(child.restart, RestartPolicy, f"{path}.restart")
    check_seconds(child.shutdown, f"{path}.shutdown", ", BRUTAL_KILL or INFINITY", but=(BRUTAL_KILL, INFINITY))
    _check_backoff(child.backoff, f"{path}.backoff")
    _check_significance(child, parent, path)
    _check_escalation(child, parent.intensity, f"{path}.backoff")
    if isinstance(child, SupervisorSpec):
        check(child, path, stored=stored)
        return
    check_seconds(child.start_timeout, f"{path}.start_timeout", ", or INFINITY", but=(INFINITY,))
    if isinstance(child, ChildSpec):
        check_actor(child, path)
        if child.durable and not stored:
            why = 'its supervisor has no store; write Supervisor(..., store=SQLiteStore("shop.db"))'
            raise InvalidSpec(f"{path}.durable", child.durable, why)
    else:
        lone.check_lone(child, path)


def check_places(child: AnySpec, path: str = "$") -> None:
    """Check that nothing in a tree without a cluster has to run on another machine.

    Raises:
        InvalidSpec: a spec has to.
    """
    if isinstance(child, SupervisorSpec):
        for index, below in enumerate(child.children):
            check_places(below, f"{path}.children[{index}]")
    elif isinstance(child, ChildSpec) and child.place != LOCAL:
        why = "this tree has no cluster: Supervisor(..., cluster=RayCluster()), or leave place out"
        raise InvalidSpec(f"{path}.place", child.place, why)


def _check_intensity(intensity: object, path: str) -> None:
    if not isinstance(intensity, Intensity):
        raise InvalidSpec(path, intensity, "expected Intensity(max_restarts, period)")
    restarts = intensity.max_restarts
    if restarts is not None and not is_count(restarts):
        raise InvalidSpec(
            f"{path}.max_restarts", restarts, "expected a whole number >= 0 and below 2**63, or Intensity.unlimited()"
        )
    check_seconds(intensity.period, f"{path}.period")


def _check_backoff(spec: object, path: str) -> None:
    if spec is None:
        return
    if not isinstance(spec, Backoff):
        raise InvalidSpec(path, spec, "expected Backoff(initial=..., cap=..., jitter=...), or None for the default")
    check_seconds(spec.initial, f"{path}.initial", ", or 0 for at once", but=(0.0,))
    check_seconds(spec.cap, f"{path}.cap", ", or 0 for at once", but=(0.0,))
    check_share(spec.jitter, f"{path}.jitter")
    if spec.cap < spec.initial:
        raise InvalidSpec(f"{path}.cap", spec.cap, f"expected at least initial, {spec.initial} s")
    if spec.healthy_after is not None:
        check_seconds(spec.healthy_after, f"{path}.healthy_after", ", or None")


def _check_significance(child: AnySpec, parent: SupervisorSpec, path: str) -> None:
    check_flag(child.significant, f"{path}.significant")
    if not child.significant:
        return
    if parent.auto_shutdown == AutoShutdown.NEVER:
        raise InvalidSpec(
            f"{path}.significant",
            child.significant,
            "a significant child needs a supervisor with auto_shutdown",
        )
    if not policy.can_end(policy_of(child.restart), rules_of(child.restart)):
        raise InvalidSpec(
            f"{path}.significant",
            child.significant,
            "a permanent child never ends for good; make it transient or temporary",
        )


def _check_escalation(child: AnySpec, intensity: Intensity, path: str) -> None:
    """Refuse a backoff so slow that a child could fail for ever without its supervisor giving up."""
    most = intensity.max_restarts
    if most is None or child.backoff is None or policy_of(child.restart) is RestartPolicy.TEMPORARY:
        return
    span = policy.span(child.backoff, most)
    if span > intensity.period:
        raise InvalidSpec(
            path,
            child.backoff,
            f"{most + 1} restarts of this child take at least {span:g} s "
            f"({policy.waits_in_words(child.backoff, most)}), more than the {intensity.period:g} s in which they would "
            f"count: the supervisor could never give up. Lower initial or cap, raise the intensity's period, say "
            f"Intensity.unlimited(), or leave backoff out",
        )


def _remedy(child: object) -> str:
    """What to write in place of something that is no spec, where that can be told."""
    if isinstance(child, type) and issubclass(child, Actor):
        return f"; write ChildSpec({child.__name__})"
    if isinstance(child, Actor):
        return f"; the actor is made in its process: write ChildSpec({type(child).__name__}, args=(...))"
    if isinstance(child, list | tuple):
        return "; specs are given one by one: Supervisor(*specs)"
    return ""
