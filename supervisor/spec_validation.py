"""Spec validation: whether a whole tree of specs can work, checked before anything starts.

The first value that cannot work is named with its place and the remedy.
"""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, get_args

from actors.bounds import LEAST_SECONDS, MOST_PROCESSES, is_count, is_time, words
from actors.errors import UsageError
from actors.protocol import protocol_of
from actors.wire.framing import MAX_FRAME, MAX_MESSAGE, ROOM
from supervisor.arguments import check_call
from supervisor.core.terms import AutoShutdown, Backoff, Intensity, RestartPolicy, Routing, Start, Strategy
from supervisor.core.tree import restart_rate
from supervisor.errors import InvalidSpec
from supervisor.specs import BRUTAL_KILL, INFINITY, AnySpec, ChildSpec, Output, Overflow, SupervisorSpec

_TOO_LATE: Final = (
    "PYTHON",
    "LD_",
)  # prefixes of variables the interpreter has read by then
_MOST_SHARE: Final = 100
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
    _check_word(spec.start, get_args(Start), f"{path}.start")
    if spec.max_children is not None and not is_count(spec.max_children):
        raise InvalidSpec(f"{path}.max_children", spec.max_children, "expected a whole number, or None without a bound")
    for index, child in enumerate(spec.children):
        if isinstance(child, ChildSpec):
            _check_size(child.size, f"{path}.children[{index}].size")
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
    _check_seconds(child.shutdown, f"{path}.shutdown", ", BRUTAL_KILL or INFINITY", but=(BRUTAL_KILL, INFINITY))
    _check_backoff(child.backoff, f"{path}.backoff")
    _check_significance(child, parent, path)
    _check_escalation(child, parent.intensity, f"{path}.backoff")
    if isinstance(child, SupervisorSpec):
        check(child, path)
        return
    _check_seconds(child.start_timeout, f"{path}.start_timeout", ", or INFINITY", but=(INFINITY,))
    _check_call(child, path)
    _check_routing(child, path)
    _check_conditions(child, path)
    _check_member(child.overflow, Overflow, f"{path}.overflow")
    _check_word(child.output, get_args(Output), f"{path}.output")
    _check_frames(child, path)
    if child.mailbox_bytes is not None and not is_count(child.mailbox_bytes, 1):
        raise InvalidSpec(f"{path}.mailbox_bytes", child.mailbox_bytes, "expected bytes > 0, or None for no bound")
    _check_size(child.size, f"{path}.size")
    for name in ("mailbox", "max_deliveries"):
        value = getattr(child, name)
        if not is_count(value, 1):
            raise InvalidSpec(f"{path}.{name}", value, "expected a whole number of at least 1")
    _check_limit(child.handler_timeout, f"{path}.handler_timeout")
    _check_recycling(child, path)


def _check_limit(seconds: object, path: str) -> None:
    if seconds is not None:
        _check_seconds(seconds, path, ", or None for no limit")


def _check_recycling(child: ChildSpec, path: str) -> None:
    for name, what in (("max_messages", "messages"), ("max_rss", "bytes")):
        value = getattr(child, name)
        if value is not None and not is_count(value, 1):
            raise InvalidSpec(f"{path}.{name}", value, f"expected a whole number of {what}, or None for no limit")
    _check_limit(child.max_age, f"{path}.max_age")
    _check_share(child.max_age_jitter, f"{path}.max_age_jitter")
    if not isinstance(child.overlap, bool):
        raise InvalidSpec(f"{path}.overlap", child.overlap, "expected True or False")
    limits = [name for name in ("max_messages", "max_age", "max_rss") if getattr(child, name) is not None]
    if limits and child.shutdown == BRUTAL_KILL:
        raise InvalidSpec(
            f"{path}.shutdown",
            child.shutdown,
            f"{limits[0]} lets the process finish its message before it makes room; give it seconds of grace to do so",
        )


def _check_call(child: ChildSpec, path: str) -> None:
    try:
        check_call(child.actor, child.args, dict(child.kwargs))
    except UsageError as error:
        raise InvalidSpec(f"{path}.args", f"{len(child.args)} and {len(child.kwargs)} by name", str(error)) from None


def _check_frames(child: ChildSpec, path: str) -> None:
    """Check that an actor's frames hold its largest message and what goes with it."""
    least = ROOM + 1
    if not is_count(child.max_frame_bytes, least, MAX_FRAME):
        raise InvalidSpec(
            f"{path}.max_frame_bytes",
            child.max_frame_bytes,
            f"expected {least} to {MAX_FRAME} bytes: a frame holds one message and {ROOM} bytes of what goes with it",
        )
    if not is_count(child.max_message_bytes, 1, MAX_MESSAGE):
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


def _check_size(size: object, path: str) -> None:
    if not is_count(size, 1, MOST_PROCESSES):
        raise InvalidSpec(path, size, f"expected a whole number of at least 1 and at most {MOST_PROCESSES}")


def check_size(size: object) -> None:
    """Check a new size of a pool.

    Raises:
        InvalidSpec: no pool can have it.
    """
    _check_size(size, "size")


