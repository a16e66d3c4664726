"""A state is saved and loaded between two messages; what would have to be awaited there is told."""

from __future__ import annotations

import pytest

from actors import Actor
from actors.child.messages.keeping import Keeper
from actors.process.tracebacks import ActorFailed
from actors.protocol.protocol import protocol_of


class Later(Actor):
    """Looks like a plain `load`, and would load nothing."""

    def save(self) -> int:
        return 5

    def load(self, state: int) -> None:
        return self.fetch(state)

    async def fetch(self, state: int) -> None: ...


def test_a_load_that_returns_a_coroutine():
    """The life ends with the reason; it would go on without its state."""
    codec = protocol_of(Later).state
    assert codec is not None
    keeper = Keeper(Later(), codec)
    with pytest.raises(ActorFailed) as failed:
        keeper.load(keeper.save())
    assert "in Later.load" in str(failed.value)
    assert "it returned a coroutine, which is never awaited" in str(failed.value.__cause__)
