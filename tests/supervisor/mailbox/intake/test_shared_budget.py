"""SharedBudget: what messages hold, by whom; and who waits for room."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from actors.errors import UsageError
from actors.wire.framing import SharedAttachment
from supervisor.mailbox.intake.shared_budget import SharedBudget

KIB = 1024


class Value(SharedAttachment):
    __slots__ = ()

    @property
    def value(self):
        return bytes(self.size)


@pytest.fixture
async def budget():
    """Of four KiB and three values."""
    return SharedBudget(4 * KIB, 3, asyncio.get_running_loop())


def entry(*values):
    return SimpleNamespace(message=SimpleNamespace(packed=SimpleNamespace(attachments=values)))


async def test_who_holds_what_is_told(budget):
    """By actor, those that hold most first; also to one that has waited in vain."""
    same = Value(KIB)
    held = [budget.hold((same,), who) for who in ("/root/a", "/root/b", "/root/b")]
    held.append(budget.hold((Value(2 * KIB),), "/root/c"))
    words = (
        f"messages hold 2 shared values of {3 * KIB} bytes (2 for /root/b, 1 for /root/a, 1 for /root/c), of at most"
    )
    assert budget.taken_by().startswith(words)
    assert budget.hold((Value(2 * KIB),), "/root/a") is None
    wait = budget.wait(budget, entry(Value(2 * KIB)), "/root/a", None)
    with pytest.raises(TimeoutError) as late:
        await wait.taken(0.0)
    assert str(late.value).startswith(words)
    held.clear()
    assert (0, 0) == (budget.used, budget.values)
    assert "(" not in budget.taken_by().partition(", of")[0]


async def test_crowded_when_as_many_wait_as_may_be_held(budget):
    """By values: each of one that an actor sends is a descriptor of the daemon."""
    held = budget.hold((Value(4 * KIB),), "/root/a")
    first = budget.wait(budget, entry(Value(KIB), Value(KIB)), "/root/a", None)
    assert not budget.crowded
    second = budget.wait(budget, entry(Value(KIB)), "/root/a", None)
    assert budget.crowded
    second.cancel()
    assert not budget.crowded
    first.cancel()
    del held


async def test_what_never_fits(budget):
    """Is refused before it is held."""
    for values in ([Value(5 * KIB)], [Value(1) for _ in range(4)]):
        with pytest.raises(UsageError, match="raise max_shared_bytes"):
            budget.fits(tuple(values), "/root/a")
