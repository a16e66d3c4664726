"""Checks: whether a whole tree of specs can work, told before anything starts.

Law: the first thing that cannot work is named with its place, its value and the remedy.
May import: specs, errors.
"""

from __future__ import annotations

import math
import os
import re
import resource
from collections.abc import Iterable
from typing import Final, get_args

from actors.actor import protocol_of
from actors.framing import MAX_FRAME, MAX_MESSAGE, ROOM
from supervisor.core import backoff
from supervisor.errors import InvalidSpec
from supervisor.specs import (
    BRUTAL_KILL,
    AnySpec,
    AutoShutdown,
    Backoff,
    ChildSpec,
    Intensity,
    Output,
    Overflow,
    RestartPolicy,
    Routing,
    Strategy,
    SupervisorSpec,
)

_TOO_LATE: Final = ("PYTHON", "LD_")  # beginnings of variables that the interpreter and its loader have read by then
_NAME: Final = re.compile(r"[A-Za-z0-9_.\-]+")


def check(spec: SupervisorSpec, path: str = "$") -> None:
    """Check a supervisor's spec and everything below it.

    Raises:
        InvalidSpec: something in it cannot work.
    """
    _check_name(spec.name, f"{path}.name")
    _check_member(spec.strategy, Strategy, f"{path}.strategy")
    _check_member(spec.auto_shutdown, AutoShutdown, f"{path}.auto_shutdown")
    _check_intensity(spec.intensity, f"{path}.intensity")
    if spec.start not in ("ordered", "parallel"):
        raise InvalidSpec(f"{path}.start", spec.start, "expected 'ordered' or 'parallel'")
    processes = sum(len(child.terms()) for child in spec.children if isinstance(child, ChildSpec | SupervisorSpec))
    if spec.max_children is not None and spec.max_children < processes:
        raise InvalidSpec(f"{path}.max_children", spec.max_children, f"there are {processes} children already")
    seen: set[str] = set()
    for index, child in enumerate(spec.children):
        where = f"{path}.children[{index}]"
        check_child(child, spec, where)
        if child.name in seen:
            raise InvalidSpec(f"{where}.name", child.name, "another child has that name; names are unique")
        seen.add(child.name)


def check_child(child: AnySpec, parent: SupervisorSpec, path: str = "$") -> None:
    """Check one child, as a child of that supervisor.

    Raises:
        InvalidSpec: something in it cannot work.
    """
    if not isinstance(child, ChildSpec | SupervisorSpec):
        raise InvalidSpec(path, child, "expected a ChildSpec or a SupervisorSpec")
    _check_name(child.name, f"{path}.name")
    _check_member(child.restart, RestartPolicy, f"{path}.restart")
    _check_seconds(child.shutdown, f"{path}.shutdown", "seconds >= 0, BRUTAL_KILL or INFINITY", allow_zero=True)
    _check_backoff(child.backoff, f"{path}.backoff")
    _check_significance(child, parent, path)
    _check_escalation(child, parent.intensity, f"{path}.backoff")
    if isinstance(child, SupervisorSpec):
        check(child, path)
        return
    _check_seconds(child.start_timeout, f"{path}.start_timeout", "seconds > 0 or INFINITY")
    _check_routing(child, path)
    _check_conditions(child, path)
    _check_member(child.overflow, Overflow, f"{path}.overflow")
    _check_member(child.output, get_args(Output), f"{path}.output")
    _check_frames(child, path)
    if child.mailbox_bytes is not None and child.mailbox_bytes < 1:
        raise InvalidSpec(f"{path}.mailbox_bytes", child.mailbox_bytes, "expected bytes > 0, or None for no bound")
    for name, least in (("size", 1), ("mailbox", 1), ("max_deliveries", 1)):
        value = getattr(child, name)
        if not isinstance(value, int) or value < least:
            raise InvalidSpec(f"{path}.{name}", value, f"expected a whole number of at least {least}")
    _check_limit(child.handler_timeout, f"{path}.handler_timeout")
    _check_recycling(child, path)


def _check_limit(seconds: float | None, path: str) -> None:
    if seconds is not None:
        _check_seconds(seconds, path, "seconds > 0, or None for no limit")
    if seconds == math.inf:
        raise InvalidSpec(path, seconds, "expected seconds > 0, or None for no limit")