def _check_name(name: object, path: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidSpec(path, name, "expected a name of letters, digits, '_', '-' and '.'")


def _check_member(value: object, words: type[StrEnum], path: str) -> None:
    if not isinstance(value, words):
        raise InvalidSpec(path, value, f"expected one of {', '.join(words)}")


def _check_word(value: object, words: tuple[str, ...], path: str) -> None:
    if not isinstance(value, str) or value not in words:
        raise InvalidSpec(path, value, f"expected {' or '.join(map(repr, words))}")


def _check_seconds(value: object, path: str, otherwise: str = "", *, but: tuple[float, ...] = ()) -> None:
    """Refuse what is not a time; `but` are allowed special values."""
    if not is_time(value, LEAST_SECONDS) and not (type(value) in {int, float} and value in but):
        raise InvalidSpec(path, value, f"expected {words(LEAST_SECONDS)}{otherwise}")


def _check_share(value: object, path: str) -> None:
    if not is_time(value) or value > _MOST_SHARE:
        raise InvalidSpec(path, value, f"expected a share from 0 to {_MOST_SHARE}, for instance 0.2")


def _check_intensity(intensity: object, path: str) -> None:
    if not isinstance(intensity, Intensity):
        raise InvalidSpec(path, intensity, "expected Intensity(max_restarts, period)")
    restarts = intensity.max_restarts
    if restarts is not None and not is_count(restarts):
        raise InvalidSpec(f"{path}.max_restarts", restarts, "expected a whole number >= 0, or Intensity.unlimited()")
    _check_seconds(intensity.period, f"{path}.period")


def _check_backoff(spec: object, path: str) -> None:
    if spec is None:
        return
    if not isinstance(spec, Backoff):
        raise InvalidSpec(path, spec, "expected Backoff(initial=..., cap=..., jitter=...), or None for the default")
    _check_seconds(spec.initial, f"{path}.initial", ", or 0 for at once", but=(0.0,))
    _check_seconds(spec.cap, f"{path}.cap", ", or 0 for at once", but=(0.0,))
    _check_share(spec.jitter, f"{path}.jitter")
    if spec.cap < spec.initial:
        raise InvalidSpec(f"{path}.cap", spec.cap, f"expected at least initial, {spec.initial} s")
    if spec.healthy_after is not None:
        _check_seconds(spec.healthy_after, f"{path}.healthy_after", ", or None")


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
    if not is_count(child.nice, -39, 39):
        raise InvalidSpec(f"{path}.nice", child.nice, "expected a whole number from -39 to 39; it is added")
    cpus = child.cpu_affinity
    if cpus is not None and not (isinstance(cpus, tuple) and cpus and all(is_count(cpu) for cpu in cpus)):
        raise InvalidSpec(f"{path}.cpu_affinity", cpus, "expected a tuple of processor numbers, or None for all")
    if cpus is not None and not hasattr(os, "sched_setaffinity"):
        raise InvalidSpec(f"{path}.cpu_affinity", cpus, "this system cannot do that; leave it out")
    if child.cwd is not None and not (isinstance(child.cwd, str) and child.cwd):
        raise InvalidSpec(f"{path}.cwd", child.cwd, "expected the path of a directory as a str, or None")
    for name in ("env", "rlimits"):
        if not isinstance(getattr(child, name), Mapping):
            raise InvalidSpec(
                f"{path}.{name}", type(getattr(child, name)).__qualname__, "expected a mapping, as a dict"
            )
    _check_env(child, path)
    _check_rlimits(child, path)


def _check_env(child: ChildSpec, path: str) -> None:
    for name, value in child.env.items():
        if not (isinstance(name, str) and isinstance(value, str) and name and not set("=\0") & set(name)):
            raise InvalidSpec(
                f"{path}.env", name, "expected names and values that are str, without '=' and NUL in a name"
            )
        if name.startswith(_TOO_LATE):
            raise InvalidSpec(
                f"{path}.env", name, "it is read before the process can set it; set it in the daemon's environment"
            )


def _check_rlimits(child: ChildSpec, path: str) -> None:
    for name, limit in child.rlimits.items():
        if not (isinstance(name, str) and hasattr(resource, f"RLIMIT_{name}")):
            raise InvalidSpec(f"{path}.rlimits", name, "expected a name as in resource.RLIMIT_..., for instance 'AS'")
        pair: object = (limit, limit) if is_count(limit, -1) else limit
        if not (isinstance(pair, tuple) and len(pair) == 2 and all(is_count(one, -1) for one in pair)):
            raise InvalidSpec(f"{path}.rlimits[{name!r}]", limit, "expected a number or (soft, hard); -1 for no limit")


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
    if most is None or child.backoff is None or child.restart is RestartPolicy.TEMPORARY:
        return
    span = restart_rate.span(child.backoff, most)
    if span > intensity.period:
        raise InvalidSpec(
            path,
            child.backoff,
            f"{most + 1} restarts of this child take at least {span:g} s (cap {child.backoff.cap:g} s x {most}), more "
            f"than the {intensity.period:g} s in which they would count: the supervisor could never give up. Lower the "
            f"cap, raise the intensity's period, say Intensity.unlimited(), or leave backoff out",
        )
