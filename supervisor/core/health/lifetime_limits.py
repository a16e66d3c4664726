"""Lifetime limits: when a life is old, used or large enough to be replaced by the next. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

TOO_LOW: Final = "it has handled no message yet, so max_rss is less than a new life takes"

_MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one life may use; None is no limit.

    Attributes:
        messages: how many it may handle.
        age: seconds since it became ready, jitter included.
        rss: bytes of resident memory.
    """

    messages: int | None = None
    age: float | None = None
    rss: int | None = None


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """What a life has used.

    Attributes:
        messages: how many have ended.
        age: seconds since it became ready.
        rss: bytes of resident memory, 0 when not measured.
    """

    messages: int = 0
    age: float = 0.0
    rss: int = 0


def reached(limits: Limits, used: Used) -> str:
    """Which limit has been reached, as one line; empty when none has."""
    if limits.messages is not None and used.messages >= limits.messages:
        return f"max_messages: {used.messages} messages handled, {limits.messages} are one life's share"
    if limits.rss is not None and used.rss > limits.rss:
        early = "" if used.messages else f"; {TOO_LOW}"
        return f"max_rss: {used.rss / _MIB:.1f} MiB resident, more than {limits.rss / _MIB:.1f} MiB{early}"
    if limits.age is not None and used.age >= limits.age:
        return f"max_age: {used.age:.1f} s old"
    return ""


def with_jitter(age: float | None, jitter: float, roll: float) -> float | None:
    """`age` extended by up to `jitter` of itself; `roll` is a random number in [0, 1)."""
    return None if age is None else age * (1.0 + roll * jitter)
