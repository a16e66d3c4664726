"""Keeping: an actor's `save` and `load`, called between two messages.

    StartActor.state, Load ─▶ Keeper.load ─▶ Actor.load        Actor.save ─▶ Keeper.save ─▶ Saved

Runs in the actor's process, in its main thread; no handler runs meanwhile.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import msgspec

from actors.actor import Actor
from actors.errors import UsageError
from actors.process.tracebacks import ActorFailed
from actors.protocol.state import StateCodec


class Keeper:
    """Saves and loads the state of one actor.

    Args:
        actor: the actor, whose class has both methods.
        codec: of its state.
    """

    def __init__(self, actor: Actor, codec: StateCodec) -> None:
        self._actor: Any = actor
        self._codec = codec
        self._name = type(actor).__qualname__

    def load(self, data: bytes | msgspec.Raw) -> None:
        """Give the actor what an earlier life has saved.

        Raises:
            ActorFailed: it does not decode, or `load` raised. This life must end.
        """
        try:
            _check_done(self._actor.load(self._codec.decode(data)))
        except BaseException as error:
            raise ActorFailed(f"in {self._name}.load", error) from error

    def save(self) -> msgspec.Raw:
        """The state of the actor now.

        Raises:
            ActorFailed: `save` raised, or what it returned does not have its type. This life must end.
        """
        try:
            return msgspec.Raw(self._codec.encode(self._actor.save()))
        except BaseException as error:
            raise ActorFailed(f"in {self._name}.save", error) from error


def _check_done(returned: object) -> None:
    if isinstance(returned, Coroutine):
        returned.close()
        raise UsageError(
            "it returned a coroutine, which is never awaited: load is called between two messages; do there what does "
            "not wait"
        )
