"""What an actor's code must not reach, for tests that break it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors import Actor
    from actors.ipc.blackbox import BlackBox
    from actors.ipc.channel import Channel


def channel_of(actor: Actor) -> Channel:
    """The channel of the process that runs this actor."""
    return actor.context._calls._outbox._channel


def box_of(actor: Actor) -> BlackBox:
    """The black box of the process that runs this actor."""
    return actor.context._box


def is_stopping(actor: Actor) -> bool:
    """Whether this actor was asked to stop."""
    return actor.context._leaving.reason is not None
