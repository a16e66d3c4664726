"""ChildSpec: whether an actor's spec can work."""

from __future__ import annotations

from actors.bounds import is_count
from actors.errors import UsageError
from actors.jobs.jobs import Jobs
from actors.protocol.protocol import protocol_of
from actors.wire.framing import MAX_FRAME, MAX_MESSAGE, ROOM
from supervisor.arguments import check_call
from supervisor.core.place import LOCAL
from supervisor.core.terms import Routing
from supervisor.errors import InvalidSpec
from supervisor.spec_validation.process import check_in_time, check_options
from supervisor.spec_validation.values import (
    check_flag,
    check_limit,
    check_member,
    check_place,
    check_share,
    check_size,
)
from supervisor.specs import BRUTAL_KILL, ChildSpec, Overflow


def check_actor(child: ChildSpec, path: str) -> None:
    """Check what only an actor's spec has.

    Raises:
        InvalidSpec: something in it cannot work.
    """
    _check_call(child, path)
    _check_routing(child, path)
    check_options(child, path)
    check_in_time(child.env, path)
    check_member(child.overflow, Overflow, f"{path}.overflow")
    _check_frames(child, path)
    if child.mailbox_bytes is not None and not is_count(child.mailbox_bytes, 1):
        raise InvalidSpec(
            f"{path}.mailbox_bytes", child.mailbox_bytes, "expected bytes > 0 and below 2**63, or None for no bound"
        )
    check_size(child.size, f"{path}.size")
    for name in ("mailbox", "max_deliveries"):
        value = getattr(child, name)
        if not is_count(value, 1):
            raise InvalidSpec(f"{path}.{name}", value, "expected a whole number of at least 1 and below 2**63")
    check_limit(child.handler_timeout, f"{path}.handler_timeout")
    check_limit(child.soft_timeout, f"{path}.soft_timeout")
    soft, hard = child.soft_timeout, child.handler_timeout
    if soft is not None and hard is not None and soft >= hard:
        why = f"expected less than handler_timeout, {hard:g} s, at which the handler is ended"
        raise InvalidSpec(f"{path}.soft_timeout", soft, why)
    _check_recycling(child, path)
    check_place(child.place, f"{path}.place")
    _check_durable(child, path)


def _check_recycling(child: ChildSpec, path: str) -> None:
    for name, what in (("max_messages", "messages"), ("max_rss", "bytes")):
        value = getattr(child, name)
        if value is not None and not is_count(value, 1):
            raise InvalidSpec(
                f"{path}.{name}", value, f"expected a whole number of {what}, below 2**63, or None for no limit"
            )
    check_limit(child.max_age, f"{path}.max_age")
    check_share(child.max_age_jitter, f"{path}.max_age_jitter")
    check_flag(child.overlap, f"{path}.overlap")
    if child.shutdown != BRUTAL_KILL:
        return
    if limits := [name for name in ("max_messages", "max_age", "max_rss") if getattr(child, name) is not None]:
        raise InvalidSpec(
            f"{path}.shutdown",
            child.shutdown,
            f"{limits[0]} lets the process finish its message before it makes room; give it seconds of grace to do so",
        )


def _check_durable(child: ChildSpec, path: str) -> None:
    check_flag(child.durable, f"{path}.durable")
    if not child.durable:
        return
    where, name = f"{path}.durable", child.actor.__qualname__
    if issubclass(child.actor, Jobs):
        raise InvalidSpec(
            where, True, "a job belongs to its caller, which does not outlive the daemon; leave durable out"
        )
    for handler in protocol_of(child.actor).handlers.values():
        if handler.reply.shares:
            message = handler.message.__qualname__
            raise InvalidSpec(
                where, True, f"the reply to {message} has a Shared in it; reply with bytes, which are kept"
            )
    if protocol_of(child.actor).state is not None and child.actor.concurrency > 1:
        why = f"{name} has save and concurrency = {child.actor.concurrency}: there is no moment between its messages"
        raise InvalidSpec(where, True, f"{why}; leave concurrency at 1, or save and load out")
    if child.place != LOCAL:
        why = "what a durable actor had begun is read from this machine's disk; leave place at 'local'"
        raise InvalidSpec(f"{path}.place", child.place, why)
    if child.overflow != Overflow.WAIT:
        why = "a durable mailbox is never full: what is beyond `mailbox` waits in the store; leave overflow out"
        raise InvalidSpec(f"{path}.overflow", child.overflow, why)
    if child.mailbox_bytes is not None:
        why = "a durable mailbox is bounded by the disk, and its part in memory by `mailbox`; leave mailbox_bytes out"
        raise InvalidSpec(f"{path}.mailbox_bytes", child.mailbox_bytes, why)


def _check_call(child: ChildSpec, path: str) -> None:
    try:
        check_call(child.actor, child.args, dict(child.kwargs))
    except UsageError as error:
        raise InvalidSpec(
            f"{path}.args", f"{len(child.args)} by place and {len(child.kwargs)} by name", str(error)
        ) from None


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


def _check_routing(child: ChildSpec, path: str) -> None:
    check_member(child.routing, Routing, f"{path}.routing")
    if not isinstance(child.key, str):
        raise InvalidSpec(f"{path}.key", child.key, "expected the name of a field, as a str")
    if child.routing != Routing.BY_KEY:
        if child.key:
            why = "only Routing.BY_KEY looks at it: write routing=Routing.BY_KEY, or leave key out"
            raise InvalidSpec(f"{path}.key", child.key, why)
        return
    if not child.key:
        why = "Routing.BY_KEY goes by a field of each message: write its name, key='customer'"
        raise InvalidSpec(f"{path}.key", child.key, why)
    lacking = [
        message.__qualname__
        for message in protocol_of(child.actor).handlers
        if child.key not in message.__struct_fields__
    ]
    if lacking:
        has = "has" if len(lacking) == 1 else "have"
        why = f"expected a field that every message has; {', '.join(lacking)} {has} no such field"
        raise InvalidSpec(f"{path}.key", child.key, why)