def _check_recycling(child: ChildSpec, path: str) -> None:
    for name, what in (("max_messages", "messages"), ("max_rss", "bytes")):
        value = getattr(child, name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise InvalidSpec(f"{path}.{name}", value, f"expected a whole number of {what}, or None for no limit")
    _check_limit(child.max_age, f"{path}.max_age")
    _check_seconds(child.max_age_jitter, f"{path}.max_age_jitter", "a share >= 0, for instance 0.1", allow_zero=True)
    limits = [name for name in ("max_messages", "max_age", "max_rss") if getattr(child, name) is not None]
    if limits and child.shutdown == BRUTAL_KILL:
        raise InvalidSpec(
            f"{path}.shutdown",
            child.shutdown,
            f"{limits[0]} lets the process finish its message before it makes room; give it seconds of grace to do so",
        )


def _check_frames(child: ChildSpec, path: str) -> None:
    """What an actor may be told it can pass on: its frames hold the largest message, and what goes with it."""
    least = ROOM + 1
    if not isinstance(child.max_frame_bytes, int) or not least <= child.max_frame_bytes <= MAX_FRAME:
        raise InvalidSpec(
            f"{path}.max_frame_bytes",
            child.max_frame_bytes,
            f"expected {least} to {MAX_FRAME} bytes: a frame holds one message and {ROOM} bytes of what goes with it",
        )
    if not isinstance(child.max_message_bytes, int) or not 1 <= child.max_message_bytes <= MAX_MESSAGE:
        raise InvalidSpec(f"{path}.max_message_bytes", child.max_message_bytes, f"expected 1 to {MAX_MESSAGE} bytes")
    if child.max_message_bytes + ROOM > child.max_frame_bytes:
        raise InvalidSpec(
            f"{path}.max_frame_bytes",
            child.max_frame_bytes,
            f"a message of max_message_bytes={child.max_message_bytes} and the {ROOM} bytes of what goes with it make "
            f"a frame of {child.max_message_bytes + ROOM}: lower max_message_bytes to "
            f"{child.max_frame_bytes - ROOM}, or raise max_frame_bytes",
        )
    if len(child.arguments) > MAX_MESSAGE:
        raise InvalidSpec(
            f"{path}.args",
            f"{len(child.arguments)} bytes",
            f"expected arguments that pickle to at most {MAX_MESSAGE} bytes; let `__init__` read what is larger",
        )


def _check_name(name: object, path: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidSpec(path, name, "expected a name of letters, digits, '_', '-' and '.'")


def _check_member(value: object, words: Iterable[object], path: str) -> None:
    if value not in list(words):
        raise InvalidSpec(path, value, f"expected one of {', '.join(str(word) for word in words)}")


def _check_seconds(value: object, path: str, expected: str, *, allow_zero: bool = False) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    if not good or value < 0 or (value == 0 and not allow_zero):  # type: ignore[operator]
        raise InvalidSpec(path, value, f"expected {expected}")


def _check_intensity(intensity: object, path: str) -> None:
    if not isinstance(intensity, Intensity):
        raise InvalidSpec(path, intensity, "expected Intensity(max_restarts, period)")
    restarts = intensity.max_restarts
    if restarts is not None and (not isinstance(restarts, int) or restarts < 0):
        raise InvalidSpec(f"{path}.max_restarts", restarts, "expected a whole number >= 0, or Intensity.unlimited()")
    _check_seconds(intensity.period, f"{path}.period", "seconds > 0")


def _check_backoff(spec: object, path: str) -> None:
    if not isinstance(spec, Backoff):
        raise InvalidSpec(path, spec, "expected Backoff(initial=..., cap=..., jitter=...)")
    _check_seconds(spec.initial, f"{path}.initial", "seconds >= 0", allow_zero=True)
    _check_seconds(spec.cap, f"{path}.cap", "seconds >= 0", allow_zero=True)
    _check_seconds(spec.jitter, f"{path}.jitter", "a share >= 0, for instance 0.2", allow_zero=True)
    if spec.cap < spec.initial:
        raise InvalidSpec(f"{path}.cap", spec.cap, f"expected at least initial, {spec.initial} s")
    if spec.healthy_after is not None:
        _check_seconds(spec.healthy_after, f"{path}.healthy_after", "seconds > 0 or None")


def _check_routing(child: ChildSpec, path: str) -> None:
    _check_member(child.routing, Routing, f"{path}.routing")
    if child.routing != Routing.BY_KEY:
        return
    lacking = [
        message.__qualname__
        for message in protocol_of(child.actor).handlers
        if child.key not in message.__struct_fields__
    ]
    if lacking:
        raise InvalidSpec(
            f"{path}.key", child.key, f"expected a field that every message has; {', '.join(lacking)} has no such field"
        )


def _check_conditions(child: ChildSpec, path: str) -> None:
    if not _whole(child.nice) or not -40 < child.nice < 40:
        raise InvalidSpec(f"{path}.nice", child.nice, "expected a whole number from -39 to 39; it is added")
    cpus = child.cpu_affinity
    if cpus is not None and not (isinstance(cpus, tuple) and cpus and all(_whole(cpu) and cpu >= 0 for cpu in cpus)):
        raise InvalidSpec(f"{path}.cpu_affinity", cpus, "expected a tuple of processor numbers, or None for all")
    if cpus is not None and not hasattr(os, "sched_setaffinity"):
        raise InvalidSpec(f"{path}.cpu_affinity", cpus, "this system cannot do that; leave it out")
    if child.cwd is not None and not (isinstance(child.cwd, str) and child.cwd):
        raise InvalidSpec(f"{path}.cwd", child.cwd, "expected the path of a directory as a str, or None")
    _check_env(child, path)
    _check_rlimits(child, path)


def _check_env(child: ChildSpec, path: str) -> None:
    for name, value in child.env.items():
        if not (isinstance(name, str) and isinstance(value, str) and name and not set("=\0") & set(name)):
            raise InvalidSpec(f"{path}.env", {name: value}, "expected names and values that are str")
        if name.startswith(_TOO_LATE):
            raise InvalidSpec(
                f"{path}.env", name, "it is read before the process can set it; set it in the daemon's environment"
            )


def _check_rlimits(child: ChildSpec, path: str) -> None:
    for name, limit in child.rlimits.items():
        if not (isinstance(name, str) and hasattr(resource, f"RLIMIT_{name}")):
            raise InvalidSpec(f"{path}.rlimits", name, "expected a name as in resource.RLIMIT_..., for instance 'AS'")
        pair: object = (limit, limit) if _whole(limit) else limit
        if not (isinstance(pair, tuple) and len(pair) == 2 and all(_whole(one) and one >= -1 for one in pair)):
            raise InvalidSpec(f"{path}.rlimits[{name!r}]", limit, "expected a number or (soft, hard); -1 for no limit")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_significance(child: AnySpec, parent: SupervisorSpec, path: str) -> None:
    if not child.significant:
        return
    if parent.auto_shutdown == AutoShutdown.NEVER:
        raise InvalidSpec(
            f"{path}.significant",
            child.significant,
            "a significant child needs a supervisor with auto_shutdown",
        )
    if child.restart == RestartPolicy.PERMANENT:
        raise InvalidSpec(
            f"{path}.significant",
            child.significant,
            "a permanent child never ends for good; make it transient or temporary",
        )


def _check_escalation(child: AnySpec, intensity: Intensity, path: str) -> None:
    """Refuse a backoff so slow that a child could fail for ever without its supervisor giving up."""
    most = intensity.max_restarts
    if most is None or child.restart == RestartPolicy.TEMPORARY:
        return
    span = _span(child.backoff, most)
    if span > intensity.period:
        raise InvalidSpec(
            path,
            child.backoff,
            f"{most + 1} restarts of this child take at least {span:g} s (cap {child.backoff.cap:g} s x {most}), more "
            f"than the {intensity.period:g} s in which they would count: the supervisor could never give up. Lower the "
            f"cap, raise the intensity's period, or say Intensity.unlimited()",
        )


def _span(terms: Backoff, restarts: int) -> float:
    """Seconds that the waits before so many restarts after the first take at least."""
    total = 0.0
    for attempt in range(1, restarts + 1):
        wait = backoff.delay(attempt, 0.0, terms)
        if wait in (0.0, terms.cap):  # it grows no further
            return total + wait * (restarts - attempt + 1)
        total += wait
    return total
